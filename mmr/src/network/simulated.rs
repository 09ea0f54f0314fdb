//! A network without a kernel, for tests: what arrives is put in by hand, what is sent is kept to
//! be looked at, and time passes only by waiting.

use super::destinations::Destinations;
use super::inbox::{Heard, Inbox};
use super::{LinkError, Network, NetworkCounters};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use router::{DropCounters, DropReason, LinkChange, Outbox, Path, Transmit};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;
use wire::mark::Marks;

/// A packet that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// To where.
    pub path: Path,
    /// The IPv4 TOS or IPv6 traffic class byte.
    pub traffic_class: u8,
    /// The packet.
    pub bytes: Vec<u8>,
}

/// The network.
pub struct SimulatedNetwork {
    now: Instant,
    arriving: VecDeque<Arriving>,
    sent: VecDeque<Sent>,
    /// By link: the path its packets go.
    paths: Vec<Option<Path>>,
    destinations: Destinations,
    waker: OwnedFd,
    send_room: usize,
}

struct Arriving {
    path: Path,
    bytes: Vec<u8>,
    segment: u16,
}

impl SimulatedNetwork {
    /// Its clock starts at `now`; `sockets` are the addresses of its sockets; it looks at `waker`
    /// as others do.
    pub fn new(
        now: Instant,
        sockets: &[SocketAddr],
        links: u32,
        marks: Marks,
        waker: OwnedFd,
    ) -> Self {
        Self {
            now,
            arriving: VecDeque::new(),
            sent: VecDeque::new(),
            paths: vec![None; links as usize],
            destinations: Destinations::new(links, sockets, marks),
            waker,
            send_room: usize::MAX,
        }
    }

    /// Something arrives: a packet when `segment` is 0, else a train.
    pub fn arrive(&mut self, path: Path, bytes: &[u8], segment: u16) {
        self.arriving.push_back(Arriving { path, bytes: bytes.to_vec(), segment });
    }

    /// The next packet that was sent; call until `None`.
    pub fn poll_sent(&mut self) -> Option<Sent> {
        self.sent.pop_front()
    }

    /// So many packets more, then the send buffer is full.
    pub fn limit_sends(&mut self, packets: usize) {
        self.send_room = packets;
    }

    fn is_rung(&self) -> bool {
        let mut fds = [PollFd::new(self.waker.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8], drops: &mut DropCounters) {
        let path = self.paths.get(transmit.link as usize).copied().flatten();
        let Some(path) = path else {
            return drops.add(DropReason::Unbound, u64::from(transmit.payload.packets()));
        };
        let traffic_class = self.destinations.marks().of(transmit.kind).traffic_class();
        for packet in bytes.chunks(usize::from(transmit.payload.segment)) {
            if self.send_room == 0 {
                drops.count(DropReason::SendBufferFull);
                continue;
            }
            self.send_room -= 1;
            self.sent.push_back(Sent { path, traffic_class, bytes: packet.to_vec() });
        }
    }
}

impl Network for SimulatedNetwork {
    fn receive(&mut self, deadline: Instant, inbox: &mut Inbox) -> io::Result<Instant> {
        inbox.recycle();
        if self.arriving.is_empty() && !self.is_rung() {
            self.now = self.now.max(deadline);
        }
        while inbox.free_slots() > 0 {
            let Some(Arriving { path, bytes, segment }) = self.arriving.pop_front() else { break };
            let Some(mut slot) = inbox.take_free() else { break };
            let len = u32::try_from(bytes.len()).expect("a datagram is below 64 KiB");
            let heard = Heard { path, offset: 0, len, segment, mark: 0, at: self.now };
            match slot.memory_mut().get_mut(..bytes.len()) {
                Some(room) => {
                    room.copy_from_slice(&bytes);
                    inbox.deliver(slot, heard);
                }
                None => inbox.refuse(slot, DropReason::Truncated),
            }
        }
        Ok(self.now)
    }

    fn transmit(&mut self, outbox: &Outbox, inbox: &Inbox, drops: &mut DropCounters) {
        for transmit in outbox.datagrams() {
            let bytes = inbox.payload(&transmit.payload, outbox.arena());
            let bytes = bytes.expect("the router names only slots of this turn and its own arena");
            self.send(transmit, bytes, drops);
        }
    }

    fn apply(&mut self, change: LinkChange) -> Result<(), LinkError> {
        self.destinations.apply(change)?;
        match change {
            LinkChange::Bind { link, path, .. } => self.paths[link as usize] = Some(path),
            LinkChange::Unbind { link } => self.paths[link as usize] = None,
            LinkChange::Mark(_) => {}
        }
        Ok(())
    }

    fn counters(&self) -> NetworkCounters {
        NetworkCounters::default()
    }
}
