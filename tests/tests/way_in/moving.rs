//! An MMR that drains is left for another, each the way it came: one through a proxy, one through a tunnel.

use crate::PATIENCE;
use crate::seat::{Otherwise, Seat, to};
use crate::site::{PROXIES, Site, TUNNEL, Through, WEB, addresses};
use client::{MeetingLink, PublishReport, RecordReport, Way, no_progress};
use std::future::pending;
use std::net::IpAddr;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tests::Lan;
use tests::meeting::sources;
use tokio::sync::oneshot;

/// As long as the clips, all but.
const MEDIA: Duration = Duration::from_millis(9_500);
/// After so much of it the MMR drains.
const SETTLED: Duration = Duration::from_secs(2);

/// One who publishes behind a proxy and one who records through a tunnel, both sent to another MMR.
pub fn through_proxy_and_tunnel(site: &Site, hosts: [usize; 2]) {
    let reached: Vec<IpAddr> = [WEB, TUNNEL].into_iter().flat_map(addresses).collect();
    let proxied = site.seat(hosts[0]).only(&to(&[Lan::address(PROXIES)]), Otherwise::Refuse);
    let proxied = proxied.with_proxy(Through::Squid);
    let tunnelled = site.seat(hosts[1]).only(&to(&reached), Otherwise::Refuse);
    let link: MeetingLink = site.meeting().parse().unwrap();
    let (ready, others_ready) = oneshot::channel();
    let (at, told) = std::sync::mpsc::channel();
    let (sent, recorded) = std::thread::scope(|scope| {
        let recording = scope.spawn(|| record(&tunnelled, &link, ready));
        scope.spawn(|| {
            let mmr: String = told.into_iter().next().unwrap();
            std::thread::sleep(SETTLED);
            site.drain(&mmr);
        });
        let sent = publish(&proxied, &link, others_ready, at);
        (sent, recording.join().unwrap())
    });
    assert_eq!((sent.moved, recorded.moved), (1, 1), "{sent:#?} {recorded:#?}");
    assert_eq!(sent.mmr, recorded.mmr);
    // Both at each MMR.
    assert!(sent.links.iter().all(|link| link.way == Way::Proxy), "{:#?}", sent.links);
    assert!(recorded.links.iter().all(|link| link.way == Way::Tunnel), "{:#?}", recorded.links);
    assert_unbroken(&recorded);
}

fn publish(
    seat: &Seat<'_>,
    link: &MeetingLink,
    others_ready: oneshot::Receiver<()>,
    at: Sender<String>,
) -> PublishReport {
    seat.block_on(async || {
        let publisher = seat.publisher(link, MEDIA).await;
        others_ready.await.unwrap();
        at.send(publisher.mmr().unwrap()).unwrap();
        publisher.run(pending(), &no_progress()).await.unwrap()
    })
}

fn record(seat: &Seat<'_>, link: &MeetingLink, ready: oneshot::Sender<()>) -> RecordReport {
    seat.block_on(async || {
        let recorder = seat.recorder(link).await;
        assert!(recorder.wait_for_streams(sources().len(), PATIENCE).await, "no streams came");
        ready.send(()).unwrap();
        let ends = recorder.ends();
        let ended = async {
            // Streams that do not end show in what was recorded.
            let _ = tokio::time::timeout(PATIENCE, ends.wait(sources().len())).await;
        };
        recorder.run(ended, None, &no_progress()).await.unwrap()
    })
}

/// Every frame that was published, and nothing else.
fn assert_unbroken(recorded: &RecordReport) {
    for source in sources() {
        let stream = recorded.streams.iter().find(|stream| stream.kind == source.kind).unwrap();
        let clip = &source.layers[0];
        let clock = f64::from(client::media::clock_hz(clip.codec));
        let due = |timestamp: u64| Duration::from_secs_f64(timestamp as f64 / clock) < MEDIA;
        let due = clip.frames.iter().filter(|frame| due(frame.timestamp));
        let due: Vec<_> = due.map(client::media::Frame::digest).collect();
        let same = due.iter().zip(&stream.digests).take_while(|(one, other)| one == other).count();
        let got = stream.digests.len();
        assert!(
            stream.digests == due,
            "{}: {same} of {} the same, {got} there",
            stream.kind,
            due.len()
        );
    }
}
