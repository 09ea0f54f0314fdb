//! Participants of a real zone whose MMRs drain and die: where they go, and what they miss.
#![allow(clippy::unwrap_used, missing_docs)] // a test may fail by panic

use client::media::{Digest, Frame, clock_hz};
use client::{
    Clip, JoinOptions, PublishOptions, PublishReport, Publisher, RecordOptions, Recorder, Source,
    TransportChoice, Trust, no_progress,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use wire::token::Role;
use wire::zone::MmrState;
use wire::{Kind, Transport};
use zone::{Ports, Zone};
use zone_controller::store::Wanted;

/// What must come comes by then. Generous: only a failing test ever waits that long.
const PATIENCE: Duration = Duration::from_secs(30);

fn clip(name: &str) -> Arc<Clip> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/media").join(name);
    Arc::new(Clip::open(&path).unwrap())
}

fn call() -> Vec<Source> {
    let source = |kind, name| Source { kind, layers: vec![clip(name)] };
    vec![source(Kind::Audio, "clip.ogg"), source(Kind::Video, "clip.ivf")]
}

async fn zone(mmrs: usize) -> Zone {
    Zone::start(&vec![Ports::default(); mmrs], |_| {}).await.unwrap()
}

fn join(zone: &Zone, meeting: &str, name: &str, transport: Transport) -> JoinOptions {
    let at = zone.destination(zone.token(meeting, name, Role::Attendee));
    let trust = Trust::from_pem(zone.ca_pem().as_bytes()).unwrap();
    JoinOptions { transport: TransportChoice::Only(transport), ..JoinOptions::new(at, trust) }
}

async fn publisher(zone: &Zone, meeting: &str, duration: Option<Duration>) -> Publisher {
    let join = join(zone, meeting, "publisher", Transport::Udp);
    let repeat = duration.is_none();
    let options = PublishOptions { join, sources: call(), repeat, duration };
    Publisher::join(options).await.unwrap()
}

async fn recorder(zone: &Zone, meeting: &str, name: &str, transport: Transport) -> Recorder {
    let join = join(zone, meeting, name, transport);
    let kinds = vec![Kind::Audio, Kind::Video];
    let options = RecordOptions { join, kinds, max_layer: u8::MAX, folder: None };
    let recorder = Recorder::join(options).await.unwrap();
    assert!(recorder.wait_for_streams(2, PATIENCE).await, "not all streams were announced");
    recorder
}

/// Waits until this is so; how long it took.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what} did not come true");
        sleep(Duration::from_millis(10)).await;
    }
    started.elapsed()
}

fn mmr(zone: &Zone, id: &str) -> MmrState {
    zone.state().mmrs.into_iter().find(|mmr| mmr.id.as_str() == id).unwrap()
}

