//! Configuration: what is refused, and with which words; and the command line.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::Bed;
use expect_test::{Expect, expect};
use std::path::Path;
use std::process::Command;
use zone_controller::config::Config;

const FILE: &str = "/etc/zone-controller/zone-controller.toml";

const REQUIRED: &str = "\
zone = \"z\"
name = \"zc\"
[tls]
certificate = \"certificate.pem\"
key = \"key.pem\"
[tokens]
keys = \"keys.json\"
signing_key = \"signing.pem\"
[agents]
authority = \"agents.pem\"
";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new(FILE), text).map_err(|error| error.to_string())
}

/// What is said about the required keys and these.
fn check(more: &str, expected: Expect) {
    let said = parse(&format!("{REQUIRED}{more}")).err();
    expected.assert_eq(&said.unwrap_or_else(|| "it can be used".to_owned()));
}

#[test]
fn the_commented_file_shows_every_key_with_its_default() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zone-controller.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let as_it_stands = parse(&text).unwrap();
    // A commented key has no space behind its hash, prose has.
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    let all: String = text.lines().map(uncomment).collect();
    assert_eq!(parse(&all).unwrap(), as_it_stands, "every default is told as it is");
    let empty = text.replace("authority = \"/etc", "#authority = \"/etc");
    assert!(parse(&empty).unwrap_err().contains("agents.authority"));
}

#[test]
fn says_where_what_and_what_to_do() {
    check("", expect!["it can be used"]);
    check(
        "[store]\nkind = \"etcd\"\nendpoints = [\"https://e:2379\"]\n",
        expect!["it can be used"],
    );
    check(
        "[listen]\nprot = 443\n",
        expect![
            "/etc/zone-controller/zone-controller.toml:12: listen.prot: unknown field `prot`, expected `addresses` or `port`. Mend the key's name or remove it; zone-controller.toml of the source tree lists every key."
        ],
    );
    check(
        "[store]\nkind = \"postgres\"\n",
        expect![[
            r#"/etc/zone-controller/zone-controller.toml:12: store.kind: "postgres" is no such value. Use "redb" for one controller, "etcd" for several."#
        ]],
    );
    check(
        "[store]\nkind = \"etcd\"\n",
        expect![[
            r#"/etc/zone-controller/zone-controller.toml:11: store.endpoints: the key is missing and has no default. List the cluster's members, such as ["https://etcd-1.example.org:2379"]."#
        ]],
    );
    check(
        "[store]\nkind = \"etcd\"\nendpoints = [\"etcd-1:2379\"]\n",
        expect![[
            r#"/etc/zone-controller/zone-controller.toml:13: store.endpoints: these are no URLs of etcd's members. List the cluster's members, such as ["https://etcd-1.example.org:2379"]."#
        ]],
    );
    check(
        "[placement]\nfull_percent = 70\nfull_for_meetings_percent = 80\n",
        expect![
            "/etc/zone-controller/zone-controller.toml:13: placement.full_for_meetings_percent: new meetings would be placed where no participant fits. Let full_for_meetings_percent be at most full_percent."
        ],
    );
    check(
        "[placement]\nstale = \"1s\"\n",
        expect![[
            r#"/etc/zone-controller/zone-controller.toml:12: placement.stale: "1s" is no such value. Write a whole number and its unit, such as "500ms", "90s", "10m" or "2h": 2 s to 60 s."#
        ]],
    );
    check(
        "[placement]\nstrategy = \"best\"\n",
        expect![[
            r#"/etc/zone-controller/zone-controller.toml:12: placement.strategy: "best" is no such value. Use "corrected", "two-choices", "least-loaded" or "random"."#
        ]],
    );
    check(
        "[limits]\nassigns_at_once = 0\n",
        expect![
            "/etc/zone-controller/zone-controller.toml:12: limits.assigns_at_once: 0 is out of range. Use a number from 1 to 1000000."
        ],
    );
}

/// `zone-controller check` of a bed's configuration: exit code, and what it says.
fn run_check(bed: &Bed, more: &str) -> (i32, String) {
    let file = bed.dir.path().join("zc.toml");
    std::fs::write(&file, bed.text("zc", more)).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_zone-controller"))
        .args(["check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    let said = [run.stdout, run.stderr].concat();
    let said = String::from_utf8(said).unwrap().replace(bed.dir.path().to_str().unwrap(), "DIR");
    (run.status.code().unwrap(), said)
}

#[test]
fn check_reads_every_file_and_names_the_one_that_is_wrong() {
    let bed = Bed::new();
    assert_eq!(run_check(&bed, ""), (0, "DIR/zc.toml can be used\n".to_owned()));
    for (name, key) in [
        ("certificate.pem", "tls.certificate"),
        ("key.pem", "tls.key"),
        ("token-keys.json", "tokens.keys"),
        ("signing-key.pem", "tokens.signing_key"),
        ("authority.pem", "agents.authority"),
        ("agents", "agents.tokens"),
        ("operators", "operators.tokens"),
    ] {
        let bed = Bed::new();
        bed.write(name, "rubbish");
        let (code, said) = run_check(&bed, "");
        assert_eq!(code, 78, "{said}");
        assert!(said.contains(key) && said.contains("DIR/zc.toml:"), "{key}: {said}");
    }
}

#[test]
fn a_line_that_cannot_be_understood_ends_with_64_and_help_with_0() {
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_zone-controller")).args(args).output().unwrap()
    };
    assert_eq!(run(&["fly"]).status.code(), Some(64));
    for args in [&["--help"][..], &["run", "--help"], &["simulate", "--help"]] {
        let help = run(args);
        assert_eq!(help.status.code(), Some(0));
        assert!(String::from_utf8(help.stdout).unwrap().contains("zone-controller"));
    }
    let missing = run(&["run", "--config", "/nowhere/zc.toml"]);
    assert_eq!(missing.status.code(), Some(78));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("/nowhere/zc.toml"));
}

#[test]
fn simulate_prints_every_strategy_and_plots_them() {
    let dir = tempfile::tempdir().unwrap();
    let html = dir.path().join("plots.html");
    let run = Command::new(env!("CARGO_BIN_EXE_zone-controller"))
        .args(["simulate", "--mmrs", "50", "--joins", "2000", "--deaths", "2", "--html"])
        .arg(&html)
        .output()
        .unwrap();
    let said = String::from_utf8(run.stdout).unwrap();
    let page = std::fs::read_to_string(html).unwrap();
    for strategy in ["random", "least-loaded", "two-choices", "corrected"] {
        assert!(
            said.contains(strategy) && page.contains(&format!("<h2>{strategy}</h2>")),
            "{said}"
        );
    }
    assert!(!page.contains("http"), "nothing is loaded from elsewhere");
}
