//! Replays the corpus of every fuzz target: seeds, and whatever once crashed.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::path::PathBuf;

#[test]
fn every_corpus_file_passes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, check) in checks::TARGETS {
        let mut replayed = 0;
        for entry in std::fs::read_dir(folder.join(name)).unwrap() {
            let path = entry.unwrap().path();
            // Printed only when the check fails.
            println!("replaying {}", path.display());
            check(&std::fs::read(&path).unwrap());
            replayed += 1;
        }
        assert!(replayed > 0, "{name} has no corpus");
    }
}

/// A target without its folder, or a folder without its target, would go unnoticed.
#[test]
fn every_target_is_replayed() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert_eq!(files, checks::TARGETS.map(|(name, _)| name));
}
