//! The README's first command, as an ordinary user runs it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tests::{Host, binary, is_root};

#[test]
fn an_ordinary_user_sees_everything_arrive_and_hears_of_other_ports() {
    let folder = tempfile::tempdir().unwrap();
    // Where any user may run it, wherever this checkout lies.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("zone");
    std::fs::copy(binary("zone"), &program).unwrap();
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    }
    command.arg(&program).args(["demo", "--json"]);
    let output = if is_root() { Host::new().run(|| command.output()) } else { command.output() };
    let output = output.unwrap();
    let (said, remarks) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}{remarks}");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
    assert_eq!(rows.len(), 8 * 3);
    for way in ["proxy", "proxy_and_tunnel"] {
        let came = rows.iter().filter(|row| row["way"] == *way && row["transport"] == "tls");
        assert_eq!(came.count(), 3, "{way}: {said}");
    }
    for row in &rows {
        assert_eq!(row["frames_identical"], row["frames_published"], "{row}");
        assert_eq!(row["lost"], 0, "{row}");
        let (zone, mmr) = row["mmr"].as_str().unwrap().split_once('/').unwrap();
        assert!(["north", "south"].contains(&zone) && ["mmr-1", "mmr-2"].contains(&mmr), "{row}");
    }
    for meeting in ["standup", "review"] {
        let mut of_it = rows.iter().filter(|row| row["meeting"] == *meeting).map(|row| &row["mmr"]);
        let first = of_it.next().unwrap();
        assert!(of_it.all(|mmr| mmr == first), "a meeting is in one zone, at one MMR: {said}");
    }
    if is_root() {
        assert!(remarks.contains("443") && remarks.contains("Free ports"), "{remarks}");
    }
}
