//! The committed object of the wire's counter is what its source says.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("xdp")
}

fn contains(object: &[u8], text: &str) -> bool {
    object.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_object_was_built_from_the_source_beside_it() {
    let source = fs::read(folder().join("count.c")).unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &source);
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let object = fs::read(folder().join("count.o")).unwrap();
    assert!(contains(&object, &hash), "count.c has changed: run benches/xdp/build and commit");
}

/// Hashes can be forged; machine code has to come out the same.
#[test]
fn the_object_can_be_built_again() {
    let object = fs::read(folder().join("count.o")).unwrap();
    let clang = Command::new("clang").arg("--version").output();
    let compiler = clang.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let same = compiler.ok().and_then(|text| text.lines().next().map(|it| contains(&object, it)));
    if same != Some(true) {
        eprintln!("left out: the compiler that built count.o is not here");
        return;
    }
    let again = tempfile::NamedTempFile::new().unwrap();
    let status = Command::new(folder().join("build")).arg(again.path()).status().unwrap();
    assert!(status.success());
    assert!(fs::read(again.path()).unwrap() == object, "benches/xdp/build makes another count.o");
}
