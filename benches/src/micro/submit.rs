//! From an outbox to submission entries: messages with name, mark and segment size, and the ring's entries for them.
//! Nobody submits them, so the kernel is not in it.

use super::Micro;
use crate::scene::path;
use mmr::network::unsent::UnsentNetwork;
use mmr::network::{Heard, Inbox, Network};
use mmr::packet::SLOT_LEN;
use router::{DropCounters, LinkChange, Outbox, Payload, SlotId, Source, Transmit};
use std::net::UdpSocket;
use std::time::Instant;
use wire::Kind;
use wire::mark::Marks;

pub(super) fn benches() -> Vec<Micro> {
    let mut all = Vec::new();
    for (what, kind, packets, segment) in
        [("audio-packet", Kind::Audio, 1, 160), ("video-train-of-8", Kind::Video, 8, 1_200)]
    {
        for destinations in [1, 10, 100, 1_000] {
            let name = format!("submit/{what}/{destinations}");
            all.push(Micro::new(name, u64::from(destinations), move || {
                let (inbox, slot) = inbox(packets * u32::from(segment), segment);
                let mut network = network(kind, destinations);
                let mut outbox = Outbox::new(1 << 16);
                let payload = Payload {
                    source: Source::Slot(slot),
                    offset: 0,
                    len: packets * u32::from(segment),
                    segment,
                };
                for link in 0..destinations {
                    let queued = outbox.forward(Transmit { link, kind, payload });
                    queued.expect("an outbox has room for a thousand");
                }
                let mut drops = DropCounters::default();
                let mut submitted = 0;
                move || {
                    network.transmit(&outbox, &inbox, &mut drops);
                    submitted += u64::from(destinations);
                    assert_eq!(network.entries(), submitted, "one entry per destination");
                }
            }));
        }
    }
    all
}

fn network(kind: Kind, destinations: u32) -> UnsentNetwork {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
    let network = UnsentNetwork::new(vec![socket], destinations, Marks::DEFAULT);
    let mut network = network.expect("the socket is bound");
    for link in 0..destinations {
        let bind = LinkChange::Bind { link, kind, path: path(link) };
        network.apply(bind).expect("the table has this place");
    }
    network
}

/// An inbox into which something of this length came.
fn inbox(len: u32, segment: u16) -> (Inbox, SlotId) {
    let mut inbox = Inbox::new(1, SLOT_LEN);
    let slot = inbox.take_free().expect("an inbox starts with its slots free");
    let id = slot.id();
    let heard = Heard { path: path(0), offset: 0, len, segment, mark: 0, at: Instant::now() };
    inbox.deliver(slot, heard);
    (inbox, id)
}
