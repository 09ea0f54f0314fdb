//! What is said when a configuration can't be used, and `http-tunnel check`.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::Bed;
use expect_test::{Expect, expect};
use http_tunnel::config::{Config, KeySource, Limits};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LEAST: &str = "[tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n\
    [[zones]]\nname = \"example\"\nkeys = \"keys.json\"\ncontrollers = [\"zc.example.org:443\"]\n";

fn parse(text: &str) -> Result<Config, String> {
    let file = Path::new("/etc/http-tunnel/http-tunnel.toml");
    Config::parse(file, text).map_err(|error| error.to_string())
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&parse(text).err().unwrap_or_default());
}

#[test]
fn the_least_that_must_be_written_is_enough() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.listen.port, 443);
    assert_eq!(config.drain_deadline, Duration::from_secs(600));
    assert_eq!(config.zones[0].keys, [KeySource::File("/etc/http-tunnel/keys.json".into())]);
}

#[test]
fn keys_come_from_files_and_from_urls_that_are_encrypted() {
    let with = |keys: &str| LEAST.replace("\"keys.json\"", keys);
    let url = "https://meet.example.org/.well-known/jwks.json";
    let config = parse(&with(&format!("[\"{url}\", \"zone.json\"]"))).unwrap();
    let file = KeySource::File("/etc/http-tunnel/zone.json".into());
    assert_eq!(config.zones[0].keys, [KeySource::Url(url.to_owned()), file]);
    assert_eq!(config.fetching.cache, Path::new("/var/cache/http-tunnel"));
    assert_eq!(config.fetching.interval, Duration::from_secs(300));
    for (wrong, told) in [
        ("[]", "there are 0 sources"),
        ("\"\"", "the value is empty"),
        ("1", "expected a text, or a list of texts"),
        ("[1]", "expected a text, or a list of texts"),
        ("\"http://meet.example.org/keys\"", "what is not encrypted can be forged"),
        ("\"https://\"", "is no such URL"),
        ("\"https://ada:pw@meet.example.org/\"", "is no such URL"),
        ("\"ftp://meet.example.org/\"", "is no such URL"),
    ] {
        let said = parse(&with(wrong)).unwrap_err();
        assert!(said.contains(told) && said.contains("zones.keys: "), "{wrong}: {said}");
    }
}

