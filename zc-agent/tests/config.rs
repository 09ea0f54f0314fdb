//! Configuration: what is refused, and with which words.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

use expect_test::{Expect, expect};
use std::path::Path;
use zc_agent::Config;
use zc_agent::config::Controllers;

const REQUIRED: &str = "\
zone = \"z\"
[mmr]
id = \"m\"
[controllers]
urls = [\"https://zc\"]
ca = \"ca.pem\"
token = \"token\"
";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/etc/zc-agent/zc-agent.toml"), text).map_err(|error| error.to_string())
}

/// What is said about the required keys with `from` replaced by `to`.
fn check(from: &str, to: &str, expected: Expect) {
    let said = match parse(&REQUIRED.replacen(from, to, 1)) {
        Ok(_) => "it can be used".to_owned(),
        Err(error) => error.replace("/etc/zc-agent/", ""),
    };
    expected.assert_eq(&said);
}

#[test]
fn the_commented_file_shows_every_key_with_its_default() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../zc-agent.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let controllers = Controllers {
        urls: ["https://zc-1.example.org", "https://zc-2.example.org"]
            .map(|url| url.parse().unwrap())
            .to_vec(),
        ca: "/etc/zc-agent/zone-ca.pem".into(),
        identity: Some((
            "/etc/zc-agent/certificate.pem".into(),
            "/etc/zc-agent/certificate-key.pem".into(),
        )),
        token: None,
    };
    let id = "mmr-1".to_owned().try_into().unwrap();
    let mut expected = Config::with_defaults("example", id, controllers);
    assert_eq!(parse(&text), Ok(expected.clone()), "as it stands");

    // A commented key has no space behind its hash, prose has.
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    let all: String = text.lines().map(uncomment).collect();
    expected.mmr.name = Some("mmr-1.example.org".to_owned());
    expected.controllers.token = Some("/etc/zc-agent/token".into());
    assert_eq!(parse(&all), Ok(expected), "with every key written out");
    for table in ["", "mmr", "controllers", "thresholds", "network", "capacity", "log"] {
        let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
        let error = parse(&format!("{header}no-such-key = 1\n")).unwrap_err();
        let (_, listed) = error.split_once("expected ").unwrap();
        for key in listed.split('`').skip(1).step_by(2) {
            let is_there =
                |line: &str| line.starts_with(&format!("{key} =")) || line == format!("[{key}]");
            assert!(all.lines().any(is_there), "zc-agent.toml lacks {table}.{key}");
        }
    }
}

#[test]
fn says_what_is_wrong_where_and_what_to_do() {
    check(
        "id = \"m\"",
        "",
        expect![
            "zc-agent.toml:2: mmr.id: the key is missing and has no default. Give the router a name of its own in the zone: 1 to 64 of A-Z a-z 0-9 . _ -"
        ],
    );
    check(
        "id = \"m\"",
        "id = \"a/b\"",
        expect![
            "zc-agent.toml:3: mmr.id: an MMR's name has 1 to 64 of the characters A-Z a-z 0-9 . _ -. Give the router a name of its own in the zone: 1 to 64 of A-Z a-z 0-9 . _ -"
        ],
    );
    check(
        "id = \"m\"",
        "id = \"m\"\nname = \"not a name\"",
        expect![[
            r#"zc-agent.toml:4: mmr.name: "not a name" is no such value. Write a DNS name or an IP address, without a port."#
        ]],
    );
    check(
        "https://zc",
        "http://zc",
        expect![
            "zc-agent.toml:5: controllers.urls: this is no controller's address. Write https://, a name or IP address, and a port if it is not 443."
        ],
    );
    check(
        "https://zc",
        "https://user:secret@zc",
        expect![
            "zc-agent.toml:5: controllers.urls: this is no controller's address. Write https://, a name or IP address, and a port if it is not 443."
        ],
    );
    check(
        "https://zc",
        "https://zc/path",
        expect![
            "zc-agent.toml:5: controllers.urls: this is no controller's address. Write https://, a name or IP address, and a port if it is not 443."
        ],
    );
    check(
        "[\"https://zc\"]",
        "[]",
        expect![[
            r#"zc-agent.toml:5: controllers.urls: there must be 1 to 16 controllers. List the zone's controllers, such as ["https://zc-1.example.org"]."#
        ]],
    );
    check(
        "[\"https://zc\"]",
        "[\"https://zc\", \"https://zc:443/\"]",
        expect![
            "zc-agent.toml:5: controllers.urls: https://zc/ is listed twice. List each controller once."
        ],
    );
    check(
        "ca = \"ca.pem\"\n",
        "",
        expect![
            "zc-agent.toml:4: controllers.ca: the key is missing and has no default. Name the PEM file with the certificate of the authority that issued theirs."
        ],
    );
    check(
        "token = \"token\"",
        "",
        expect![
            "zc-agent.toml:4: controllers.certificate: the key is missing and has no default. Controllers must know who reports: give a certificate with its key, or a token."
        ],
    );
    check(
        "token = \"token\"",
        "token = \"token\"\nkey = \"key.pem\"",
        expect![
            "zc-agent.toml:4: controllers.certificate: the key is missing and has no default. Controllers must know who reports: give a certificate with its key, or a token."
        ],
    );
    check(
        "token = \"token\"",
        "certificate = \"certificate.pem\"",
        expect![
            "zc-agent.toml:4: controllers.key: the key is missing and has no default. Name the certificate's key."
        ],
    );
    check(
        "[controllers]",
        "[thresholds]\nworker = 101\n[controllers]",
        expect![
            "zc-agent.toml:5: thresholds.worker: 101 is out of range. Use a number from 0 to 100."
        ],
    );
    check(
        "[controllers]",
        "[network]\ninterfaces = [\"../x\"]\n[controllers]",
        expect![[
            r#"zc-agent.toml:5: network.interfaces: these are not at most 64 names of interfaces. List names as `ip link` shows them, such as ["eth0"]."#
        ]],
    );
    check(
        "[controllers]",
        "[controllers]\nurl = 1",
        expect![
            "zc-agent.toml:5: controllers.url: unknown field `url`, expected one of `urls`, `ca`, `certificate`, `key`, `token`. Mend the key's name or remove it; zc-agent.toml of the source tree lists every key."
        ],
    );
    check("", "", expect!["it can be used"]);
}
