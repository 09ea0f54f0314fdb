//! A UDP path: a connected socket that tells the DSCP of what it receives and sends trains in one call.

use super::dscp::of_traffic_class;
use crate::limits::TRAIN_PACKETS_MAX;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use wire::limits::PACKET_LEN_MAX;

/// Room for a second of video at a few Mbit/s, should the task not run for so long.
const RECEIVE_BUFFER_LEN: usize = 1 << 20;

pub(super) struct UdpPath {
    socket: UdpSocket,
    remote: SocketAddr,
    /// The kernel refused a train once; packets go one by one since.
    plain: bool,
}

impl UdpPath {
    pub(super) fn open(remote: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(remote), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // The kernel grants what net.core.rmem_max allows.
        socket.set_recv_buffer_size(RECEIVE_BUFFER_LEN)?;
        let any = if remote.is_ipv4() {
            socket.set_recv_tos_v4(true)?;
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        } else {
            socket.set_recv_tclass_v6(true)?;
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        };
        socket.bind(&SocketAddr::new(any, 0).into())?;
        socket.connect(&remote.into())?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())?, remote, plain: false })
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub(super) fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next datagram and its mark. May be dropped while it waits.
    pub(super) async fn receive(&self) -> io::Result<(Vec<u8>, Option<u8>)> {
        self.socket.async_io(Interest::READABLE, || self.receive_now()).await
    }

    fn receive_now(&self) -> io::Result<(Vec<u8>, Option<u8>)> {
        let mut bytes = [0; PACKET_LEN_MAX + 1];
        let mut control = nix::cmsg_space!(i32, i32);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let len = received.bytes;
        let dscp = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4Tos(tos) => Some(of_traffic_class(tos)),
            ControlMessageOwned::Ipv6TClass(class) => {
                u8::try_from(class).ok().map(of_traffic_class)
            }
            _ => None,
        });
        Ok((bytes[..len].to_vec(), dscp))
    }

    /// Sends packets of `segment` bytes each but for the last; what the kernel has no room for is lost, as on any
    /// network. True when everything was taken.
    pub(super) fn send(&mut self, bytes: &[u8], segment: usize) -> bool {
        let mut taken = true;
        for train in bytes.chunks(segment * TRAIN_PACKETS_MAX) {
            taken &= self.send_train(train, segment);
        }
        taken
    }

    fn send_train(&mut self, train: &[u8], segment: usize) -> bool {
        if train.len() > segment && !self.plain {
            match self.send_now(train, Some(segment)) {
                Ok(()) => return true,
                // A path without checksum offload or with other segment limits.
                Err(Errno::EIO | Errno::EINVAL) => self.plain = true,
                Err(_) => return false,
            }
        }
        // Every packet is tried, whatever became of the one before.
        let refused = train.chunks(segment).filter(|one| self.send_now(one, None).is_err()).count();
        refused == 0
    }

    fn send_now(&self, bytes: &[u8], segment: Option<usize>) -> Result<(), Errno> {
        let size = segment.and_then(|size| u16::try_from(size).ok()).unwrap_or(0);
        let message = [ControlMessage::UdpGsoSegments(&size)];
        let control = if size > 0 { &message[..] } else { &[] };
        let slices = [IoSlice::new(bytes)];
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        // Not through tokio: a new socket is writable before tokio has heard of it, and nobody waits here.
        let send = || sendmsg::<SockaddrStorage>(fd, &slices, control, flags, None);
        // ECONNREFUSED is an ICMP error of an earlier packet (RFC 1122 §4.1.3.3); this one was not sent because of it.
        let sent =
            send().or_else(|error| if error == Errno::ECONNREFUSED { send() } else { Err(error) });
        sent.map(|_| ())
    }
}
