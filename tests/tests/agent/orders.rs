//! What the zone orders is carried out; what the host wants stays.

use crate::Scene;
use crate::controller::Heard;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use wire::load::{State, Wanted, WantedState};

impl Scene {
    fn order(&self, order: u64, state: WantedState) {
        self.controller.reply(|reply| reply.wanted = Some(Wanted { order, state }));
    }

    /// As somebody on the host.
    fn ask(&self, path: &str) {
        let mut stream = UnixStream::connect(self.router.admin_socket()).unwrap();
        let request = format!("POST {path} HTTP/1.1\r\nHost: mmr\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

const DRAIN: WantedState = WantedState::Drain { deadline_s: 60 };

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_carried_out_told_and_called_off() {
    let scene = Scene::start().await;
    scene.order(7, DRAIN);
    let told = scene.controller.hears(|heard| heard.report.state == State::Draining).await.report;
    let drain = told.router.unwrap().drain.unwrap();
    assert_eq!(drain.order, Some(7));
    assert!((50..=60).contains(&drain.left_s), "{}", drain.left_s);
    assert_eq!(scene.router.stats().drain_order, Some(7));
    scene.order(8, WantedState::Serve);
    scene.controller.hears(|heard| heard.report.state == State::Serving).await;
    assert_eq!(scene.router.stats().draining_s, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_has_the_last_word() {
    let scene = Scene::start().await;
    scene.ask("/drain?deadline=90s");
    scene.controller.hears(|heard| heard.report.state == State::Draining).await;
    scene.order(9, WantedState::Serve);
    let three_on = scene.controller.newest().report.sequence + 3;
    let still = scene.controller.hears(|heard| heard.report.sequence >= three_on).await.report;
    assert_eq!(still.state, State::Draining, "drained by the host");
    assert_eq!(still.router.unwrap().drain.unwrap().order, None);

    scene.order(10, DRAIN);
    scene.ask("/undrain");
    let drained_by_zone = |heard: &Heard| {
        let drain = heard.report.router.as_ref().and_then(|router| router.drain);
        drain.is_some_and(|drain| drain.order == Some(10))
    };
    scene.controller.hears(drained_by_zone).await;
    scene.ask("/undrain");
    scene.controller.hears(|heard| heard.report.state == State::Serving).await;
    let three_on = scene.controller.newest().report.sequence + 3;
    let still = scene.controller.hears(|heard| heard.report.sequence >= three_on).await.report;
    assert_eq!(still.state, State::Serving, "the order was carried out once");
}
