//! Routers that die or stall, controllers that are not there.

use crate::controller::Controller;
use crate::daemon::Agent;
use crate::{Scene, TOLD_WITHIN};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::authority::Authority;
use tests::held::Held;
use tests::process::Process;
use wire::load::State;

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_is_killed_is_told_within_two_seconds() {
    let scene = Scene::start().await;
    let killed = Instant::now();
    scene.router.signal(Signal::SIGKILL);
    let told = scene.controller.hears(|heard| heard.report.state != State::Serving).await;
    assert!(told.at - killed < TOLD_WITHIN, "{:?}", told.at - killed);
    assert_eq!((told.report.state, &told.report.router), (State::Stopping, &None));
    let reason = told.report.reason.unwrap();
    assert!(reason.starts_with("the daemon has ended: no daemon answers at "), "{reason}");
    let still = scene.controller.hears(|it| it.report.sequence > told.report.sequence + 1).await;
    assert_eq!(still.report.state, State::Stopping, "the agent goes on");

    // An agent that was not there when it lived.
    let other = Controller::start(&scene.zone).await;
    let _agent = Agent::start(&scene.zone, &scene.router.admin_socket(), &[other.address()]);
    let first = other.hears(|_| true).await.report;
    assert_eq!((first.state, first.router), (State::Starting, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_is_stopped_is_told_within_two_seconds_and_serves_again() {
    let scene = Scene::start().await;
    let stopped = Instant::now();
    scene.router.signal(Signal::SIGSTOP);
    let told = scene.controller.hears(|heard| heard.report.state != State::Serving).await;
    assert!(told.at - stopped < TOLD_WITHIN, "{:?}", told.at - stopped);
    assert_eq!((told.report.state, told.report.router), (State::Stalled, None));
    scene.router.signal(Signal::SIGCONT);
    let again = scene.controller.hears(|heard| heard.report.state == State::Serving).await;
    assert!(again.report.router.is_some());
}

#[test]
fn a_single_worker_that_takes_no_turns_is_told_within_two_seconds() {
    // The thread that holds another must let it go, so all is awaited on this one.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let scene = runtime.block_on(Scene::start());
    let stalled = Instant::now();
    let held = match Held::hold(scene.router.thread("mmr-worker-1")) {
        Err(Errno::EPERM) => return eprintln!("skipped: ptrace is forbidden here"),
        held => held.unwrap(),
    };
    let told =
        runtime.block_on(scene.controller.hears(|heard| heard.report.state != State::Serving));
    assert!(told.at - stalled < TOLD_WITHIN, "{:?}", told.at - stalled);
    assert_eq!(told.report.state, State::Stalled);
    let reason = told.report.reason.unwrap();
    assert!(reason.starts_with("worker 1 has not finished a turn"), "{reason}");
    assert!(told.report.router.is_some(), "the others go on");
    drop(held);
    runtime.block_on(scene.controller.hears(|heard| heard.report.state == State::Serving));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_was_told_to_end_is_stopping_until_it_has_ended() {
    let scene = Scene::start_with("[drain]\ndeadline = \"4s\"\n").await;
    // Somebody who stays keeps it from ending at once.
    let _pair = tests::pair::Pair::join(scene.router.tls(), &scene.router.venue.dev, 256_000).await;
    scene.router.signal(Signal::SIGTERM);
    let told = scene.controller.hears(|heard| heard.report.state != State::Serving).await.report;
    assert_eq!(told.state, State::Stopping);
    assert!(told.router.is_some(), "media goes on");
    let ended = scene.controller.hears(|heard| heard.report.router.is_none()).await.report;
    assert_eq!(ended.state, State::Stopping);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_away_holds_nobody_up_and_gets_the_newest_when_it_is_back() {
    let zone = Authority::new();
    let router = Process::start("");
    let near = Controller::start(&zone).await;
    let away = Controller::start(&zone).await;
    let address = away.address();
    let _agent = Agent::start(&zone, &router.admin_socket(), &[address, near.address()]);
    away.hears(|_| true).await;
    drop(away);
    let before = near.newest();
    let after = near.hears(|it| it.report.sequence >= before.report.sequence + 6).await;
    let took = after.at - before.at;
    assert!(took < Duration::from_secs(8), "six reports took {took:?} while one was away");

    let back = Controller::start_at(address, &zone, true).await;
    back.hears(|heard| heard.report.sequence > after.report.sequence).await;
    let oldest = back.all().first().unwrap().report.sequence;
    assert!(oldest >= after.report.sequence, "nothing old is sent: {oldest}");
    let next = back.hears(|_| true).await;
    assert_eq!(next.report.epoch_ms, before.report.epoch_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_needs_nobody_and_ends_when_it_is_told() {
    let zone = Authority::new();
    let nobody = "127.0.0.1:1".parse().unwrap();
    let mut agent = Agent::start(&zone, Path::new("/nowhere/admin.sock"), &[nobody]);
    agent.is_told("WATCHDOG=1");
    agent.signal(Signal::SIGTERM);
    agent.is_told("STOPPING=1");
    assert!(agent.ends().success());
}