/// The frames of a clip up to `duration`.
fn digests(clip: &Clip, duration: Duration) -> Vec<Digest> {
    let clock = f64::from(clock_hz(clip.codec));
    let sent = |frame: &&Frame| Duration::from_secs_f64(frame.timestamp as f64 / clock) < duration;
    clip.frames.iter().filter(sent).map(Frame::digest).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_mmr_is_left_without_a_frame_missing_and_comes_back() {
    let duration = Duration::from_secs(9);
    let zone = zone(2).await;
    let publisher = publisher(&zone, "standup", Some(duration)).await;
    let first = publisher.mmr().unwrap();
    let mut recorders = Vec::new();
    for transport in Transport::ALL {
        let recorder = recorder(&zone, "standup", transport.name(), transport).await;
        assert_eq!(recorder.mmr().as_ref(), Some(&first), "a meeting is at one MMR");
        recorders.push(recorder);
    }
    let publishing =
        tokio::spawn(async move { publisher.run(std::future::pending(), &no_progress()).await });
    until("media", || recorders.iter().all(|recorder| recorder.frames() > 100)).await;

    let id = zone.members().iter().find(|member| member.id.as_str() == first).unwrap().id.clone();
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    zone.controller().order(&id, Wanted::Drain { until_s: now_s + 60 }).await.unwrap();
    let moved = |recorder: &Recorder| recorder.mmr().is_some_and(|mmr| mmr != first);
    let took = until("everybody at another MMR", || recorders.iter().all(moved)).await;
    let empty = until("an empty MMR", || mmr(&zone, &first).participants == 0).await;
    println!("moved after {took:?}; the drained MMR was empty {empty:?} later, of 60 s");

    let published = publishing.await.unwrap().unwrap();
    assert_eq!(published.moved, 1);
    for recorder in recorders {
        let ends = recorder.ends();
        let all = async { drop(tokio::time::timeout(PATIENCE, ends.wait(2)).await) };
        let report = recorder.run(all, None, &no_progress()).await.unwrap();
        assert_eq!((report.moved, report.streams.len()), (1, 2), "{report:?}");
        for source in call() {
            let stream = report.streams.iter().find(|one| one.kind == source.kind).unwrap();
            let expected = digests(&source.layers[0], duration);
            assert_eq!(stream.digests.len(), expected.len(), "{stream:?}");
            assert!(stream.digests == expected, "frames differ: {stream:?}");
            assert_eq!(stream.packets.lost, 0, "{stream:?}");
        }
    }
    zone.controller().order(&id, Wanted::Serve).await.unwrap();
    until("the MMR back", || mmr(&zone, &first).unfit.is_none()).await;
    zone.stop().await;
}

/// One meeting that goes on until it is told to stop.
struct Endless {
    name: String,
    recorders: Vec<Recorder>,
    publishing: JoinHandle<Result<PublishReport, client::ClientError>>,
}

impl Endless {
    async fn start(zone: &Zone, name: String, stop: watch::Receiver<bool>) -> Self {
        let publisher = publisher(zone, &name, None).await;
        let mut recorders = Vec::new();
        for transport in Transport::ALL {
            recorders.push(recorder(zone, &name, transport.name(), transport).await);
        }
        let mut stop = stop;
        let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
        let publishing = tokio::spawn(async move { publisher.run(stopped, &no_progress()).await });
        Self { name, recorders, publishing }
    }

    fn mmr(&self) -> String {
        self.recorders[0].mmr().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_mmrs_meetings_go_on_elsewhere_and_the_others_notice_nothing() {
    let mut zone = zone(3).await;
    let (stop, stopped) = watch::channel(false);
    let mut meetings = Vec::new();
    for number in 0..6 {
        meetings.push(Endless::start(&zone, format!("meeting-{number}"), stopped.clone()).await);
    }
    let heard = |recorder: &Recorder| recorder.frames() > 50;
    until("media", || meetings.iter().flat_map(|it| &it.recorders).all(heard)).await;
    let mut spread = BTreeMap::<String, usize>::new();
    meetings.iter().for_each(|meeting| *spread.entry(meeting.mmr()).or_default() += 1);
    println!("meetings by MMR: {spread:?}");
    assert!(spread.len() > 1, "all on one MMR");

    let (dead, _) = spread.iter().max_by_key(|(_, meetings)| **meetings).unwrap();
    let (bereft, unharmed): (Vec<_>, Vec<_>) =
        meetings.into_iter().partition(|meeting| meeting.mmr() == *dead);
    let before = Instant::now();
    zone.kill(dead).await;
    let closed = before.elapsed();
    let reported = until("the death in the zone", || mmr(&zone, dead).unfit.is_some()).await;
    let all = || bereft.iter().flat_map(|meeting| &meeting.recorders);
    let elsewhere = |recorder: &Recorder| recorder.mmr().is_some_and(|mmr| mmr != *dead);
    let placed = until("everybody elsewhere", || all().all(elsewhere)).await;
    let frames: Vec<u64> = all().map(Recorder::frames).collect();
    let grown = || all().zip(&frames).all(|(recorder, before)| recorder.frames() > before + 50);
    let media = until("media again", grown).await;
    println!(
        "closed after {closed:?}, reported {reported:?} later, all {} elsewhere {placed:?} later, 50 more frames at \
         each {media:?} later",
        frames.len()
    );

    stop.send_replace(true);
    for (meeting, moves) in
        bereft.into_iter().map(|one| (one, 1)).chain(unharmed.into_iter().map(|one| (one, 0)))
    {
        let published = meeting.publishing.await.unwrap().unwrap();
        assert_eq!(published.moved, moves, "{}", meeting.name);
        for recorder in meeting.recorders {
            let report = recorder.run(async {}, None, &no_progress()).await.unwrap();
            assert_eq!(report.moved, moves, "{}: {report:?}", meeting.name);
            if moves == 0 {
                assert!(report.streams.iter().all(|stream| stream.packets.lost == 0), "{report:?}");
            }
        }
    }
    zone.stop().await;
}
