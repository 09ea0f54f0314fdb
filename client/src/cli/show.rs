//! Words and tables for people, JSON for programs.

use client::{LinkReport, Progress, ProgressSink, TraceStep, WayReport};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// A line on stderr that tells how far it has come; nothing when stderr is no terminal.
pub(super) fn progress(verb: &'static str) -> (ProgressBar, ProgressSink) {
    let bar = ProgressBar::new(0);
    let shape = "{msg}  {bar:30}";
    // A template that does not parse is a defect the tests of this command show; the plain style serves then.
    bar.set_style(ProgressStyle::with_template(shape).unwrap_or(ProgressStyle::default_bar()));
    let line = bar.clone();
    let sink = move |Progress { elapsed, total, streams, frames }: Progress| {
        let of = total.map(|total| format!(" of {total:.0?}")).unwrap_or_default();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        line.set_length(total.map_or(0, millis));
        line.set_position(millis(elapsed));
        line.set_message(format!("{verb} {elapsed:.1?}{of}: {streams} streams, {frames} frames"));
    };
    (bar, Arc::new(sink))
}

/// The whole report on stdout.
pub(super) fn json(report: &impl Serialize) {
    let text = serde_json::to_string_pretty(report);
    println!("{}", text.expect("reports are plain data"));
}

/// One step of the way in.
pub(super) fn step(step: &TraceStep) {
    let what = match (step.kind, step.transport) {
        (Some(kind), Some(transport)) => format!("{kind} {transport}"),
        (Some(kind), None) => kind.to_string(),
        _ => step.phase.to_string(),
    };
    let (mark, detail) = match (&step.error, &step.detail) {
        (Some(error), _) => ("FAIL", error.as_str()),
        (None, detail) => ("ok", detail.as_deref().unwrap_or("")),
    };
    let TraceStep { way, step: name, target, .. } = step;
    let (at, took) = (millis(step.at_us), millis(step.took_us));
    println!("{at:>10}  {mark:<4} {what:<13} {way:<12} {name:<10} {took:>10}  {target}  {detail}");
}

/// What each phase came to.
pub(super) fn way(way: &WayReport) {
    for phase in &way.phases {
        let through = match phase.phase {
            client::Phase::Lookup => way.proxy.as_deref(),
            client::Phase::Zone => way.zone.as_deref(),
            client::Phase::Mmr => way.tunnel.as_deref(),
            client::Phase::Media => None,
        };
        let (name, took) = (phase.phase, millis(phase.took_us));
        println!("{name:<8} {:<12} {took:>10}  {}", phase.way, through.unwrap_or_default());
    }
    for media in &way.media {
        let took = millis(media.took_us);
        println!("{:<8} {:<12} {took:>10}  over {}", media.kind, media.way, media.transport);
    }
}

/// Where the zone's controllers sent it, if they did.
pub(super) fn moves(moved: u32, mmr: Option<&str>) {
    match (mmr, moved) {
        (None, _) => {}
        (Some(mmr), 0) => println!("at {mmr}"),
        (Some(mmr), moved) => println!("at {mmr}, after {moved} moves"),
    }
}

/// How each kind travels.
pub(super) fn links(links: &[LinkReport]) {
    for link in links {
        let round_trip = Duration::from_micros(link.round_trip_us);
        println!(
            "{:<8} over {} ({}) to {}, round trip {round_trip:.1?}",
            link.kind, link.transport, link.way, link.remote
        );
        for attempt in link.attempts.iter().filter(|attempt| attempt.error.is_some()) {
            println!("         {attempt}");
        }
    }
}

/// Microseconds as milliseconds.
pub(super) fn millis(micros: u64) -> String {
    format!("{:.1} ms", Duration::from_micros(micros).as_secs_f64() * 1_000.0)
}
