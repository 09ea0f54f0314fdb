//! From a link to a zone, past everything that may go wrong on the way.
#![allow(clippy::unwrap_used)] // a test may fail by panic

use super::*;
use crate::dial::{Exceptions, ProxyChoice};
use crate::fake::{Identity, Reply, Server, closed, lead};
use crate::options::{Destination, IpChoice};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use wire::lookup::{Refusal, RefusalCode};

const NUMBER: &str = "01234567890";

/// A zone as the web infrastructure offers it.
fn offer(zone: &str, controllers: &[String]) -> serde_json::Value {
    json!({ "zone": zone, "controllers": controllers, "token": format!("token-{zone}"), "token_until_s": 1 })
}

fn found(zones: &[serde_json::Value], tunnels: &[String]) -> serde_json::Value {
    json!({ "meeting": NUMBER, "title": "Standup", "participant": "ada-1", "order": "configured",
        "zones": zones, "tunnels": tunnels })
}

/// A web infrastructure that offers this, and in which the meeting is in this zone, or settles where one asks.
async fn web(identity: &Identity, found: serde_json::Value, at: Option<&'static str>) -> Server {
    Server::https(identity, move |head, body| {
        if head.starts_with("post /v1/lookup ") {
            assert!(body.contains(NUMBER) && body.contains("open.sesame"), "{body}");
            return Reply::json(200, &found);
        }
        assert!(head.starts_with("post /v1/settle "), "{head}");
        let token = head.split("authorization: bearer token-").nth(1).unwrap();
        let zone = token.split('\r').next().unwrap();
        Reply::json(200, &json!({ "zone": at.unwrap_or(zone) }))
    })
    .await
}

/// A controller that takes this long for each answer.
async fn controller(identity: &Identity, zone: &'static str, delay: Duration) -> Server {
    Server::https(identity, move |head, _| {
        let reply = if head.starts_with("get /v1/ping ") {
            Reply::json(200, &json!({ "zone": zone, "room": true }))
        } else {
            assert!(head.starts_with("get /v1/download?bytes=131072 "), "{head}");
            Reply::text(200, &"x".repeat(128 * 1024))
        };
        Reply::after(delay, reply)
    })
    .await
}

/// A tunnel that leads to this zone.
async fn tunnel(identity: &Identity, zone: &'static str, delay: Duration) -> Server {
    Server::https(identity, move |head, _| {
        if head.starts_with("connect ") {
            return lead(head);
        }
        Reply::after(delay, Reply::json(200, &json!({ "zones": [zone] })))
    })
    .await
}

fn link(web: SocketAddr) -> MeetingLink {
    format!("https://localhost:{}/j/{NUMBER}#open.sesame", web.port()).parse().unwrap()
}

struct Searched {
    outcome: Result<WayIn, ClientError>,
    report: WayReport,
}

async fn search(identity: &Identity, web: SocketAddr, proxy: ProxyChoice) -> Searched {
    let at = Destination::Meeting { link: link(web), name: None };
    let mut options = JoinOptions::new(at, identity.trust.clone());
    (options.proxy, options.ip) = (proxy, IpChoice::V4);
    let journal = Journal::new(StepSink::default());
    let outcome = find(&link(web), Some("ada"), &options, &journal).await;
    Searched { outcome, report: journal.report() }
}

