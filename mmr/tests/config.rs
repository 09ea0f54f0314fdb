//! Configuration: what is refused, and with which words.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

use expect_test::{Expect, expect};
use mmr::config::{Config, KeySource, TlsFiles};
use std::path::Path;

const REQUIRED: &str = "\
zone = \"z\"
[tls]
certificate = \"certificate.pem\"
key = \"key.pem\"
[tokens]
keys = \"keys.json\"
";

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/etc/mmr/mmr.toml"), text).map_err(|error| error.to_string())
}

/// What is said about the required keys and these.
fn check(more: &str, expected: Expect) {
    let said = match parse(&format!("{REQUIRED}{more}")) {
        Ok(_) => "it can be used".to_owned(),
        Err(error) => error,
    };
    expected.assert_eq(&said);
}

#[test]
fn the_commented_file_shows_every_key_with_its_default() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mmr.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let tls = TlsFiles {
        certificate: "/etc/mmr/certificate.pem".into(),
        key: "/etc/mmr/certificate-key.pem".into(),
    };
    let defaults = Config::with_defaults("example", tls, "/etc/mmr/token-keys.json".into());
    assert_eq!(parse(&text), Ok(defaults.clone()), "as it stands");

    // A commented key has no space behind its hash, prose has.
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    let all: String = text.lines().map(uncomment).collect();
    assert_eq!(parse(&all), Ok(defaults), "with every key written out");
    // Every key the parser knows stands in the file: an unknown one makes it list those of its
    // table.
    for table in [
        "", "listen", "workers", "buffers", "dscp", "tls", "tokens", "limits", "admin", "drain",
        "log",
    ] {
        let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
        let error = parse(&format!("{header}no-such-key = 1\n")).unwrap_err();
        let (_, listed) = error.split_once("expected ").unwrap();
        let keys: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
        assert!(!keys.is_empty(), "{error}");
        for key in keys {
            let is_there =
                |line: &str| line.starts_with(&format!("{key} = ")) || line == format!("[{key}]");
            assert!(all.lines().any(is_there), "mmr.toml lacks {table}.{key}");
        }
    }
}

#[test]
fn relative_paths_count_from_the_files_folder() {
    let config = parse(REQUIRED).unwrap();
    assert_eq!(config.tls.certificate, Path::new("/etc/mmr/certificate.pem"));
    assert_eq!(config.token_keys, [KeySource::File("/etc/mmr/keys.json".into())]);
    let config = parse(&format!("{REQUIRED}[admin]\nsocket = \"admin.sock\"\n")).unwrap();
    assert_eq!(config.admin_socket.as_deref(), Some(Path::new("/etc/mmr/admin.sock")));
    let config = parse(&format!("{REQUIRED}[admin]\nsocket = \"\"\n")).unwrap();
    assert_eq!(config.admin_socket, None);
}

#[test]
fn refuses_ports_and_addresses_that_would_be_in_their_own_way() {
    check(
        "[listen]\nmedia_port = 443\n",
        expect![
            "/etc/mmr/mmr.toml:8: listen.media_port: media over TCP and TLS can't both listen on port 443. Give listen.media_port and listen.tls_port a port each."
        ],
    );
    check(
        "[listen]\nmedia_port = 9000\ntls_port = 9000\n",
        expect![
            "/etc/mmr/mmr.toml:9: listen.tls_port: media over TCP and TLS can't both listen on port 9000. Give listen.media_port and listen.tls_port a port each."
        ],
    );
    check("[listen]\nmedia_port = 0\ntls_port = 0\n", expect!["it can be used"]);
    check(
        "[listen]\naddresses = [\"127.0.0.1\", \"::1\", \"127.0.0.1\"]\n",
        expect![
            "/etc/mmr/mmr.toml:8: listen.addresses: 127.0.0.1 is listed twice. List each address once."
        ],
    );
}

#[test]
fn presets_and_values_of_ones_own_make_marks() {
    let marks = |dscp: &str| {
        let marks = parse(&format!("{REQUIRED}[dscp]\n{dscp}")).unwrap().marks;
        [marks.audio, marks.video, marks.content, marks.control].map(wire::mark::Dscp::value)
    };
    assert_eq!(marks(""), [46, 36, 36, 24]);
    assert_eq!(marks("preset = \"zoom\""), [56, 40, 40, 24]);
    assert_eq!(marks("preset = \"off\"\naudio = 46"), [46, 0, 0, 0]);
    assert_eq!(marks("video = 34\ncontent = 26\ncontrol = 0"), [46, 34, 26, 0]);
}