#[test]
fn the_example_lists_every_key_with_its_default() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../http-tunnel.toml");
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
    assert!(uncommented.matches("\nparticipant_").count() >= 5, "{uncommented}");
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_its_remedy() {
    check(
        "",
        expect![
            "/etc/http-tunnel/http-tunnel.toml:1: tls.certificate: the key is missing and has no default. Name the PEM file with the certificate chain, leaf first."
        ],
    );
    check(
        &LEAST.replace("zc.example.org:443", "zc.example.org"),
        expect![[
            r#"/etc/http-tunnel/http-tunnel.toml:7: zones.controllers: "zc.example.org" can't be led to: it is not host:port, with a DNS name, an IPv4 address, or an IPv6 address in brackets. Write "zc-1.example.org:443", "192.0.2.1:443" or "[2001:db8::1]:443"."#
        ]],
    );
    check(
        &LEAST.replace("zc.example.org", "[::ffff:192.0.2.1]"),
        expect![[
            r#"/etc/http-tunnel/http-tunnel.toml:7: zones.controllers: "[::ffff:192.0.2.1]:443" can't be led to: it is an IPv6 address that carries an IPv4 address; write the IPv4 address. Write "zc-1.example.org:443", "192.0.2.1:443" or "[2001:db8::1]:443"."#
        ]],
    );
    check(
        &LEAST.replace("\"zc.example.org:443\"", ""),
        expect![[
            r#"/etc/http-tunnel/http-tunnel.toml:4: zones.controllers: the key is missing and has no default. List the zone's controllers and MMRs as "host:port", 1 to 16384 of them."#
        ]],
    );
    check(
        &format!("{LEAST}{}", &LEAST[LEAST.find("[[").unwrap()..]),
        expect![[
            r#"/etc/http-tunnel/http-tunnel.toml:9: zones.name: the zone "example" is there twice. Write each zone once."#
        ]],
    );
    check(
        &format!("{LEAST}mmr = []\n"),
        expect![
            "/etc/http-tunnel/http-tunnel.toml:8: zones.mmr: unknown field `mmr`, expected one of `name`, `keys`, `controllers`, `mmrs`. Mend the key's name or remove it; http-tunnel.toml of the source tree lists every key."
        ],
    );
    check(
        &format!("{LEAST}[names]\nprivate = [\"10.0.0.0/33\"]\n"),
        expect![[
            r#"/etc/http-tunnel/http-tunnel.toml:9: names.private: "10.0.0.0/33" is not a network. Write it as "10.1.0.0/16" or "fd00::/8"."#
        ]],
    );
    check(
        &format!("{LEAST}[limits]\nparticipant_bytes_per_s = \"1KiB\"\n"),
        expect![[
            r#"/etc/http-tunnel/http-tunnel.toml:9: limits.participant_bytes_per_s: "1KiB" is no such value. Write a size such as "4MiB": 64KiB to 1GiB."#
        ]],
    );
    check(
        &format!("{LEAST}[limits]\nparticipant_tunnels = 65\n"),
        expect![
            "/etc/http-tunnel/http-tunnel.toml:9: limits.participant_tunnels: 65 is out of range. Use a number from 1 to 64."
        ],
    );
    check(
        &format!("{LEAST}[limits]\nidle = \"0s\"\n"),
        expect![[
            r#"/etc/http-tunnel/http-tunnel.toml:9: limits.idle: "0s" is no such value. Write a whole number and its unit, such as "500ms", "90s", "10m" or "2h": 1 s to 3600 s."#
        ]],
    );
    check(
        &format!("{LEAST}[drain]\ndeadline = \"2h\"\n"),
        expect![[
            r#"/etc/http-tunnel/http-tunnel.toml:9: drain.deadline: "2h" is no such value. Write a whole number and its unit, such as "500ms", "90s", "10m" or "2h": 0 s to 3600 s."#
        ]],
    );
}

/// `http-tunnel check` of a bed's configuration: exit code, and what it says.
fn run_check(bed: &Bed, more: &str) -> (i32, String) {
    let file = bed.dir.path().join("tunnel.toml");
    std::fs::write(&file, bed.text(&["zc.example.org:443"], more)).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_http-tunnel"))
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
    assert_eq!(run_check(&bed, ""), (0, "DIR/tunnel.toml can be used\n".to_owned()));
    for (name, key) in [
        ("certificate.pem", "tls.certificate"),
        ("key.pem", "tls.key"),
        ("keys.json", "zones.keys"),
        ("operators", "operators.tokens"),
    ] {
        let bed = Bed::new();
        bed.write(name, "rubbish");
        let (code, said) = run_check(&bed, "");
        assert_eq!(code, 78, "{said}");
        assert!(said.contains(key) && said.contains("DIR/tunnel.toml:"), "{key}: {said}");
    }
}

#[test]
fn a_line_that_cannot_be_understood_ends_with_64_and_help_with_0() {
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_http-tunnel")).args(args).output().unwrap()
    };
    assert_eq!(run(&["fly"]).status.code(), Some(64));
    for args in [&["--help"][..], &["run", "--help"], &["check", "--help"]] {
        let help = run(args);
        assert_eq!(help.status.code(), Some(0));
        assert!(String::from_utf8(help.stdout).unwrap().contains("http-tunnel"));
    }
    let missing = run(&["run", "--config", "/nowhere/tunnel.toml"]);
    assert_eq!(missing.status.code(), Some(78));
}