fn through(proxy: &Server) -> ProxyChoice {
    ProxyChoice::Through(format!("http://{}", proxy.address).parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_near_zone_wins_and_a_dead_one_is_not_chosen() {
    let identity = Identity::new();
    let near = controller(&identity, "near", Duration::ZERO).await;
    let far = controller(&identity, "far", Duration::from_millis(60)).await;
    let dead = format!("https://localhost:{}", closed().await.port());
    let zones =
        [offer("dead", &[dead]), offer("far", &[far.origin()]), offer("near", &[near.origin()])];
    let web = web(&identity, found(&zones, &[]), None).await;
    let Searched { outcome, report } = search(&identity, web.address, ProxyChoice::None).await;
    let way_in = outcome.unwrap_or_else(|error| panic!("{error}: {report:#?}"));
    assert_eq!(way_in.controllers[0].to_string(), near.origin());
    assert_eq!(report.zone.as_deref(), Some("near"));
    assert_eq!(report.phase(Phase::Lookup).unwrap().way, Way::Direct);
    assert_eq!(report.phase(Phase::Zone).unwrap().way, Way::Direct);
    assert!(report.failures().any(|step| step.step == "measure"), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_that_is_somewhere_is_joined_there() {
    let identity = Identity::new();
    let near = controller(&identity, "near", Duration::ZERO).await;
    let far = controller(&identity, "far", Duration::from_millis(60)).await;
    let zones = [offer("near", &[near.origin()]), offer("far", &[far.origin()])];
    let there = web(&identity, found(&zones, &[]), Some("far")).await;
    let Searched { outcome, report } = search(&identity, there.address, ProxyChoice::None).await;
    let way_in = outcome.unwrap_or_else(|error| panic!("{error}: {report:#?}"));
    assert_eq!(way_in.token.expose(), "token-far");
    assert_eq!(report.zone.as_deref(), Some("far"));

    let elsewhere = web(&identity, found(&zones, &[]), Some("moon")).await;
    let Searched { outcome, .. } = search(&identity, elsewhere.address, ProxyChoice::None).await;
    let error = outcome.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("not offered") && error.is_unreachable(), "{error}");
    let asked = elsewhere.heard().iter().filter(|head| head.contains("lookup")).count();
    assert_eq!(asked, 1 + crate::limits::LOOKUPS_MAX);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_controllers_are_reached_by_the_first_tunnel_at_once() {
    let identity = Identity::new();
    let dead = format!("https://localhost:{}", closed().await.port());
    let slow = tunnel(&identity, "z", Duration::from_millis(500)).await;
    let quick = tunnel(&identity, "z", Duration::ZERO).await;
    let elsewhere = tunnel(&identity, "other", Duration::ZERO).await;
    let tunnels = [elsewhere.origin(), slow.origin(), quick.origin()];
    let web = web(&identity, found(&[offer("z", &[dead])], &tunnels), None).await;
    let Searched { outcome, report } = search(&identity, web.address, ProxyChoice::None).await;
    assert!(outcome.is_ok(), "{report:#?}");
    assert_eq!(report.tunnel, Some(quick.origin()));
    let zone = report.phase(Phase::Zone).unwrap();
    assert_eq!(zone.way, Way::Tunnel);
    assert!(zone.took_us < 3_000_000, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_controllers_are_waited_for_and_no_longer() {
    let identity = Identity::new();
    let silent = Server::https(&identity, |_, _| Reply::Silence).await;
    let tunnel = tunnel(&identity, "z", Duration::ZERO).await;
    let web =
        web(&identity, found(&[offer("z", &[silent.origin()])], &[tunnel.origin()]), None).await;
    let Searched { outcome, report } = search(&identity, web.address, ProxyChoice::None).await;
    assert!(outcome.is_ok(), "{report:#?}");
    let waited = Duration::from_micros(report.phase(Phase::Zone).unwrap().took_us);
    assert!(waited >= crate::limits::CONTROLLERS_DEADLINE, "{waited:?}");
    assert!(report.failures().any(|step| step.target == silent.origin()), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_zones_behind_a_tunnel_are_pinged_through_it() {
    let identity = Identity::new();
    // Known to the tunnel by a name that leads nowhere from here.
    let alive = controller(&identity, "b", Duration::ZERO).await;
    let hidden = alive.target().port;
    let tunnel = Server::https(&identity, move |head, _| match head {
        ping if ping.starts_with("get /ping ") => Reply::json(200, &json!({ "zones": ["a", "b"] })),
        right if right.contains("localhost:1 ") => Reply::LeadTo(([127, 0, 0, 1], hidden).into()),
        _ => Reply::json(
            502,
            &wire::tunnel::Refusal::new(wire::tunnel::RefusalCode::Unreachable, "No."),
        ),
    })
    .await;
    let zones = [
        offer("a", &["https://localhost:2".to_owned()]),
        offer("b", &["https://localhost:1".to_owned()]),
        offer("c", &["https://localhost:3".to_owned()]),
    ];
    let web = web(&identity, found(&zones, &[tunnel.origin()]), None).await;
    let Searched { outcome, report } = search(&identity, web.address, ProxyChoice::None).await;
    assert!(outcome.is_ok(), "{report:#?}");
    assert_eq!(report.zone.as_deref(), Some("b"));
    assert!(tunnel.heard().iter().any(|head| head.contains("bearer token-b")));
    assert!(tunnel.heard().iter().all(|head| !head.contains("token-c")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_in_the_way_is_found_and_everything_goes_through_it() {
    let (identity, proxy) = (Identity::new(), Server::proxy().await);
    let near = controller(&identity, "near", Duration::ZERO).await;
    let zones = [offer("near", &[near.origin()])];
    let web = web(&identity, found(&zones, &[]), None).await;
    let url = || format!("http://{}", proxy.address).parse().unwrap();
    // It can be reached directly: the proxy is left out.
    let may = ProxyChoice::Fallback(url(), Exceptions::default());
    let Searched { outcome, report } = search(&identity, web.address, may).await;
    assert!(outcome.is_ok() && report.proxy.is_none(), "{report:#?}");
    assert!(proxy.heard().is_empty());

    let Searched { outcome, report } = search(&identity, web.address, through(&proxy)).await;
    assert!(outcome.is_ok(), "{report:#?}");
    assert_eq!(report.proxy, Some(format!("http://{}", proxy.address)));
    assert!(report.phases.iter().all(|phase| phase.way == Way::Proxy), "{report:#?}");
    assert!(proxy.heard().iter().all(|head| !head.contains("sesame") && !head.contains("token")));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_proxy_reaches_the_web_infrastructure() {
    let identity = Identity::new();
    let near = controller(&identity, "near", Duration::ZERO).await;
    let zones = [offer("near", &[near.origin()])];
    let web = web(&identity, found(&zones, &[]), None).await;
    let real = web.address;
    // Where the link leads nobody listens; the proxy knows better.
    let nobody = closed().await;
    let proxy = Server::http(move |head, _| {
        if head.contains(&format!(":{} ", nobody.port())) {
            Reply::LeadTo(real)
        } else {
            lead(head)
        }
    })
    .await;
    let url = format!("http://{}", proxy.address).parse().unwrap();
    let may = ProxyChoice::Fallback(url, Exceptions::new("example.org"));
    let Searched { outcome, report } = search(&identity, nobody, may).await;
    assert!(outcome.is_ok(), "{report:#?}");
    assert_eq!(report.phase(Phase::Lookup).unwrap().way, Way::Proxy);
    assert_eq!(report.phase(Phase::Zone).unwrap().way, Way::Proxy);

    let url = format!("http://{}", proxy.address).parse().unwrap();
    let excepted = ProxyChoice::Fallback(url, Exceptions::new("localhost"));
    let Searched { outcome, .. } = search(&identity, nobody, excepted).await;
    assert!(outcome.map(|_| ()).unwrap_err().to_string().contains("refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_is_asked_again_when_that_helps_and_a_refusal_counts() {
    let identity = Identity::new();
    let near = controller(&identity, "near", Duration::ZERO).await;
    let answer = found(&[offer("near", &[near.origin()])], &[]);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let web = Server::https(&identity, move |head, _| {
        if head.contains("settle") {
            return Reply::json(200, &json!({ "zone": "near" }));
        }
        let soon =
            Refusal { retry_after_ms: Some(1), ..Refusal::new(RefusalCode::Overloaded, "Soon.") };
        match counted.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::json(503, &soon),
            1 => Reply::text(502, "<html>a gateway</html>"),
            _ => Reply::json(200, &answer),
        }
    })
    .await;
    let Searched { outcome, report } = search(&identity, web.address, ProxyChoice::None).await;
    assert!(outcome.is_ok(), "{report:#?}");
    assert_eq!(asked.load(Ordering::Relaxed), 3);

    let no = Refusal::new(RefusalCode::NoSuchMeeting, "No such meeting.");
    let web = Server::https(&identity, move |_, _| Reply::json(403, &no)).await;
    let Searched { outcome, .. } = search(&identity, web.address, ProxyChoice::None).await;
    let error = outcome.map(|_| ()).unwrap_err();
    assert!(matches!(error, ClientError::LookupRefused { .. }) && !error.is_unreachable());
    assert_eq!(web.heard().len(), 1, "nobody guesses again");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_survived() {
    let identity = Identity::new();
    let near = controller(&identity, "near", Duration::ZERO).await;
    let good = offer("near", &[near.origin()]);
    let endless =
        format!("HTTP/1.1 200 X\r\ncontent-length: 99999999\r\n\r\n{}", "[".repeat(2 << 20));
    let deep = "[".repeat(100_000);
    let noise = "\u{0}\u{1}\u{2}".repeat(100);
    for bad in [
        Reply::raw(&endless),
        Reply::text(200, &deep),
        Reply::text(200, &noise),
        Reply::text(302, ""),
        Reply::raw("HTTP/1.1 302 X\r\nlocation: https://elsewhere/\r\ncontent-length: 0\r\n\r\n"),
        Reply::raw("no http\r\n\r\n"),
        Reply::json(200, &json!({ "zone": "another", "room": true })),
    ] {
        let name = format!("{bad:.100?}");
        let reply = bad.clone();
        let odd = Server::https(&identity, move |_, _| reply.clone()).await;
        let zones =
            [offer("odd", &[odd.origin(), "ftp://x".into(), "https://a/b".into()]), good.clone()];
        let web = web(&identity, found(&zones, &["nowhere".into(), odd.origin()]), None).await;
        let Searched { outcome, report } = search(&identity, web.address, ProxyChoice::None).await;
        assert!(outcome.is_ok(), "{name}: {report:#?}");
        assert_eq!(report.zone.as_deref(), Some("near"), "{name}");
    }
    for bad in
        [endless.as_str(), "HTTP/1.1 302 X\r\nlocation: https://elsewhere/\r\n\r\n", "x\r\n\r\n"]
    {
        let reply = Reply::raw(bad);
        let odd = Server::https(&identity, move |_, _| reply.clone()).await;
        let Searched { outcome, .. } = search(&identity, odd.address, ProxyChoice::None).await;
        assert!(matches!(outcome.map(|_| ()).unwrap_err(), ClientError::Web { .. }), "{bad:.60}");
    }
    let empty = web(&identity, found(&[], &[]), None).await;
    let Searched { outcome, .. } = search(&identity, empty.address, ProxyChoice::None).await;
    assert!(matches!(outcome.map(|_| ()).unwrap_err(), ClientError::NoZone(_)));
}
