//! The command line as a person or a script uses it.

use crate::stage::{PATIENCE, Stage, clip, media};
use client::Clip;
use serde_json::Value;
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::process::{Child, Command};

/// `mmr-client` with its way to this stage; killed with its handle.
pub(crate) fn command(stage: &Stage, participant: &str, command: &str) -> Command {
    let tls = stage.daemon.addresses().tls[0];
    let mut line = Command::new(env!("CARGO_BIN_EXE_mmr-client"));
    line.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    line.arg(command).args(["--mmr", &tls.to_string(), "--json"]);
    line.arg("--ca").arg(stage.dev.ca_file()).env("MMR_TOKEN", stage.token(participant));
    line
}

pub(crate) async fn output(child: Child) -> Output {
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    ended.expect("the command does not end").unwrap()
}

/// As Ctrl-C does, but for this process alone.
pub(crate) fn interrupt(child: &Child) {
    let id = nix::unistd::Pid::from_raw(child.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}\n{errors}"))
}

/// Waits until a file is there.
pub(crate) async fn file(path: &Path) {
    let there = async {
        while !path.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, there).await.unwrap_or_else(|_| panic!("no {}", path.display()));
}

#[tokio::test(flavor = "multi_thread")]
async fn record_writes_what_publish_plays_and_ends_cleanly_on_an_interrupt() {
    let stage = Stage::start();
    let folder = tempfile::tempdir().unwrap();
    let mut line = command(&stage, "ben", "record");
    let recorder = line.arg("--out").arg(folder.path()).spawn().unwrap();
    let mut line = command(&stage, "ada", "publish");
    line.arg("--audio").arg(media("clip.ogg")).arg("--video").arg(media("clip.ivf"));
    let publisher = line.args(["--duration", "3s"]).spawn().unwrap();
    let published = output(publisher).await;
    interrupt(&recorder);
    let recorded = output(recorder).await;
    assert!(published.status.success() && recorded.status.success(), "{published:?} {recorded:?}");

    let summary: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("summary.json")).unwrap())
            .unwrap();
    assert_eq!(summary, json(&recorded));
    assert_eq!(summary["participant"], "ben");
    let streams = summary["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 2, "{summary:#}");
    for stream in streams {
        let file = stream["file"].as_str().unwrap();
        let source = if stream["kind"] == "audio" { "clip.ogg" } else { "clip.ivf" };
        let ending = source.rsplit('.').next().unwrap();
        assert!(file.ends_with(&format!("ada-{}.{ending}", stream["kind"].as_str().unwrap())));
        let recorded = Clip::open(Path::new(file)).unwrap();
        let source = clip(source);
        let bytes =
            |clip: &Clip| clip.frames.iter().map(|frame| frame.data.clone()).collect::<Vec<_>>();
        // Whoever comes first, the recorder may miss the start; what it has is a run of the source's frames.
        let (recorded, source) = (bytes(&recorded), bytes(&source));
        let start = source.iter().position(|frame| *frame == recorded[0]).unwrap();
        assert!(recorded.len() > 20);
        assert_eq!(recorded, source[start..start + recorded.len()]);
    }
    assert_eq!(json(&published)["streams"][0]["kind"], "audio");
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_tells_every_step_and_that_all_transports_work() {
    let stage = Stage::start();
    let traced = output(command(&stage, "ada", "trace").spawn().unwrap()).await;
    assert!(traced.status.success(), "{traced:?}");
    let report = json(&traced);
    assert_eq!(report["works"][0]["transports"], serde_json::json!(["udp", "tcp", "tls"]));
    let steps: Vec<&str> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    let control = ["dns", "tcp", "tls", "websocket", "join", "link"];
    assert_eq!(steps[..control.len()], control);
    // Over IPv4 and IPv6 each.
    let udp = ["udp socket", "stun", "udp socket", "stun"];
    let tcp = ["tcp", "stun", "tcp", "stun"];
    let tls = ["tcp", "tls", "stun", "tcp", "tls", "stun"];
    assert_eq!(steps[control.len()..], [&udp[..], &tcp, &tls].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_what_went_wrong_and_tokens_are_never_shown() {
    let stage = Stage::start();
    let bad_token = "not.a.token-but-a-secret";
    let mut refused = command(&stage, "ada", "trace");
    refused.env("MMR_TOKEN", bad_token);
    let folder = tempfile::tempdir().unwrap();
    let mut record = command(&stage, "ada", "record");
    record.arg("--out").arg(folder.path()).env("MMR_TOKEN", bad_token);
    let mut no_file = command(&stage, "ada", "publish");
    no_file.args(["--audio", "/nowhere/clip.ogg"]);
    let mut nobody = command(&stage, "ada", "trace");
    nobody.args(["--kind", "video"]).env("MMR_TOKEN", "x");
    let mut untrusted = Command::new(env!("CARGO_BIN_EXE_mmr-client"));
    untrusted.args(["record", "--mmr", "127.0.0.1:1", "--token", bad_token, "--out"]);
    untrusted.arg(folder.path()).arg("--ca").arg(stage.dev.ca_file());
    untrusted.stdout(Stdio::piped()).stderr(Stdio::piped());
    for (mut line, code, words) in [
        (refused, 3, "BadToken"),
        (record, 4, "BadToken"),
        (no_file, 2, "/nowhere/clip.ogg"),
        (nobody, 3, "join"),
        (untrusted, 3, "127.0.0.1:1 does not take TCP connections"),
    ] {
        let ended = output(line.spawn().unwrap()).await;
        let said = [&ended.stdout[..], &ended.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_no_way_in_is_told_what_failed_and_where_a_browser_may_go() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let page = format!("https://127.0.0.1:{nobody}/j/01234567890");
    let stage = Stage::start();
    let join = |link: &str| {
        let mut line = Command::new(env!("CARGO_BIN_EXE_mmr-client"));
        line.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        line.args(["join", "--json", "--proxy", "none", "--ca"]).arg(stage.dev.ca_file());
        line.arg("--record").arg(folder.path()).env("MMR_MEETING", link);
        line
    };
    let unreachable = output(join(&format!("{page}#open.sesame")).spawn().unwrap()).await;
    assert_eq!(unreachable.status.code(), Some(3), "{unreachable:?}");
    let report = json(&unreachable);
    assert_eq!(report["failed"]["link"], page);
    let step = &report["failed"]["way"]["steps"][0];
    assert_eq!((&step["phase"], &step["way"]), (&Value::from("lookup"), &Value::from("direct")));
    assert!(step["error"].as_str().unwrap().contains("refused"), "{report:#}");

    let link = folder.path().join("link");
    std::fs::write(&link, format!("{page}#open.sesame\n")).unwrap();
    let mut traced = Command::new(env!("CARGO_BIN_EXE_mmr-client"));
    traced.arg("trace").arg("--meeting").arg(format!("@{}", link.display()));
    traced.arg("--ca").arg(stage.dev.ca_file()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let traced = output(traced.spawn().unwrap()).await;
    assert_eq!(traced.status.code(), Some(3), "{traced:?}");

    let broken = output(join(&page).spawn().unwrap()).await;
    assert_eq!(broken.status.code(), Some(2), "{broken:?}");
    for ended in [unreachable, traced, broken] {
        let said = [&ended.stdout[..], &ended.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(!said.contains("sesame"), "{said}");
    }
}
