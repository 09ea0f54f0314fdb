//! What the start needs a privilege for is done when the daemon runs: the plane goes on without.

use std::time::Instant;
use tests::pair::Pair;
use tests::process::Process;
use tests::raw::{PATIENCE, RawChannel};
use tests::{Wire, is_root};
use wire::control::ClientMessage;
use wire::token::Role;
use wire::{Kind, StreamId};

/// The bits of CAP_NET_ADMIN, CAP_PERFMON and CAP_BPF (capability.h).
const START_ONLY: u64 = 1 << 12 | 1 << 38 | 1 << 39;

/// Of every thread: effective, permitted and ambient capabilities.
fn capabilities(process: &Process) -> Vec<u64> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.pid())).unwrap();
    let statuses = tasks.map(|it| std::fs::read_to_string(it.unwrap().path().join("status")));
    let sets = |status: String| {
        ["CapEff:", "CapPrm:", "CapAmb:"].map(|name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        })
    };
    statuses.flat_map(|status| sets(status.unwrap())).collect()
}

fn wait_for_routes(process: &Process, routes: u64) {
    let deadline = Instant::now() + PATIENCE;
    while process.stats().express.routes != routes {
        assert!(Instant::now() < deadline, "{:?}", process.stats().express);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn running_it_has_no_privilege_of_the_planes_and_goes_on_forwarding_and_taking_routes() {
    if !is_root() {
        return;
    }
    let wire = Wire::new();
    let process = wire.left.run(|| Process::start_at(&Wire::LEFT[..1], "express = \"on\"\n"));
    let held = capabilities(&process);
    // Main, two workers, control, door, next hops.
    assert!(held.len() >= 6 * 3, "{held:?}");
    assert!(held.iter().all(|set| set & START_ONLY == 0), "{held:x?}");
    let (tls, dev) = (process.tls(), &process.venue.dev);
    let mut pair = wire.right.block_on(Pair::join(tls, dev, 2_000_000));
    wait_for_routes(&process, 1);
    let (_channel, link) = wire.right.block_on(async {
        let token = dev.token("scene", "carol", Role::Attendee);
        let mut carol = RawChannel::join(tls, dev.ca_pem(), token).await;
        let mut link = carol.connect(Kind::Audio).await;
        link.bind();
        carol.send(&ClientMessage::Subscribe { stream: StreamId(0), max_layer: 0 }).await;
        (carol, link)
    });
    wait_for_routes(&process, 2);
    pair.assert_media_flows();
    assert!(link.receive_rtp().is_some());
    let sent: u64 = process.stats().express.sent.values().map(|it| it.packets).sum();
    assert!(sent > 1, "{sent}");
}
