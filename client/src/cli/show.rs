//! Words and tables for people, JSON for programs.

use client::{LinkReport, Progress, ProgressSink};
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
            "{:<8} over {} to {}, round trip {round_trip:.1?}",
            link.kind, link.transport, link.remote
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
