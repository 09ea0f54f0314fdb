//! Host tuning: `tuning/check` changes nothing, `tuning/apply` records what it replaces, `tuning/revert` restores it.
//!
//! With real knobs, but only those of a network namespace: the host that runs the tests stays as it is.
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tests::{Host, is_root};

const CARD: &str = "card0";

/// Knobs that belong to the namespace; everything else would change the host.
const OURS: [&str; 6] = ["--only", "somaxconn", "--only", CARD, "--only", "conntrack"];

#[test]
fn revert_restores_exactly_what_apply_replaced() {
    let Some(bench) = Bench::new() else { return };
    let before = bench.knobs();
    bench.tuning("apply", &OURS).says(0, "0 could not be");
    let applied = bench.knobs();
    assert_ne!(applied, before);
    assert!(applied.contains("udp dport 8801 notrack"), "{applied}");
    bench.tuning("check", &OURS).says(0, "0 to apply");
    bench.tuning("revert", &[]).says(0, "0 could not be");
    assert_eq!(bench.knobs(), before);
    assert!(!bench.state.exists());
    bench.tuning("revert", &[]).says(0, "nothing to restore");
}

#[test]
fn apply_run_again_keeps_what_was_there_at_first() {
    let Some(bench) = Bench::new() else { return };
    let before = bench.knobs();
    bench.tuning("apply", &OURS).says(0, "0 could not be");
    bench.tuning("apply", &OURS).says(0, "0 set, 0 could not be");
    // Somebody changes a knob, and apply sets it again: not what it was then, but what it was at first.
    bench.shell(&format!("ethtool -K {CARD} gro off"));
    bench.tuning("apply", &OURS).says(0, "1 set, 0 could not be");
    bench.tuning("apply", &[&OURS[..], &["--workers", "0", "--port", "8802"]].concat());
    bench.tuning("revert", &[]).says(0, "0 could not be");
    assert_eq!(bench.knobs(), before);
}

#[test]
fn check_and_dry_runs_change_nothing() {
    let Some(bench) = Bench::new() else { return };
    let before = bench.knobs();
    bench.tuning("check", &OURS).says(1, &format!("! {CARD} generic receive offload (GRO)"));
    bench.tuning("apply", &[&OURS[..], &["--dry-run"]].concat()).says(0, "would set");
    assert_eq!(bench.knobs(), before);
    assert!(!bench.state.exists());
    bench.tuning("apply", &OURS);
    let applied = bench.knobs();
    bench.tuning("revert", &["--dry-run"]).says(0, "would restore");
    assert_eq!(bench.knobs(), applied);
    assert!(bench.state.exists());
}

#[test]
fn check_as_json_says_the_same_as_its_table() {
    let Some(bench) = Bench::new() else { return };
    let output = bench.tuning("check", &[&OURS[..], &["--json"]].concat()).0;
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["as_wanted"], false);
    let find = |knob: &str| {
        let knobs = report["knobs"].as_array().unwrap();
        knobs.iter().find(|entry| entry["knob"] == knob).unwrap().clone()
    };
    let somaxconn = find("net.core.somaxconn");
    assert_eq!(somaxconn["state"], "differs");
    assert_eq!((&somaxconn["now"], &somaxconn["wanted"]), (&"128".into(), &">=1024".into()));
    // A veth pair has no rings.
    assert_eq!(find(&format!("{CARD} receive ring"))["state"], "absent");
    assert_eq!(find(&format!("{CARD} rx-udp-gro-forwarding"))["wanted"], "any");
}

#[test]
fn what_a_host_lacks_is_no_error() {
    let Some(bench) = Bench::new() else { return };
    bench.tuning("check", &["--only", "' ring'"]).says(0, "not here");
    bench.tuning("apply", &["--only", "' ring'"]).says(0, "0 set, 0 could not be");
}

#[test]
fn each_change_is_recorded_before_it_is_made_and_a_refused_one_is_told() {
    let Some(bench) = Bench::new() else { return };
    // An ethtool whose card has rings, refuses to change coalescing, and sees that the record comes first.
    let tool = r#"#!/bin/sh
        values="$(dirname "$0")"
        case $1 in
        -g) printf 'Pre-set maximums:\nRX:\t\t1024\nTX:\t\t8192\n'
            printf 'Current hardware settings:\nRX:\t\t%s\nTX:\t\t%s\n' "$(cat "$values/rx")" "$(cat "$values/tx")" ;;
        -G) grep -q "ring $3" "$values/state" || { echo 'not recorded' >&2; exit 1; }
            echo "$4" > "$values/$3" ;;
        -c) printf 'Adaptive RX: n/a  TX: n/a\nrx-usecs:\t500\n' ;;
        -C) echo 'netlink error: Invalid argument' >&2; exit 1 ;;
        esac"#;
    let tool_path = bench.folder.path().join("ethtool");
    fs::write(&tool_path, tool).unwrap();
    bench.shell(&format!("chmod +x {}", tool_path.display()));
    let value = |ring: &str| fs::read_to_string(bench.folder.path().join(ring)).unwrap();
    fs::write(bench.folder.path().join("rx"), "256\n").unwrap();
    fs::write(bench.folder.path().join("tx"), "512\n").unwrap();
    let knobs = ["--only", "' ring'", "--only", "coalescing"];
    let told = format!(
        "FAILED  {CARD} coalescing ({CARD} coalesce rx-usecs): stays 500: Invalid argument"
    );
    bench.tuning("apply", &knobs).says(1, &told).says(1, "2 set, 1 could not be");
    // No more than the card can do.
    assert_eq!((value("rx").trim(), value("tx").trim()), ("1024", "2048"));
    assert!(!fs::read_to_string(&bench.state).unwrap().contains("coalesc"));
    fs::write(bench.folder.path().join("tx"), "4096\n").unwrap();
    bench.tuning("revert", &[]).says(0, "somebody set it to 4096 since");
    assert_eq!((value("rx").trim(), value("tx").trim()), ("256", "512"));
}

