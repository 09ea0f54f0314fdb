//! What is said when a configuration can't be used, and `mmr-web check`.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::Bed;
use expect_test::{Expect, expect};
use std::path::Path;
use std::process::Command;
use web::config::{Config, Limits, Store};

const LEAST: &str = "url = \"https://meet.example.org/\"\n\
    [tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n\
    [tokens]\nsigning_keys = [\"s.pem\"]\n\
    [[zones]]\nname = \"example\"\ncontrollers = [\"https://zc.example.org\"]\n";

fn parse(text: &str) -> Result<Config, String> {
    let file = Path::new("/etc/mmr-web/mmr-web.toml");
    Config::parse(file, text).map_err(|error| error.to_string())
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&parse(text).err().unwrap_or_default());
}

#[test]
fn the_least_that_must_be_written_is_enough() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.url, "https://meet.example.org");
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.store, Store::Sqlite("/var/lib/mmr-web/web.db".into()));
    assert_eq!(config.health.authority, Path::new("/etc/ssl/certs/ca-certificates.crt"));
    assert_eq!(config.signing_keys, [Path::new("/etc/mmr-web/s.pem")]);
}

#[test]
fn the_example_lists_every_key_with_its_default() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../mmr-web.toml");
    let example = std::fs::read_to_string(file).unwrap();
    let is_key = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ")
            && key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
    };
    let uncommented: String = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if is_key(rest) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let (plain, full) = (parse(&example).unwrap(), parse(&uncommented).unwrap());
    assert_eq!(plain, full);
    assert_eq!(uncommented.matches("\nguesses_").count(), 4, "{uncommented}");
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_its_remedy() {
    check(
        "",
        expect![[
            r#"/etc/mmr-web/mmr-web.toml:1: url: the key is missing and has no default. Write what meetings' links begin with, such as "https://meet.example.org"."#
        ]],
    );
    check(
        &LEAST.replace("https://meet", "http://meet"),
        expect![[
            r#"/etc/mmr-web/mmr-web.toml:1: url: this is no such URL. Write what meetings' links begin with, such as "https://meet.example.org"."#
        ]],
    );
    check(
        &LEAST.replace("https://zc.example.org", "https://zc.example.org/v1"),
        expect![[
            r#"/etc/mmr-web/mmr-web.toml:9: zones.controllers: "https://zc.example.org/v1" is no such URL. Write https://, a host, and a port if need be."#
        ]],
    );
    check(
        &LEAST.replace("\"https://zc.example.org\"", ""),
        expect![[
            r#"/etc/mmr-web/mmr-web.toml:7: zones.controllers: the key is missing and has no default. List the zone's controllers, such as ["https://zc-1.example.org"]."#
        ]],
    );
    check(
        &LEAST.replace("\"s.pem\"", ""),
        expect![
            "/etc/mmr-web/mmr-web.toml:6: tokens.signing_keys: there are 0 keys. List 1 to 8 files with Ed25519 keys; `openssl genpkey -algorithm ed25519` makes one."
        ],
    );
    check(
        &format!("{LEAST}latitude = 50.0\n"),
        expect![
            "/etc/mmr-web/mmr-web.toml:7: zones.longitude: the key is missing and has no default. Write both latitude and longitude of the zone, or neither."
        ],
    );
    check(
        &format!("{LEAST}latitude = 91.0\nlongitude = 0.0\n"),
        expect![
            "/etc/mmr-web/mmr-web.toml:10: zones.latitude: this is not on Earth. Write degrees north (-90.0 to 90.0) and east (-180.0 to 180.0)."
        ],
    );
    check(
        &format!("{LEAST}[store]\nkind = \"mysql\"\n"),
        expect![[
            r#"/etc/mmr-web/mmr-web.toml:11: store.kind: "mysql" is no such value. Use "sqlite" for one instance, "postgres" for several."#
        ]],
    );
    check(
        &format!("{LEAST}[store]\nkind = \"postgres\"\n"),
        expect![
            "/etc/mmr-web/mmr-web.toml:10: store.url_file: the key is missing and has no default. Name the file that holds the database's URL: postgres://USER:PASSWORD@HOST/DATABASE."
        ],
    );
    check(
        &format!("{LEAST}[tunnels]\nurls = [\"tunnel.example.org\"]\n"),
        expect![[
            r#"/etc/mmr-web/mmr-web.toml:11: tunnels.urls: "tunnel.example.org" is no such URL. Write https://, a host, and a port if need be."#
        ]],
    );
    check(
        &LEAST.replace("signing_keys", "lifetime = \"11m\"\nsigning_keys"),
        expect![[
            r#"/etc/mmr-web/mmr-web.toml:6: tokens.lifetime: "11m" is no such value. Write a whole number and its unit, such as "500ms", "90s", "10m" or "2h": 60 s to 600 s."#
        ]],
    );
}

/// `mmr-web check` of a bed's configuration: exit code, and what it says.
fn run_check(bed: &Bed, more: &str) -> (i32, String) {
    let file = bed.dir.path().join("web.toml");
    let zones = "[[zones]]\nname = \"z\"\ncontrollers = [\"https://zc.example.org\"]\n";
    std::fs::write(&file, bed.text(zones, more)).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_mmr-web"))
        .args(["check", "--config"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
    (run.status.code().unwrap(), said.replace(bed.dir.path().to_str().unwrap(), "DIR"))
}

#[test]
fn check_reads_every_file_and_names_the_one_that_is_wrong() {
    let bed = Bed::new();
    let note = "note: without geo.database zones are told in the order of this file\n";
    assert_eq!(run_check(&bed, ""), (0, format!("{note}DIR/web.toml can be used\n")));
    for (name, key, more) in [
        ("certificate.pem", "tls.certificate", ""),
        ("key.pem", "tls.key", ""),
        ("signing-key.pem", "tokens.signing_keys", ""),
        ("operators", "operators.tokens", ""),
        ("authority.pem", "health.authority", ""),
        ("places.mmdb", "geo.database", "[geo]\ndatabase = \"places.mmdb\"\n"),
        ("url", "store.url_file", "[store]\nkind = \"postgres\"\nurl_file = \"url\"\n"),
    ] {
        let bed = Bed::new();
        bed.write(name, "rubbish");
        let (code, said) = run_check(&bed, more);
        assert_eq!(code, 78, "{said}");
        assert!(said.contains(key) && said.contains("DIR/web.toml:"), "{key}: {said}");
        assert!(!said.contains("rubbish"), "what stands in a file of secrets is not told: {said}");
    }
}

#[test]
fn a_line_that_cannot_be_understood_ends_with_64_and_help_with_0() {
    let run =
        |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_mmr-web")).args(args).output().unwrap();
    assert_eq!(run(&["fly"]).status.code(), Some(64));
    for args in [&["--help"][..], &["run", "--help"], &["check", "--help"]] {
        let help = run(args);
        assert_eq!(help.status.code(), Some(0));
        assert!(String::from_utf8(help.stdout).unwrap().contains("mmr-web"));
    }
    assert_eq!(run(&["run", "--config", "/nowhere/web.toml"]).status.code(), Some(78));
}
