//! `mmr-client record`.

use super::args::RecordArgs;
use super::publish::seconds;
use super::{Exit, show, stop};
use client::{ClientError, RecordOptions, RecordReport, Recorder, StreamReport};
use std::path::Path;
use wire::Kind;

/// What the report is also written to, beside the recordings.
const SUMMARY: &str = "summary.json";

pub(super) async fn run(args: RecordArgs) -> Result<Exit, ClientError> {
    let RecordArgs { at, out, kinds, max_layer, duration } = args;
    let kinds = if kinds.is_empty() { Kind::ALL.to_vec() } else { kinds };
    let (join, folder) = (at.join()?, Some(out.clone()));
    let recorder = Recorder::join(RecordOptions { join, kinds, max_layer, folder }).await?;
    let (bar, progress) = show::progress("recording");
    let report = recorder.run(stop(duration), duration, &progress).await;
    bar.finish_and_clear();
    let report = report?;
    write_summary(&out, &report)?;
    if at.network.json {
        show::json(&report)
    } else {
        show(&report)
    }
    Ok(Exit::Done)
}

pub(super) fn write_summary(folder: &Path, report: &RecordReport) -> Result<(), ClientError> {
    let path = folder.join(SUMMARY);
    let text = serde_json::to_vec_pretty(report).expect("reports are plain data");
    std::fs::write(&path, text).map_err(|cause| ClientError::Write { path, cause })
}

pub(super) fn show(report: &RecordReport) {
    println!("{} recorded for {:.1} s", report.participant, seconds(report.duration_ms));
    show::moves(report.moved, report.mmr.as_deref());
    for stream in &report.streams {
        show_stream(stream);
    }
    if report.streams.is_empty() {
        println!("nobody published anything");
    }
    show::links(&report.links);
}

fn show_stream(stream: &StreamReport) {
    let packets = &stream.packets;
    println!(
        "{} {}: {} frames ({} incomplete), packets {} expected, {} delivered, {} repaired, {} lost",
        stream.participant,
        stream.kind,
        stream.frames,
        stream.frames_incomplete,
        packets.expected,
        packets.delivered,
        packets.repaired,
        packets.lost,
    );
    if let Some(latency) = stream.latency_us {
        let (p50, p99) = (show::millis(latency.p50), show::millis(latency.p99));
        println!("  latency {p50}, 99 of 100 packets within {p99}");
    }
    match stream.dscp {
        Some(dscp) => println!("  DSCP {:?}", dscp.iter().collect::<Vec<_>>()),
        None => println!("  DSCP unknown: seen on TCP and TLS only with CAP_NET_RAW"),
    }
    match &stream.file {
        Some(file) => println!("  in {}", file.display()),
        None => println!("  no file: nothing that can be decoded came"),
    }
}
