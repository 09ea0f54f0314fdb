//! The agent as a process of its own, beside a real router, reporting to a controller of this test's over HTTPS.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod controller;
mod daemon;
mod orders;
mod trouble;
mod trust;

use controller::{Controller, Heard};
use daemon::Agent;
use std::time::Duration;
use tests::authority::Authority;
use tests::process::Process;
use wire::load::State;

/// What does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How soon a controller knows of a router that died or stalled.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// A router, its agent, and one controller that hears from it.
struct Scene {
    zone: Authority,
    router: Process,
    controller: Controller,
    agent: Agent,
}

impl Scene {
    /// Once the controller heard that the router serves.
    async fn start() -> Self {
        Self::start_with("").await
    }

    /// With these sections more in the router's configuration.
    async fn start_with(sections: &str) -> Self {
        let zone = Authority::new();
        let router = Process::start(sections);
        let controller = Controller::start(&zone).await;
        let agent = Agent::start(&zone, &router.admin_socket(), &[controller.address()]);
        controller.hears(|heard| heard.report.state == State::Serving).await;
        Self { zone, router, controller, agent }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_once_a_second_over_one_http2_connection_what_a_controller_must_know() {
    let scene = Scene::start().await;
    let first = scene.controller.newest();
    let last = scene.controller.hears(|it| it.at - first.at > Duration::from_secs(5)).await;
    let all = scene.controller.all();
    let gaps = all.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(gaps.max().unwrap() < Duration::from_millis(1_800));
    assert!(all.windows(2).all(|pair| pair[0].report.sequence < pair[1].report.sequence));
    assert_eq!(last.version, hyper::Version::HTTP_2);
    assert_eq!(first.connection, last.connection, "one connection for all reports");
    assert_eq!(first.report.epoch_ms, last.report.epoch_ms);

    let report = last.report;
    assert_eq!((report.mmr.as_str(), report.zone.as_str()), ("mmr-1", "dev"));
    let stats = scene.router.stats();
    let router = report.router.unwrap();
    assert_eq!((&router.addresses, router.epoch_ms), (&stats.advertised, stats.epoch_ms));
    assert_eq!(report.control.unwrap().addresses, stats.advertised.tls);
    assert_eq!((router.workers.len(), router.participants), (2, 0));
    assert!(report.host.cores > 0 && report.host.memory.total_bytes > 0);
    for resource in ["worker", "core", "memory", "links", "connections"] {
        assert!(report.stress.resources.iter().any(|it| it.resource == resource), "{resource}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_asks_gets_the_meetings_once() {
    let scene = Scene::start().await;
    let _pair = tests::pair::Pair::join(scene.router.tls(), &scene.router.venue.dev, 256_000).await;
    scene.controller.reply(|reply| reply.list_meetings = true);
    let listed = |heard: &Heard| heard.report.meeting_list.clone();
    let heard = scene.controller.hears(|heard| listed(heard).is_some()).await;
    let list = listed(&heard).unwrap();
    assert!(list.complete);
    let meetings: Vec<_> =
        list.meetings.iter().map(|it| (it.meeting.as_str(), it.participants)).collect();
    assert_eq!(meetings, [("scene", 2)]);
    scene.controller.reply(|reply| reply.list_meetings = false);
    scene.controller.hears(|heard| listed(heard).is_none()).await;
    let audio = scene.controller.hears(|heard| {
        heard.report.router.as_ref().is_some_and(|router| router.kinds.audio.streams == 1)
    });
    assert_eq!(audio.await.report.router.unwrap().kinds.audio.links, 2);
}
