//! MMRs that nobody hears of: their agent hangs, or their host is off the network.

use crate::meeting::Meeting;
use crate::site::{CONTROLLERS, Site};
use crate::{alone, until};
use client::Recorder;
use futures_util::future::join_all;
use std::time::{Duration, Instant};
use tests::is_root;

#[test]
fn an_mmr_whose_agent_is_silent_gets_nothing_new_and_keeps_what_it_has() {
    if !is_root() {
        return;
    }
    let _alone = alone();
    let mut site = Site::start(2);
    let meeting = site.block_on(async || {
        join_all((0..CONTROLLERS).map(|at| site.all_fit(at))).await;
        Meeting::begin(&site, "standup".into()).await
    });
    let silent = meeting.mmr();
    site.silence_agent(&silent, true);
    let stopped = Instant::now();
    site.block_on(async || {
        let stale = async || {
            let sees = join_all((0..CONTROLLERS).map(|at| site.sees(at, &silent))).await;
            sees.iter().all(|mmr| mmr.unfit.as_deref() == Some("stale"))
        };
        until("that nobody hears of it", stale).await;
        let known = stopped.elapsed();
        println!("known after {known:?}");
        assert!(known < Duration::from_millis(4_500), "known after {known:?}");
        for number in 0..20 {
            let told = site.assign(number % CONTROLLERS, &format!("new-{number}")).await.unwrap();
            assert_ne!(told.mmr.as_str(), silent);
        }
    });
    site.silence_agent(&silent, false);
    site.block_on(async || {
        for controller in 0..CONTROLLERS {
            site.all_fit(controller).await;
        }
        let mut number = 0;
        let chosen = async || {
            number += 1;
            let told = site.assign(number % CONTROLLERS, &format!("later-{number}")).await;
            told.is_ok_and(|told| told.mmr.as_str() == silent)
        };
        until("a new meeting there", chosen).await;
        let outcome = meeting.end().await;
        assert_eq!(outcome.published.moved, 0);
        outcome.assert_whole();
    });
}

#[test]
fn participants_of_an_mmr_whose_host_is_off_the_network_go_on_elsewhere() {
    if !is_root() {
        return;
    }
    let _alone = alone();
    let site = Site::start(2);
    site.block_on(async || {
        join_all((0..CONTROLLERS).map(|at| site.all_fit(at))).await;
        let meeting = Meeting::begin(&site, "standup".into()).await;
        let lost = meeting.mmr();
        site.unplug(&lost);
        let unplugged = Instant::now();
        let elsewhere = |one: &Recorder| one.mmr().is_some_and(|mmr| mmr != lost);
        until("everybody elsewhere", async || meeting.recorders.iter().all(elsewhere)).await;
        let placed = unplugged.elapsed();
        let before: Vec<u64> = meeting.recorders.iter().map(Recorder::frames).collect();
        let media = async || {
            let mut both = meeting.recorders.iter().zip(&before);
            both.all(|(now, had)| now.frames() >= had + 25)
        };
        until("media for everybody again", media).await;
        println!("elsewhere after {placed:?}, media again after {:?}", unplugged.elapsed());
        meeting.end().await;
    });
}
