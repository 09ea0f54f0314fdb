//! `mmr-client publish`.

use super::args::{Media, PublishArgs};
use super::{Exit, show, stop};
use client::{ClientError, Clip, PublishOptions, PublishReport, Publisher, Source};
use std::path::PathBuf;
use std::sync::Arc;
use wire::Kind;

pub(super) async fn run(args: PublishArgs) -> Result<Exit, ClientError> {
    let PublishArgs { at, media, duration } = args;
    let (sources, repeat) = (sources(&media)?, media.repeat);
    let publisher =
        Publisher::join(PublishOptions { join: at.join()?, sources, repeat, duration }).await?;
    let (bar, progress) = show::progress("publishing");
    let report = publisher.run(stop(None), &progress).await;
    bar.finish_and_clear();
    let report = report?;
    if at.network.json {
        show::json(&report)
    } else {
        show(&report)
    }
    Ok(Exit::Done)
}

pub(super) fn sources(args: &Media) -> Result<Vec<Source>, ClientError> {
    let audio: Vec<PathBuf> = args.audio.iter().cloned().collect();
    let all = [(Kind::Audio, &audio), (Kind::Video, &args.video), (Kind::Content, &args.content)];
    let mut sources = Vec::new();
    for (kind, files) in all.into_iter().filter(|(_, files)| !files.is_empty()) {
        let clips = files.iter().map(|file| Clip::open(file).map(Arc::new));
        sources.push(Source { kind, layers: clips.collect::<Result<_, _>>()? });
    }
    Ok(sources)
}

pub(super) fn show(report: &PublishReport) {
    println!("{} published for {:.1} s", report.participant, seconds(report.duration_ms));
    show::moves(report.moved, report.mmr.as_deref());
    for stream in &report.streams {
        let sent = &stream.statistics;
        println!(
            "{:<8} {} frames, {} packets, {} sent again, {} keyframes asked for",
            stream.kind, sent.frames, sent.packets, sent.resent, sent.keyframe_requests
        );
    }
    show::links(&report.links);
}

pub(super) fn seconds(millis: u64) -> f64 {
    std::time::Duration::from_millis(millis).as_secs_f64()
}
