//! One run of packets to every destination, and one packet to one.

use super::express::Served;
use super::links::{Links, Way};
use super::{Router, Tally};
use crate::{DropReason, Outbox, Payload, Transmit};

impl Router {
    /// Queues a run of packets of one layer for every link it is routed to and the kernel has not served: one transmit
    /// each, one lookup each. When nobody knows any more whom it has served, nobody gets it twice: who lacks it asks.
    pub(super) fn fan_out(&mut self, layer: u32, payload: Payload, mark: u32, outbox: &mut Outbox) {
        // A removed layer has no packets on their way: orders and arrivals take turns.
        let Some((kind, express)) = self.layers.at(layer).map(|it| (it.kind, &it.express)) else {
            return;
        };
        let served = match express.served_at(mark) {
            Served::Nobody => None,
            Served::Links(links) => Some(links),
            Served::Forgotten => {
                let packets = u64::from(payload.packets());
                let unsent = packets * u64::from(self.routes.count(layer));
                return self.tally.drops.add(DropReason::ExpressForgotten, unsent);
            }
        };
        let ways = self.links.ways();
        let (mut unbound, mut full, mut sent) = (0, 0, 0);
        for links in self.routes.slices(layer) {
            for &link in links {
                if served.is_some_and(|links| links.contains(&link)) {
                    continue;
                }
                let transmit = Transmit { link, kind, payload };
                let queued = match ways[link as usize] {
                    Way::Datagram => outbox.forward(transmit),
                    Way::Stream => outbox.forward_stream(transmit),
                    Way::Unbound => {
                        unbound += 1;
                        continue;
                    }
                };
                match queued {
                    Ok(()) => sent += 1,
                    Err(_) => full += 1,
                }
            }
        }
        let packets = u64::from(payload.packets());
        self.tally.drops.add(DropReason::Unbound, unbound * packets);
        self.tally.drops.add(DropReason::OutboxFull, full * packets);
        let traffic = &mut self.tally.counters.sent[kind.index()];
        traffic.packets += sent * packets;
        traffic.bytes += sent * u64::from(payload.len);
    }
}

/// Queues a packet of our own for a link, written by `write`, ahead of all media. False when it was dropped, and
/// counted, or `write` had nothing to say.
pub(super) fn send_own(
    links: &Links,
    tally: &mut Tally,
    outbox: &mut Outbox,
    link: u32,
    write: impl FnOnce(&mut [u8]) -> Option<usize>,
) -> bool {
    let way = links.way(link);
    let Some(kind) = links.at(link).filter(|_| way != Way::Unbound).map(|link| link.spec.kind)
    else {
        tally.drops.count(DropReason::Unbound);
        return false;
    };
    let queued = outbox.compose(write).and_then(|payload| {
        let Some(payload) = payload else { return Ok(0) };
        let transmit = Transmit { link, kind, payload };
        match way {
            Way::Stream => outbox.forward_stream(transmit)?,
            Way::Datagram | Way::Unbound => outbox.reply(transmit)?,
        }
        Ok(payload.len)
    });
    match queued {
        Ok(0) => false,
        Ok(len) => {
            let traffic = &mut tally.counters.sent[kind.index()];
            traffic.packets += 1;
            traffic.bytes += u64::from(len);
            true
        }
        Err(_) => {
            tally.drops.count(DropReason::OutboxFull);
            false
        }
    }
}
