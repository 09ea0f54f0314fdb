//! Sixty participants whose controllers and MMRs die and drain.

use crate::meeting::{Meeting, Outcome, PARTICIPANTS};
use crate::site::{CONTROLLERS, DRAIN_DEADLINE, Site};
use crate::{alone, until};
use client::Recorder;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::is_root;

const MMRS: usize = 3;
const MEETINGS: usize = 12;
const _: () = assert!(MEETINGS * PARTICIPANTS == 60);

/// How soon controllers know of an MMR that died.
const REPORTED_WITHIN: Duration = Duration::from_secs(2);
/// How soon its meetings are at another.
const PLACED_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn a_zone_outlives_its_controllers_and_mmrs() {
    outlives(Duration::from_secs(10));
}

#[test]
#[ignore = "takes two minutes: cargo test -p tests --test zone -- --ignored --nocapture a_minute"]
fn a_zone_outlives_a_controller_that_is_away_for_a_minute() {
    outlives(Duration::from_secs(60));
}

fn outlives(away: Duration) {
    if !is_root() {
        return;
    }
    let _alone = alone();
    let mut site = Site::start(MMRS);
    let meetings = site.block_on(async || begin(&site).await);
    assert_spread(&meetings);
    lose_a_controller(&mut site, &meetings, away);
    let drained = drain(&site, &meetings);
    let (dead, killed) = kill(&mut site, &meetings);
    let outcomes =
        site.block_on(async move || join_all(meetings.into_iter().map(Meeting::end)).await);
    for outcome in &outcomes {
        check(outcome, &drained, &dead, killed);
    }
    tell_packets(outcomes.iter().filter(|outcome| !dead.contains(&outcome.name)));
}

fn tell_packets<'a>(unharmed: impl Iterator<Item = &'a Outcome>) {
    let (mut expected, mut late, mut lost) = (0, 0, 0);
    for stream in unharmed.flat_map(|it| &it.recorded).flat_map(|report| &report.streams) {
        expected += stream.packets.expected;
        late += stream.packets.lost_before_repair;
        lost += stream.packets.lost;
    }
    println!("where no MMR died: {expected} packets, {late} asked for again, {lost} lost");
}

async fn begin(site: &Site) -> Vec<Meeting> {
    for controller in 0..CONTROLLERS {
        site.all_fit(controller).await;
    }
    let started = Instant::now();
    let begun = (0..MEETINGS).map(|number| Meeting::begin(site, format!("meeting-{number}")));
    let meetings = join_all(begun).await;
    println!("60 participants joined in {:?}", started.elapsed());
    hear(&meetings, 50).await;
    meetings
}

/// Waits until everybody who records has so many more frames.
async fn hear(meetings: &[Meeting], frames: u64) -> Duration {
    let recorders = || meetings.iter().flat_map(|meeting| &meeting.recorders);
    let before: Vec<u64> = recorders().map(Recorder::frames).collect();
    let heard = async || recorders().zip(&before).all(|(now, had)| now.frames() >= had + frames);
    until("media for everybody", heard).await
}

fn spread(meetings: &[Meeting]) -> BTreeMap<String, usize> {
    let mut spread = BTreeMap::new();
    meetings.iter().for_each(|meeting| *spread.entry(meeting.mmr()).or_default() += 1);
    spread
}

fn assert_spread(meetings: &[Meeting]) {
    let spread = spread(meetings);
    println!("meetings by MMR: {spread:?}");
    let even = MEETINGS / MMRS;
    assert_eq!(spread.len(), MMRS, "some MMR has none");
    assert!(spread.values().all(|meetings| *meetings <= 2 * even), "uneven: {spread:?}");
}

/// Nobody notices: those who are there have their media, newcomers ask the other.
fn lose_a_controller(site: &mut Site, meetings: &[Meeting], away: Duration) {
    site.controllers[0].kill();
    let killed = Instant::now();
    site.block_on(async || {
        let newcomer = Meeting::begin(site, "while-one-is-away".into()).await;
        hear(std::slice::from_ref(&newcomer), 50).await;
        newcomer.end().await.assert_whole();
        tokio::time::sleep(away.saturating_sub(killed.elapsed())).await;
    });
    site.revive_controller(0);
    let back = site.block_on(async || site.all_fit(0).await);
    println!("controller away for {away:?}; knows every MMR again {back:?} after its start");
    site.block_on(async || hear(meetings, 50).await);
}

