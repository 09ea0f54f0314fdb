//! What tshark says of the copies, as they came over the wire.

use std::collections::BTreeMap;
use tests::Capture;
use wire::mark::Dscp;

const DECODE: [&str; 6] =
    ["-d", "udp.port==8801,rtp", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];

/// As tshark counts them: 0 is bad, 1 is good.
const GOOD: &str = "1";

/// Every checksum of IP and UDP is right: they must have been computed before the wire.
pub(crate) fn assert_sums(capture: &Capture) {
    let fields = ["ip.checksum.status", "udp.checksum.status"];
    let packets = capture.read(&DECODE, "rtp && udp.srcport == 8801", &fields);
    let mut counts = BTreeMap::<Vec<String>, usize>::new();
    packets.into_iter().for_each(|packet| *counts.entry(packet).or_default() += 1);
    let good: usize = counts
        .iter()
        // IPv6 has none of its own.
        .filter(|(status, _)| ["", GOOD].contains(&status[0].as_str()) && status[1] == GOOD)
        .map(|(_, count)| count)
        .sum();
    assert!(good > 1_000, "{counts:?}");
    assert_eq!(good, counts.values().sum::<usize>(), "{counts:?}");
    assert!(counts.len() == 2, "IPv4 and IPv6: {counts:?}");
}

/// Every packet of media bears this mark.
pub(crate) fn assert_marked(capture: &Capture, mark: Dscp) {
    let fields = ["ip.dsfield.dscp", "ipv6.tclass.dscp"];
    let packets = capture.read(&DECODE, "rtp && udp.srcport == 8801", &fields);
    assert!(packets.len() > 1_000, "{}", packets.len());
    let wrong = packets.iter().find(|it| it.concat() != mark.value().to_string());
    assert_eq!(wrong, None);
}
