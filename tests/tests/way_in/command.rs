//! `mmr-client join` as people use it: publishes and records at once, and says how it got there.

use crate::site::Site;
use client::Clip;
use serde_json::{Value, json};
use std::path::Path;
use tests::media;

/// Two files are published for a while, and recorded as they are.
pub fn joins(site: &Site, host: usize) {
    let folder = site.folder().join("joined");
    let (audio, video) = (media("clip.ogg"), media("clip.ivf"));
    let said = site.seat(host).command(
        &site.meeting(),
        &[
            ["join", "--json", "--name", "ada", "--duration", "2s"].as_slice(),
            &["--audio", text(&audio), "--video", text(&video), "--record", text(&folder)],
        ]
        .concat(),
    );
    assert!(said.status.success(), "{said:?}");
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    for who in ["publish", "record"] {
        let phases = report[who]["way"]["phases"].as_array().unwrap();
        let phases: Vec<_> = phases.iter().map(|one| one["phase"].clone()).collect();
        assert_eq!(json!(phases), json!(["lookup", "zone", "mmr", "media"]), "{report:#}");
        assert_eq!(report[who]["way"]["zone"], "near");
    }
    assert!(report["publish"]["participant"].as_str().unwrap().starts_with("ada-"));
    assert!(report["record"]["participant"].as_str().unwrap().starts_with("ada-recorder-"));
    let streams = report["record"]["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 2, "{report:#}");
    for stream in streams {
        let recorded = frames(Path::new(stream["file"].as_str().unwrap()));
        let sent = frames(if stream["kind"] == "audio" { &audio } else { &video });
        // Who records joined first, and yet may hear of a stream a moment after it began.
        let from = sent.iter().position(|frame| *frame == recorded[0]).unwrap();
        assert!(recorded.len() > 30, "{stream:#}");
        assert_eq!(recorded, sent[from..from + recorded.len()], "{stream:#}");
    }
    let summary = std::fs::read(folder.join("summary.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&summary).unwrap(), report["record"]);
}

fn frames(file: &Path) -> Vec<Vec<u8>> {
    Clip::open(file).unwrap().frames.into_iter().map(|frame| frame.data.to_vec()).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
