//! What an operator is told of the plane, to the packet: by stats, the admin socket, metrics and `mmr top`.

use std::process::Command;
use std::time::Instant;
use tests::pair::Pair;
use tests::process::Process;
use tests::raw::PATIENCE;
use tests::{Wire, binary, is_root};
use wire::stats::{ExpressDetails, ExpressStats};

/// Waits for stats that are as they should be.
fn wait_for(process: &Process, wanted: impl Fn(&ExpressStats) -> bool) -> ExpressStats {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let express = process.stats().express;
        if wanted(&express) {
            return express;
        }
        assert!(Instant::now() < deadline, "{express:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn every_layer_and_every_destination_has_its_own_counts_everywhere() {
    if !is_root() {
        return;
    }
    let wire = Wire::new();
    let process = wire.left.run(|| Process::start_at(&Wire::LEFT[..1], "express = \"on\"\n"));
    // 64 KiB may come at once, of packets of 92 bytes.
    let joined = Pair::join(process.tls(), &process.venue.dev, 64_000);
    let mut pair = wire.right.block_on(joined);
    wait_for(&process, |express| express.routes == 1);
    let sent = 1_200;
    for _ in 0..sent {
        let packet = pair.next_packet();
        pair.publisher.socket.send(&packet).unwrap();
    }
    let after = wait_for(&process, |express| {
        let outcome = |name: &str| express.outcomes.get(name).copied().unwrap_or(0);
        let audio = express.layer_sums["audio"];
        let heard = outcome("served") + outcome("over_rate");
        heard >= sent && heard == audio.packets + audio.lost
    });
    let layer = &after.layers_top[0];
    // The publisher's link is there, too.
    let link = after.links_top.iter().max_by_key(|it| it.sent.packets).unwrap();
    assert_eq!((layer.ssrc, layer.kind.as_str(), layer.destinations), (pair.ssrc.0, "audio", 1));
    assert!(layer.heard.lost > 0 && layer.heard.packets > 700, "{layer:?}");
    assert_eq!(layer.heard.bytes, layer.heard.packets * 92);
    // Every packet of the layer went to its one destination, and to nobody else.
    assert_eq!((link.sent.packets, link.sent.lost), (layer.heard.packets, 0));
    assert_eq!(after.link_sums["audio"], link.sent);
    assert_eq!(after.sent["audio"].packets, link.sent.packets);
    assert_eq!(after.outcomes["over_rate"], layer.heard.lost);
    assert!(after.latency_ns.count >= 10 && after.latency_ns.p50 > 0, "{:?}", after.latency_ns);

    let (_, all) = process.ask("/express");
    let all: ExpressDetails = serde_json::from_str(&all).unwrap();
    assert_eq!(all.layers, after.layers_top);
    assert_eq!(all.links.iter().map(|it| it.sent.packets).sum::<u64>(), link.sent.packets);
    let (_, metrics) = process.ask("/metrics");
    let line = format!("mmr_express_link_packets_total{{kind=\"audio\"}} {}\n", link.sent.packets);
    assert!(metrics.contains(&line), "{metrics}");
    assert!(metrics.contains("mmr_express_latency_seconds_count"), "{metrics}");
    let mut top = Command::new(binary("mmr"));
    let top = top.arg("top").arg("--socket").arg(process.admin_socket()).output().unwrap();
    let text = String::from_utf8(top.stdout).unwrap();
    assert!(text.contains(&format!("{:08x}", pair.ssrc.0)), "{text}");
    assert!(text.contains("express on wire0"), "{text}");
}
