//! A worker that takes no turns: health says so and systemd is told nothing, until it goes on.

use nix::errno::Errno;
use std::time::{Duration, Instant};
use tests::held::Held;
use tests::pair::Pair;
use tests::process::Process;

const PATIENCE: Duration = Duration::from_secs(20);
/// Several times as long as the daemon takes from one word to systemd to the next.
const WHILE: Duration = Duration::from_secs(2);

/// Waits until health is answered with `status`; what it says then.
fn health(process: &Process, status: u16) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (answered, body) = process.ask("/health");
        if answered == status {
            return body;
        }
        assert!(Instant::now() < deadline, "health stays at {answered}: {body}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_stalled_worker_fails_health_and_the_watchdog_until_it_goes_on() {
    let process = Process::start("");
    let mut pair = Pair::join(process.tls(), &process.venue.dev, 256_000).await;
    health(&process, 200);
    assert!(process.is_told("WATCHDOG=1", PATIENCE));

    let held = match Held::hold(process.thread("mmr-worker-1")) {
        Err(Errno::EPERM) => return eprintln!("skipped: ptrace is forbidden here"),
        held => held.unwrap(),
    };
    let said = health(&process, 503);
    assert!(said.starts_with("worker 1 has not finished a turn for "), "{said}");
    // What was on its way when the worker was found out.
    std::thread::sleep(Duration::from_millis(200));
    process.forget_told();
    assert!(!process.is_told("WATCHDOG=1", WHILE), "systemd was told that all is well");
    // The others go on: control answers, and knows who is meant.
    let ages: Vec<u64> =
        process.stats().workers.iter().map(|worker| worker.heartbeat_age_ms).collect();
    assert!(ages[0] < 5_000 && ages[1] > 5_000, "{ages:?}");

    drop(held);
    health(&process, 200);
    assert!(process.is_told("WATCHDOG=1", PATIENCE), "the watchdog is fed again");
    pair.bind();
    pair.assert_media_flows();
}
