//! Phase 2: all controllers of all zones are asked at once, and the best zone is found.

use super::choice::{Candidate, Decision, Ping, State, decide};
use super::journal::{Journal, Place};
use super::lookup::Offer;
use super::report::Phase;
use crate::dial::Dialer;
use crate::https::Https;
use crate::limits::{
    ANSWER_LEN_MAX, CONTROLLERS_DEADLINE, DOWNLOAD_LEN, PINGS, PROBES_MAX, TUNNEL_PROBES_MAX,
};
use crate::link::ProbeStep;
use crate::options::ControllerUrl;
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use wire::zone::{DOWNLOAD_PATH, PING_PATH, Pong};

/// How thoroughly controllers are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Several pings each, and throughput.
    Measure,
    /// One ping each, of a few controllers: a tunnel opens only so many connections, and paces them.
    Ping,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// The best zone, by its number; `None`: no controller can be reached.
    pub(super) best: Option<usize>,
    /// Zones of which a controller answered.
    pub(super) answered: Vec<usize>,
}

/// A zone to be looked at, and how it is reached.
#[derive(Clone)]
pub(super) struct Contender {
    /// Its number.
    pub(super) at: usize,
    pub(super) offer: Offer,
    pub(super) dialer: Dialer,
}

/// One controller to be looked at.
struct Probe {
    dialer: Dialer,
    zone: String,
    controller: ControllerUrl,
    depth: Depth,
}

/// Asks everybody, and ends as soon as the best is known.
pub(super) async fn choose(zones: &[Contender], depth: Depth, journal: &Journal) -> Chosen {
    let began = Instant::now();
    let (news, mut heard) = mpsc::channel(PROBES_MAX);
    let mut probes = JoinSet::new();
    let mut candidates = Vec::new();
    let mut places = Vec::new();
    for (zone, probe) in in_turn(zones, depth) {
        let at = candidates.len();
        candidates.push(Candidate { zone, state: State::Asked });
        let way = probe.dialer.way_to(&probe.controller.origin().target().host);
        places.push(Place::new(Phase::Zone, way, &probe.controller));
        probes.spawn(run(probe, at, places[at].clone(), news.clone(), journal.clone()));
    }
    let best = loop {
        let until = match decide(&candidates, began.elapsed()) {
            Decision::Take(zone) => break Some(zone),
            Decision::Nobody => break None,
            Decision::Wait(until) => began + until,
        };
        tokio::select! {
            Some((at, state)) = heard.recv() => candidates[at].state = state,
            () = sleep_until(until.into()) => {}
        }
    };
    // Who is still silent is left alone, which says something only when nobody answered.
    if best.is_none() {
        let silent = candidates.iter().zip(&places).filter(|(one, _)| one.state == State::Asked);
        for (_, place) in silent {
            let outcome = Err(format!("no answer in {:.1?}", began.elapsed()));
            journal.note(place, ProbeStep { name: "measure", took: began.elapsed(), outcome });
        }
    }
    let answered = |one: &&Candidate| matches!(one.state, State::Answered(_) | State::Measured(..));
    let answered = candidates.iter().filter(answered).map(|one| one.zone).collect();
    Chosen { best, answered }
}

/// The first controller of each zone, then the second of each, and so on: as many as may be asked.
fn in_turn(zones: &[Contender], depth: Depth) -> Vec<(usize, Probe)> {
    let most = match depth {
        Depth::Measure => PROBES_MAX,
        Depth::Ping => TUNNEL_PROBES_MAX,
    };
    let rounds = zones.iter().map(|zone| zone.offer.controllers.len()).max().unwrap_or(0);
    let all = (0..rounds).flat_map(|round| {
        zones.iter().filter_map(move |Contender { at, offer, dialer }| {
            let (controller, zone) = (offer.controllers.get(round)?.clone(), offer.zone.clone());
            Some((*at, Probe { dialer: dialer.clone(), zone, controller, depth }))
        })
    });
    all.take(most).collect()
}

async fn run(
    probe: Probe,
    at: usize,
    place: Place,
    news: mpsc::Sender<(usize, State)>,
    journal: Journal,
) {
    let mut last = State::Failed;
    let measured = async {
        let mut https = Https::open(&probe.dialer, probe.controller.origin()).await?;
        let mut ping = ask(&mut https, &probe.zone).await?;
        last = State::Answered(ping);
        // Nobody may listen any more: the best is known.
        let _ = news.send((at, last)).await;
        if probe.depth == Depth::Ping {
            last = State::Measured(ping, Some(Duration::ZERO));
            return Ok((ping, None));
        }
        let mut round_trips = vec![ping.round_trip];
        while round_trips.len() < PINGS {
            round_trips.push(ask(&mut https, &probe.zone).await?.round_trip);
        }
        round_trips.sort_unstable();
        ping.round_trip = round_trips[PINGS / 2];
        let transfer = download(&mut https, ping.round_trip).await?;
        last = State::Measured(ping, transfer);
        Ok::<_, io::Error>((ping, transfer))
    };
    let describe =
        |(ping, transfer): &(Ping, Option<Duration>)| describe(&probe.zone, *ping, *transfer);
    // Whoever waits for this has decided by then.
    let patience = 2 * CONTROLLERS_DEADLINE;
    let done = journal.step(&place, "measure", patience, measured, describe).await;
    // Who answered once and then no more has not failed: it may be the only one.
    let failed = done.is_err() && last == State::Failed;
    let _ = news.send((at, if failed { State::Failed } else { last })).await;
}

async fn ask(https: &mut Https, zone: &str) -> io::Result<Ping> {
    let asked = Instant::now();
    let answer = https.get(PING_PATH, ANSWER_LEN_MAX).await?;
    let round_trip = asked.elapsed();
    let pong: Option<Pong> = serde_json::from_slice(&answer.body).ok();
    let Some(pong) = pong.filter(|_| answer.is_success()) else {
        let words = format!("it answers {} to a ping; is it a zone controller?", answer.status);
        return Err(io::Error::other(words));
    };
    if pong.zone != zone {
        return Err(io::Error::other("it is a controller of another zone"));
    }
    Ok(Ping { round_trip, room: pong.room })
}

/// How long the bytes took, beyond a round trip; `None`: it has too many others to measure.
async fn download(https: &mut Https, round_trip: Duration) -> io::Result<Option<Duration>> {
    let asked = Instant::now();
    let path = format!("{DOWNLOAD_PATH}?bytes={DOWNLOAD_LEN}");
    let answer = https.get(&path, DOWNLOAD_LEN).await?;
    let whole = answer.is_success() && answer.body.len() == DOWNLOAD_LEN;
    Ok(whole.then(|| asked.elapsed().saturating_sub(round_trip)))
}

fn describe(zone: &str, ping: Ping, transfer: Option<Duration>) -> String {
    let kib = DOWNLOAD_LEN / 1024;
    let transfer = match transfer {
        Some(transfer) => format!(", {kib} KiB in {transfer:.1?}"),
        None => String::new(),
    };
    let room = if ping.room { "" } else { ", full" };
    format!("zone {zone}: round trip {:.1?}{transfer}{room}", ping.round_trip)
}
