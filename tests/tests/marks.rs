//! DSCP as it stands in the packets: every transport, kind and IP version, read off the wire.
#![allow(clippy::unwrap_used, missing_docs)]

use client::{IpChoice, LinkReport, TransportChoice};
use std::collections::BTreeMap;
use std::time::Duration;
use tests::meeting::{Meeting, Seat, assert_complete, sources};
use tests::{Capture, Wire, is_root};
use wire::Transport;
use wire::mark::{Dscp, Marks};

/// All different, so that no kind can pass for another.
fn marks() -> Marks {
    let [audio, video, content, control] = [46, 34, 26, 16].map(|value| Dscp::new(value).unwrap());
    Marks { audio, video, content, control }
}

/// From the router: protocol, its port, the client's port, mark; in the order they came.
type Marked = (Transport, u16, u16, u8);

#[test]
fn every_packet_of_every_transport_and_ip_version_carries_its_kinds_mark() {
    if !is_root() {
        return;
    }
    let meeting = Meeting::start(|config| config.marks = marks());
    let filter = format!("src host {} or src host {}", Wire::LEFT[0], Wire::LEFT[1]);
    let mut capture = Capture::start(&meeting.wire.right, Wire::INTERFACE, &filter);
    let seats: Vec<Seat> = Transport::ALL
        .into_iter()
        .flat_map(|transport| [IpChoice::V4, IpChoice::V6].map(|ip| (transport, ip)))
        .map(|(transport, ip)| Seat {
            name: format!("{transport}-{ip:?}"),
            transport: TransportChoice::Only(transport),
            ip,
        })
        .collect();
    let duration = Duration::from_secs(3);
    let (sent, recorded) =
        meeting.wire.right.block_on(meeting.play(sources(), duration, &seats, async {}));
    capture.stop();
    let packets = marked(&capture);
    for report in &recorded {
        assert_complete(&sent, &sources(), report);
    }
    let links: Vec<&LinkReport> =
        sent.links.iter().chain(recorded.iter().flat_map(|report| &report.links)).collect();
    assert_eq!(links.len(), 7 * 3);
    for link in &links {
        assert_marked(link, &packets);
    }
    let control = packets.iter().filter(|(transport, port, client, _)| {
        *transport == Transport::Tcp
            && *port == 443
            && !links
                .iter()
                .any(|link| link.local.port() == *client && link.transport == Transport::Tls)
    });
    let control: Vec<u8> = control.map(|(.., mark)| *mark).collect();
    assert!(control.len() > 7 * 4, "{}", control.len());
    assert!(control.iter().all(|mark| *mark == marks().control.value()), "{control:?}");
}

/// A link's packets carry its kind's mark; before its check, a connection's carry control's.
fn assert_marked(link: &LinkReport, packets: &[Marked]) {
    let (protocol, port) = match link.transport {
        Transport::Udp => (Transport::Udp, 8801),
        Transport::Tcp => (Transport::Tcp, 8801),
        Transport::Tls => (Transport::Tcp, 443),
    };
    let mut seen: Vec<u8> = packets
        .iter()
        .filter(|(transport, from, to, _)| {
            (*transport, *from, *to) == (protocol, port, link.local.port())
        })
        .map(|(.., mark)| *mark)
        .collect();
    let who = format!("{:?} {} {}", link.kind, link.transport, link.local);
    if protocol == Transport::Tcp {
        let handshake = seen.iter().take_while(|mark| **mark == marks().control.value()).count();
        assert!(handshake > 0, "{who}: the handshake carries control's mark: {seen:?}");
        seen.drain(..handshake);
    }
    let mut counts = BTreeMap::<u8, usize>::new();
    seen.into_iter().for_each(|mark| *counts.entry(mark).or_default() += 1);
    assert_eq!(
        counts.keys().copied().collect::<Vec<_>>(),
        [marks().of(link.kind).value()],
        "{who}: {counts:?}"
    );
    // At the least an answered check and a report; subscribers get hundreds.
    assert!(counts.values().sum::<usize>() >= 2, "{who}: {counts:?}");
}

fn marked(capture: &Capture) -> Vec<Marked> {
    let fields = [
        "ip.dsfield.dscp",
        "ipv6.tclass.dscp",
        "udp.srcport",
        "udp.dstport",
        "tcp.srcport",
        "tcp.dstport",
    ];
    let packets = capture.read(&[], "udp or tcp", &fields);
    packets
        .iter()
        .map(|fields| {
            let number = |index: usize| fields[index].parse::<u16>().ok();
            let mark = number(0).or(number(1)).unwrap();
            let mark = u8::try_from(mark).unwrap();
            match (number(2), number(3)) {
                (Some(from), Some(to)) => (Transport::Udp, from, to, mark),
                _ => (Transport::Tcp, number(4).unwrap(), number(5).unwrap(), mark),
            }
        })
        .collect()
}
