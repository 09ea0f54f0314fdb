//! The committed object of the program in the kernel is what its source says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../mmr/bpf")
}

fn contains(object: &[u8], text: &str) -> bool {
    object.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn the_object_was_built_from_the_source_beside_it() {
    let hash = Command::new("sha256sum").arg(folder().join("express.c")).output().unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    let object = fs::read(folder().join("express.o")).unwrap();
    let said = hash.split(' ').next().unwrap();
    assert!(contains(&object, said), "express.c has changed: run mmr/bpf/build and commit");
}

/// Hashes can be forged; machine code has to come out the same.
#[test]
fn the_object_can_be_built_again() {
    let object = fs::read(folder().join("express.o")).unwrap();
    let clang = Command::new("clang").arg("--version").output();
    let compiler = clang.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let same = compiler.ok().and_then(|text| text.lines().next().map(|it| contains(&object, it)));
    if same != Some(true) {
        eprintln!("left out: the compiler that built express.o is not here");
        return;
    }
    let again = tempfile::NamedTempFile::new().unwrap();
    let status = Command::new(folder().join("build")).arg(again.path()).status().unwrap();
    assert!(status.success());
    assert!(fs::read(again.path()).unwrap() == object, "mmr/bpf/build makes another express.o");
}

#[test]
fn the_program_and_the_router_agree_on_their_limits() {
    let source = fs::read_to_string(folder().join("express.c")).unwrap();
    let defined = |name: &str| -> u64 {
        let line = source.lines().find(|line| line.starts_with(&format!("#define {name} ")));
        line.unwrap().split(' ').next_back().unwrap().parse().unwrap()
    };
    assert_eq!(defined("DESTINATIONS_MAX"), u64::from(router::limits::DESTINATIONS_MAX));
    assert_eq!(defined("CHUNK"), mmr::express::limits::CHUNK as u64);
    assert_eq!(defined("PACKET_BYTES_MIN"), u64::from(router::limits::POLICE_PACKET_BYTES_MIN));
}
