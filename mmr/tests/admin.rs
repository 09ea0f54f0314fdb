//! The admin socket and the metrics of a real daemon, and its document.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod support;

use mmr::config::KeySource;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use support::Router;
use wire::control::ServerMessage;
use wire::stats::Stats;
use wire::token::Role;

/// One request over the admin socket: status and body.
async fn ask(router: &Router, method: &str, path: &str) -> (u16, String) {
    let socket = router.dev.dir().join(mmr::dev::ADMIN_SOCKET);
    let request = format!("{method} {path} HTTP/1.1\r\nHost: mmr\r\nConnection: close\r\n\r\n");
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = asked.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn stats(router: &Router) -> Stats {
    let (status, body) = ask(router, "GET", "/stats").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn answers_stats_health_and_nothing_else() {
    let router = Router::start();
    let (_ada, _) = router.join("m", "ada", Role::Host).await;
    let stats = stats(&router).await;
    assert_eq!((stats.meetings, stats.participants, stats.control.channels), (1, 1, 1));
    assert_eq!(&stats.addresses, router.daemon.addresses());
    assert_eq!(stats.workers.len(), 2);
    assert_eq!(ask(&router, "GET", "/health").await.0, 200);
    assert!(router.daemon.health().is_ok());
    assert_eq!(ask(&router, "GET", "/drain").await.0, 405);
    assert_eq!(ask(&router, "GET", "/secrets").await.0, 404);
    router.daemon.stop().await;
}

#[tokio::test]
async fn a_drain_turns_newcomers_away_until_it_is_called_off() {
    let router = Router::start();
    let (mut ada, _) = router.join("m", "ada", Role::Host).await;
    assert_eq!(ask(&router, "POST", "/drain?deadline=soon").await.0, 400);
    let beyond_time = "/drain?deadline=9223372036854775807s";
    assert_eq!(ask(&router, "POST", beyond_time).await.0, 400);
    assert_eq!(ask(&router, "POST", "/drain?deadline=90s").await.0, 200);
    assert_eq!(ada.hear().await, ServerMessage::Draining { deadline_s: 90 });
    let stats = stats(&router).await;
    assert!((80..=90).contains(&stats.draining_s.unwrap()), "{:?}", stats.draining_s);

    let mut bob = router.channel().await;
    bob.say(&support::join(&router.dev.token("m", "bob", Role::Host))).await;
    assert_eq!(bob.refusal().await, "draining");
    bob.closed().await;

    assert_eq!(ask(&router, "POST", "/undrain").await.0, 200);
    router.join("m", "bob", Role::Host).await;
    let (_, metrics) = ask(&router, "GET", "/metrics").await;
    assert!(metrics.contains("\nmmr_draining 0\n"), "{metrics}");
    router.daemon.stop().await;
}

#[tokio::test]
async fn tells_what_a_controller_must_know() {
    let router = Router::start();
    let (mut ada, _) = router.join("m", "ada", Role::Host).await;
    ada.say(r#"{"type": "connect", "kind": "video"}"#).await;
    ada.hear().await;
    let stats = stats(&router).await;
    assert_eq!(stats.kinds["video"].links_waiting, 1);
    assert_eq!(stats.tables["links"].used, 1);
    assert_eq!(stats.tables["channels"].used, 1);
    assert_eq!(&stats.advertised, router.daemon.addresses(), "loopback is told as it is");
    let (status, meetings) = ask(&router, "GET", "/meetings").await;
    assert_eq!((status, meetings.as_str()), (200, r#"[{"meeting":"m","participants":1}]"#));
    // Idle workers turn once a second.
    assert_eq!(ask(&router, "GET", "/health?stalled=1ms").await.0, 503);
    assert_eq!(ask(&router, "GET", "/health?stalled=1m").await.0, 200);
    assert_eq!(ask(&router, "GET", "/health?stalled=soon").await.0, 400);
    router.daemon.stop().await;
}

#[tokio::test]
async fn a_drain_of_the_host_is_not_changed_by_the_zone() {
    let router = Router::start();
    let drained_by = |stats: Stats| (stats.draining_s.is_some(), stats.drain_order);
    assert_eq!(ask(&router, "POST", "/drain?deadline=90s&order=7").await.0, 200);
    assert_eq!(drained_by(stats(&router).await), (true, Some(7)));
    assert_eq!(ask(&router, "POST", "/undrain?order=8").await.0, 200);
    assert_eq!(drained_by(stats(&router).await), (false, None));

    assert_eq!(ask(&router, "POST", "/drain?deadline=90s").await.0, 200);
    for zone in ["/drain?deadline=10s&order=9", "/undrain?order=10"] {
        assert_eq!(ask(&router, "POST", zone).await.0, 200);
        assert_eq!(drained_by(stats(&router).await), (true, None), "{zone}");
    }
    assert_eq!(ask(&router, "POST", "/undrain").await.0, 200);
    assert_eq!(drained_by(stats(&router).await), (false, None));

    router.daemon.drain_to_end(std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(ask(&router, "POST", "/undrain").await.0, 200);
    let stats = stats(&router).await;
    assert!(stats.stopping && stats.draining_s.is_some(), "nobody calls off an end");
    router.daemon.stop().await;
}

#[tokio::test]
async fn only_the_owner_may_use_the_socket_and_it_goes_with_the_daemon() {
    let router = Router::start();
    let socket = router.dev.dir().join(mmr::dev::ADMIN_SOCKET);
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    router.daemon.stop().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_left_alone() {
    let dev = mmr::dev::Dev::temporary().unwrap();
    let socket = dev.dir().join(mmr::dev::ADMIN_SOCKET);
    // As a killed daemon leaves it.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let first = mmr::Daemon::start(dev.config()).unwrap();
    let error = mmr::Daemon::start(dev.config()).err().unwrap().to_string();
    assert!(error.contains("admin.sock can't be listened on"), "{error}");
    assert!(error.contains("Another mmr runs with it"), "{error}");
    assert!(first.stats().await.is_ok());
    assert!(UnixStream::connect(&socket).is_ok(), "the first one still answers");
    first.stop().await;
}

/// A metric as the document or a scrape describes it: its type and its labels.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

#[tokio::test]
async fn the_document_lists_every_metric_there_is() {
    let router = Router::start_with(|config| {
        let beside = |name| config.tls.certificate.with_file_name(name);
        (config.fetching.authority, config.fetching.cache) = (beside("ca.pem"), beside("keys"));
        config.token_keys.push(KeySource::Url("https://127.0.0.1:1/keys".to_owned()));
    });
    // So that errors have been counted too.
    let mut stranger = router.channel().await;
    stranger.say("hello").await;
    stranger.closed().await;
    let (status, scraped) = ask(&router, "GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(scraped.ends_with("# EOF\n"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let documented = documented(&std::fs::read_to_string(file).unwrap());
    let scraped_metrics = metrics(&scraped);
    let names = |metrics: &Metrics| metrics.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&documented), names(&scraped_metrics));
    for (name, described) in &documented {
        assert_eq!(described, &scraped_metrics[name], "{name}");
    }
    for reason in router::DropReason::ALL {
        let label = format!("reason=\"{}\"", reason.name());
        assert!(scraped.contains(&label), "{label} is not scraped");
    }
    let reasons = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = std::fs::read_to_string(reasons).unwrap();
    for reason in router::DropReason::ALL {
        assert!(text.contains(&format!("| `{}` |", reason.name())), "{}", reason.name());
    }
    router.daemon.stop().await;
}

/// Rows like: | `mmr_links` | gauge | `transport` | Links bound |
fn documented(text: &str) -> Metrics {
    let rows = text.lines().filter(|line| line.starts_with("| `mmr_"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let unquote = |text: &str| text.trim_matches('`').to_owned();
    cells
        .map(|cells| {
            let labels = cells[3].split(", ").filter(|label| !label.is_empty()).map(unquote);
            (unquote(cells[1]), (cells[2].to_owned(), labels.collect()))
        })
        .collect()
}

fn metrics(scraped: &str) -> Metrics {
    let types = scraped.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let named = types.filter_map(|line| line.split_once(' '));
    named
        .map(|(family, kind)| {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let labels = labels(scraped, family);
            (format!("{family}{suffix}"), (kind.to_owned(), labels))
        })
        .collect()
}

/// The labels of a family's samples; `le` belongs to every histogram.
fn labels(scraped: &str, family: &str) -> BTreeSet<String> {
    let samples = scraped.lines().filter(|line| {
        let rest = line.strip_prefix(family).unwrap_or("");
        ["", "_total", "_bucket"]
            .iter()
            .any(|suffix| rest.strip_prefix(suffix).is_some_and(|rest| rest.starts_with('{')))
    });
    let inside = samples.filter_map(|line| line.split_once('{')?.1.split_once('}'));
    inside
        .flat_map(|(labels, _)| labels.split(',').filter_map(|label| label.split_once('=')))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "le")
        .collect()
}