#[test]
fn says_where_what_and_what_to_do() {
    check("", expect!["it can be used"]);
    check(
        "[listen]\nmedia_prot = 8801\n",
        expect![
            "/etc/mmr/mmr.toml:8: listen.media_prot: unknown field `media_prot`, expected one of `addresses`, `media_port`, `tls_port`, `advertise`. Mend the key's name or remove it; mmr.toml of the source tree lists every key."
        ],
    );
    check(
        "[listen]\nmedia_port = \"8801\"\n",
        expect![[
            r#"/etc/mmr/mmr.toml:8: listen.media_port: invalid type: string "8801", expected a whole number. Write a value of that type; mmr.toml of the source tree shows every key's default."#
        ]],
    );
    check(
        "[listen]\nmedia_port = 88010\n",
        expect![
            "/etc/mmr/mmr.toml:8: listen.media_port: 88010 is out of range. Use a number from 0 to 65535."
        ],
    );
    check(
        "[listen]\naddresses = [\n  \"0.0.0.0\",\n  \"localhost\",\n]\n",
        expect![[
            r#"/etc/mmr/mmr.toml:10: listen.addresses: "localhost" is not an IP address. Write an IPv4 or IPv6 address without a port; names are not looked up."#
        ]],
    );
    check(
        "[listen]\naddresses = []\n",
        expect![[
            r#"/etc/mmr/mmr.toml:8: listen.addresses: there must be 1 to 8 addresses to listen on. List them, such as ["0.0.0.0", "::"]."#
        ]],
    );
    check(
        "[listen]\nadvertise = [\"0.0.0.0\"]\n",
        expect![
            "/etc/mmr/mmr.toml:8: listen.advertise: clients can't connect to 0.0.0.0. List the addresses clients reach this host by, or nothing to use the host's own."
        ],
    );
    check(
        "[workers]\ncount = 65\n",
        expect![
            "/etc/mmr/mmr.toml:8: workers.count: 65 is out of range. Use a number from 0 to 64."
        ],
    );
    check(
        "[workers]\ncount = 4\ncores = [1, 2]\n",
        expect![
            "/etc/mmr/mmr.toml:9: workers.cores: 4 workers can't have a core each of 2 listed. List a core for each worker, or leave count or cores out."
        ],
    );
    check(
        "[workers]\nbackend = \"dpdk\"\n",
        expect![[
            r#"/etc/mmr/mmr.toml:8: workers.backend: "dpdk" is no such value. Use "auto", "uring" or "poll"."#
        ]],
    );
    check(
        "[buffers]\nreceive = \"4MB\"\n",
        expect![[
            r#"/etc/mmr/mmr.toml:8: buffers.receive: "4MB" is no such value. Write a size from "64KiB" to "1024MiB"."#
        ]],
    );
    check(
        "[dscp]\npreset = \"gold\"\n",
        expect![[
            r#"/etc/mmr/mmr.toml:8: dscp.preset: "gold" is no such value. Use "default", "zoom" or "off", and single keys for other values."#
        ]],
    );
    check(
        "[dscp]\naudio = 64\n",
        expect!["/etc/mmr/mmr.toml:8: dscp.audio: 64 is out of range. Use a number from 0 to 63."],
    );
    check(
        "[limits]\nlinks = 0\n",
        expect![
            "/etc/mmr/mmr.toml:8: limits.links: 0 is out of range. Use a number from 1 to 65536."
        ],
    );
    check(
        "[drain]\ndeadline = \"10 minutes\"\n",
        expect![[
            r#"/etc/mmr/mmr.toml:8: drain.deadline: "10 minutes" is no such value. Write a whole number and its unit: "90s", "10m" or "2h"; "8760h" at most."#
        ]],
    );
    check(
        "[log]\nformat = \"xml\"\n",
        expect![[
            r#"/etc/mmr/mmr.toml:8: log.format: "xml" is no such value. Use "text" or "json"."#
        ]],
    );
    check(
        "[log]\nfilter = \"mmr=loud\"\n",
        expect![[
            r#"/etc/mmr/mmr.toml:8: log.filter: "mmr=loud" is no such value. Use "error", "warn", "info", "debug", or directives like "info,mmr::control=debug"."#
        ]],
    );
    check(
        "[admin]\nsocket = 7\n",
        expect![
            "/etc/mmr/mmr.toml:8: admin.socket: invalid type: integer `7`, expected a string. Write a value of that type; mmr.toml of the source tree shows every key's default."
        ],
    );
    check(
        "[telemetry]\non = true\n",
        expect![
            "/etc/mmr/mmr.toml:7: telemetry: unknown field `telemetry`, expected one of `zone`, `listen`, `workers`, `buffers`, `dscp`, `tls`, `tokens`, `keys`, `limits`, `admin`, `drain`, `log`. Mend the key's name or remove it; mmr.toml of the source tree lists every key."
        ],
    );
    check(
        "[log]\nformat = \"text\n",
        expect![[
            r#"/etc/mmr/mmr.toml:8: log.format: invalid basic string, expected `"`. Mend the syntax (https://toml.io)."#
        ]],
    );
    check(
        "[log]\n[log]\n",
        expect!["/etc/mmr/mmr.toml:8: log: duplicate key. Mend the syntax (https://toml.io)."],
    );
}

#[test]
fn says_which_key_is_missing_and_where_it_belongs() {
    let missing = |text: &str, expected: Expect| expected.assert_eq(&parse(text).unwrap_err());
    missing(
        "",
        expect![
            "/etc/mmr/mmr.toml:1: zone: the key is missing and has no default. Name the zone as its join tokens do (their audience), in 1 to 64 bytes."
        ],
    );
    missing(
        "zone = \"\"\n[tls]\ncertificate=\"c\"\nkey=\"k\"\n",
        expect![
            "/etc/mmr/mmr.toml:1: zone: a zone's name has 1 to 64 bytes. Name the zone as its join tokens do (their audience), in 1 to 64 bytes."
        ],
    );
    missing(
        "zone = \"z\"\n\n[tls]\ncertificate = \"c\"\n",
        expect![
            "/etc/mmr/mmr.toml:3: tls.key: the key is missing and has no default. Name the PEM file with the private key."
        ],
    );
    missing(
        "zone = \"z\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n",
        expect![
            "/etc/mmr/mmr.toml:1: tokens.keys: the key is missing and has no default. Name the zone's public keys for join tokens: a JWKS file, or an https:// URL."
        ],
    );
}