#[test]
fn a_record_of_an_earlier_boot_or_of_something_else_is_not_used() {
    let Some(bench) = Bench::new() else { return };
    let before = bench.knobs();
    let target = "/proc/sys/net/core/somaxconn";
    let stale = "00000000-0000-0000-0000-000000000000";
    fs::write(&bench.state, format!("{stale}\nfile|{target}|1|1024|net.core.somaxconn\n")).unwrap();
    bench.tuning("revert", &[]).says(0, "from before the last boot");
    assert_eq!(bench.knobs(), before);
    fs::write(&bench.state, "shopping list\n").unwrap();
    bench.tuning("revert", &[]).says(1, "move it away");
    bench.tuning("apply", &OURS).says(1, "move it away");
    assert_eq!(bench.knobs(), before);
    assert_eq!(fs::read_to_string(&bench.state).unwrap(), "shopping list\n");
}

#[test]
fn the_command_line_is_explained() {
    for script in ["check", "apply", "revert"] {
        Ran(tuning(script).arg("--help").output().unwrap()).says(0, "Exit codes");
        Ran(tuning(script).arg("--sideways").output().unwrap()).says(64, "--help tells more");
    }
    for wrong in [["--nic", "none9"], ["--workers", "0-"], ["--port", "0"], ["--only", "nothing"]] {
        Ran(tuning("check").args(wrong).output().unwrap()).says(64, "--help tells more");
    }
}

/// A network of its own with a card, and a firewall that tracks connections.
struct Bench {
    host: Host,
    folder: tempfile::TempDir,
    state: PathBuf,
}

impl Bench {
    /// None without root.
    fn new() -> Option<Self> {
        if !is_root() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let bench = Self { host: Host::new(), folder, state };
        let veth = "numrxqueues 2 numtxqueues 2 type veth peer name peer0";
        bench.host.command(&format!("ip link add {CARD} {veth}"));
        bench.host.nft(
            "add table inet firewall
             add chain inet firewall input { type filter hook input priority 0; }
             add rule inet firewall input ct state established accept
            ",
        );
        bench.shell("echo 128 > /proc/sys/net/core/somaxconn");
        bench.shell(&format!("ethtool -K {CARD} gro off tx-udp-segmentation off"));
        bench.shell(&format!("echo 1 > /sys/class/net/{CARD}/queues/rx-1/rps_cpus"));
        Some(bench)
    }

    /// Runs a script of tuning/ in this network, on the card, with one worker.
    fn tuning(&self, script: &str, arguments: &[&str]) -> Ran {
        let mut line = format!("{} --state {}", path(script).display(), self.state.display());
        match script {
            "check" => line = format!("{} --nic {CARD} --workers 0", path(script).display()),
            "apply" => line += &format!(" --nic {CARD} --workers 0"),
            _ => {}
        }
        Ran(self.run(&format!("{line} {}", arguments.join(" "))))
    }

    /// Everything that may change, as text.
    fn knobs(&self) -> String {
        self.shell(&format!(
            "cat /proc/sys/net/core/somaxconn; ethtool -k {CARD}; nft list ruleset;
             grep -r . /sys/class/net/{CARD}/queues/ /sys/class/net/{CARD}/napi_defer_hard_irqs"
        ))
    }

    fn shell(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// /sys shows the network it was mounted in, so it is mounted again. A tool in our folder comes first.
    fn run(&self, line: &str) -> Output {
        let script = format!("mount -t sysfs sysfs /sys && {line}");
        let tools = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).env("PATH", tools);
        self.host.run(|| command.output().unwrap())
    }
}

/// What a script said.
struct Ran(Output);

impl Ran {
    #[track_caller]
    fn says(&self, code: i32, text: &str) -> &Self {
        let Output { status, stdout, stderr } = &self.0;
        let all = String::from_utf8_lossy(stdout) + String::from_utf8_lossy(stderr);
        assert_eq!(status.code(), Some(code), "{all}");
        assert!(all.contains(text), "{text:?} is not in:\n{all}");
        self
    }
}

fn tuning(script: &str) -> Command {
    Command::new(path(script))
}

fn path(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tuning").join(script).canonicalize().unwrap()
}