/// The fullest MMR is left by everybody, without a gap, and comes back.
fn drain(site: &Site, meetings: &[Meeting]) -> Vec<String> {
    let spread = spread(meetings);
    let (drained, _) = spread.iter().max_by_key(|(_, meetings)| **meetings).unwrap();
    let there: Vec<_> = meetings.iter().filter(|meeting| meeting.mmr() == *drained).collect();
    site.block_on(async || {
        site.order(0, drained, "drain").await;
        let started = Instant::now();
        let recorders = || there.iter().flat_map(|meeting| &meeting.recorders);
        let moved = async || recorders().all(|one| one.mmr().is_some_and(|mmr| mmr != *drained));
        let moved = until("everybody at another MMR", moved).await;
        let empty = async || site.sees(1, drained).await.participants == 0;
        until("an empty MMR", empty).await;
        let took = started.elapsed();
        println!(
            "{drained} drained: moved after {moved:?}, empty after {took:?} of {DRAIN_DEADLINE:?}"
        );
        assert!(took < DRAIN_DEADLINE);
        site.order(1, drained, "undrain").await;
        let back = async || site.sees(0, drained).await.unfit.is_none();
        println!("back {:?} after undrain", until("the MMR back", back).await);
        let mut number = 0;
        let chosen = async || {
            number += 1;
            let told = site.assign(number % CONTROLLERS, &format!("after-{number}")).await;
            told.is_ok_and(|told| told.mmr.as_str() == drained)
        };
        until("a new meeting there", chosen).await;
    });
    there.into_iter().map(|meeting| meeting.name.clone()).collect()
}

/// The fullest MMR dies. Which meetings were there, and when it was.
fn kill(site: &mut Site, meetings: &[Meeting]) -> (Vec<String>, Instant) {
    let spread = spread(meetings);
    let (dead, _) = spread.iter().max_by_key(|(_, meetings)| **meetings).unwrap();
    let bereft: Vec<_> = meetings.iter().filter(|meeting| meeting.mmr() == *dead).collect();
    site.mmr(dead).mmr.kill();
    let killed = Instant::now();
    site.block_on(async || {
        let reported = async || {
            let sees = join_all((0..CONTROLLERS).map(|at| site.sees(at, dead))).await;
            sees.iter().all(|mmr| mmr.unfit.is_some())
        };
        until("the death in the zone", reported).await;
        let reported = killed.elapsed();
        let recorders = || bereft.iter().flat_map(|meeting| &meeting.recorders);
        let elsewhere = |one: &Recorder| one.mmr().is_some_and(|mmr| mmr != *dead);
        let placed =
            async || bereft.iter().all(|meeting| meeting.recorders.iter().any(elsewhere));
        until("its meetings elsewhere", placed).await;
        let placed = killed.elapsed();
        until("everybody elsewhere", async || recorders().all(elsewhere)).await;
        let before: Vec<u64> = recorders().map(Recorder::frames).collect();
        let media =
            async || recorders().zip(&before).all(|(now, had)| now.frames() >= had + 25);
        until("media for everybody again", media).await;
        println!(
            "{dead} with {} meetings killed: reported after {reported:?}, meetings elsewhere after {placed:?}, \
             media at every participant again after {:?}",
            bereft.len(),
            killed.elapsed()
        );
        assert!(reported < REPORTED_WITHIN, "reported after {reported:?}");
        assert!(placed < PLACED_WITHIN, "placed after {placed:?}");
    });
    (bereft.into_iter().map(|meeting| meeting.name.clone()).collect(), killed)
}

/// Who did not lose its MMR lost nothing; who did, nothing until then.
fn check(outcome: &Outcome, drained: &[String], dead: &[String], killed: Instant) {
    let [is_drained, is_dead] = [drained, dead].map(|names| names.contains(&outcome.name));
    let moves = u32::from(is_drained) + u32::from(is_dead);
    assert_eq!(outcome.published.moved, moves, "{}", outcome.name);
    for report in &outcome.recorded {
        assert_eq!(report.moved, moves, "{} of {}", report.participant, outcome.name);
    }
    if is_dead {
        outcome.assert_whole_until(killed.elapsed());
    } else {
        outcome.assert_whole();
    }
}
