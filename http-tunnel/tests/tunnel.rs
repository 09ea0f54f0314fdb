//! What a tunnel carries: real TLS connections through it, both ways, within limits.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::{Answer, Bed, Client, PATIENCE, Stream, Target, Tunnel, VERSIONS, Version, ZONE, noise};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where names of this host may lead, in tests.
const LOOPBACK: &str = "[names]\nprivate = [\"127.0.0.0/8\", \"::1/128\"]\n";

async fn inside(bed: &Bed, stream: Stream) -> TlsStream<Stream> {
    let connector = TlsConnector::from(Arc::new(bed.client_tls()));
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_runs_through_it_both_ways_and_to_its_end() {
    let bed = Bed::new();
    let target = Target::echo(&bed).await;
    let by_name = format!("localhost:{}", target.address.port());
    let by_address = target.name();
    let tunnel = bed.tunnel(&[&by_name, &by_address], LOOPBACK);
    for version in VERSIONS {
        for (name, token) in
            [(&by_name, bed.token()), (&by_address, bed.token()), (&by_address, bed.ticket())]
        {
            let stream = inside(&bed, tunnel.open(version, &token, name).await).await;
            let sent = noise(1 << 20);
            let (mut from, mut to) = tokio::io::split(stream);
            let sending = async {
                to.write_all(&sent).await.unwrap();
                to.shutdown().await.unwrap();
            };
            let mut heard = Vec::new();
            let all = async { tokio::join!(sending, from.read_to_end(&mut heard)).1.unwrap() };
            timeout(PATIENCE, all).await.unwrap();
            assert!(heard.strip_suffix(b"goodbye") == Some(&sent), "{version:?} to {name}");
        }
    }
    wait_for(&tunnel, "http_tunnel_tunnels_ended_total{reason=\"closed\"}", 6.0).await;
    assert!(tunnel.metric("http_tunnel_bytes_to_zone_total").await > f64::from(6 << 20));
    assert!(tunnel.metric("http_tunnel_bytes_to_client_total").await > f64::from(6 << 20));
}

#[tokio::test]
async fn what_a_client_sends_before_it_is_answered_arrives() {
    let bed = Bed::new();
    let target = Target::echo(&bed).await;
    let name = target.name();
    let tunnel = bed.tunnel(&[&name], "");
    let mut client = tunnel.client(Version::Http1).await;
    let token = bed.token();
    // Not TLS: the target hears it and closes, at once.
    let text = format!(
        "CONNECT {name} HTTP/1.1\r\nhost: {name}\r\nproxy-authorization: bearer {token}\r\n\r\nno TLS at all"
    );
    let Answer::Open(mut stream) = client.send(&text).await else { panic!("refused") };
    let mut alert = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut alert)).await.unwrap().unwrap();
    assert_eq!(alert.first(), Some(&21), "an alert of TLS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_slowly_slows_the_other_end_down_and_nothing_piles_up() {
    let bed = Bed::new();
    let (flood, silent) = (Target::flood().await, Target::silent().await);
    let tunnel = bed.tunnel(&[&flood.name(), &silent.name()], "");
    for version in VERSIONS {
        // What the kernel buffers on the way, on four sockets, and a little of the tunnel's.
        let most = 40 << 20;
        let before = flood.sent();
        let mut stream = tunnel.open(version, &bed.token(), &flood.name()).await;
        let stalled = rests(|| flood.sent() - before).await;
        assert!(stalled < most, "{version:?}: the target could send {stalled}");
        let mut read = vec![0; 1 << 20];
        for _ in 0..(stalled >> 20) + 8 {
            timeout(PATIENCE, stream.read_exact(&mut read)).await.unwrap().unwrap();
        }
        assert!(flood.sent() - before > stalled, "{version:?}: it goes on when that is read");
        drop(stream);

        let mut stream = tunnel.open(version, &bed.token(), &silent.name()).await;
        let sent = std::sync::atomic::AtomicU64::new(0);
        let sending = async {
            while let Ok(len) = stream.write(&read).await {
                sent.fetch_add(len as u64, std::sync::atomic::Ordering::Relaxed);
                let _ = stream.flush().await;
            }
        };
        let stalled = tokio::select! {
            () = sending => panic!("{version:?}: the tunnel ended"),
            stalled = rests(|| sent.load(std::sync::atomic::Ordering::Relaxed)) => stalled,
        };
        assert!(stalled < most, "{version:?}: the client could send {stalled}");
    }
}

/// Waits until a count has not changed for half a second.
async fn rests(count: impl Fn() -> u64) -> u64 {
    let (mut last, since) = (0, Instant::now());
    loop {
        sleep(Duration::from_millis(500)).await;
        let now = count();
        if now == last && now > 0 {
            return now;
        }
        last = now;
        assert!(since.elapsed() < PATIENCE, "{now} and no end");
    }
}

#[tokio::test]
async fn a_participant_has_so_many_tunnels_whatever_it_shows() {
    let bed = Bed::new();
    let silent = Target::silent().await;
    let name = silent.name();
    let tunnel = bed.tunnel(&[&name], "[limits]\nparticipant_tunnels = 2\n");
    let claims = bed.claims();
    let again = wire::token::Claims { jti: "another".into(), ..claims.clone() };
    let ticket = bed.zone.sign_ticket(&wire::token::Ticket::of(&claims, bed::now_s(), 600));
    let tokens = [bed.web.sign(&claims), bed.web.sign(&again), ticket];
    let first = tunnel.open(Version::Http1, &tokens[0], &name).await;
    let _second = tunnel.open(Version::Http2, &tokens[1], &name).await;
    for token in &tokens {
        let refused = tunnel.refused(Version::Http2, Some(token), &name).await;
        assert_eq!(refused, (429, "too_many".into()));
    }
    let _other = tunnel.open(Version::Http1, &bed.token(), &name).await;
    drop(first);
    wait_for(&tunnel, &format!("http_tunnel_tunnels{{zone=\"{ZONE}\"}}"), 2.0).await;
    tunnel.open(Version::Http1, &tokens[2], &name).await;
}

#[tokio::test]
async fn one_http2_connection_carries_several_tunnels() {
    let bed = Bed::new();
    let target = Target::echo(&bed).await;
    let tunnel = bed.tunnel(&[&target.name()], "");
    let mut client = tunnel.client(Version::Http2).await;
    let token = bed.token();
    let mut streams = Vec::new();
    for _ in 0..4 {
        let Answer::Open(stream) = client.ask(Some(&token), &target.name()).await else { panic!() };
        streams.push(inside(&bed, stream).await);
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        let sent = noise(10_000 + number);
        stream.write_all(&sent).await.unwrap();
        let mut heard = vec![0; sent.len()];
        timeout(PATIENCE, stream.read_exact(&mut heard)).await.unwrap().unwrap();
        assert!(heard == sent);
    }
}

#[tokio::test]
async fn bytes_are_limited_in_all() {
    let bed = Bed::new();
    let flood = Target::flood().await;
    let name = flood.name();
    let tunnel = bed.tunnel(&[&name], "[limits]\nparticipant_bytes = \"1MiB\"\n");
    for version in VERSIONS {
        let token = bed.token();
        let mut stream = tunnel.open(version, &token, &name).await;
        let mut heard = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.unwrap();
        assert!(heard.len() <= 1 << 20 && heard.len() > 900_000, "{version:?}: {}", heard.len());
        let refused = tunnel.refused(version, Some(&token), &name).await;
        assert_eq!(refused, (403, "spent".into()));
    }
}

#[tokio::test]
async fn bytes_are_paced_and_what_waits_for_its_pace_is_not_idle() {
    let bed = Bed::new();
    let sink = Target::sink().await;
    let limits = "[limits]\nparticipant_bytes_per_s = \"256KiB\"\nidle = \"1s\"\n";
    let tunnel = bed.tunnel(&[&sink.name()], limits);
    let mut stream = tunnel.open(Version::Http1, &bed.token(), &sink.name()).await;
    let since = Instant::now();
    let carried = "http_tunnel_bytes_to_zone_total";
    stream.write_all(&noise(768 << 10)).await.unwrap();
    stream.flush().await.unwrap();
    wait_for(&tunnel, carried, f64::from(768 << 10)).await;
    // The first second's worth at once, and the last read is not waited for.
    let took = since.elapsed();
    assert!((Duration::from_millis(1_700)..Duration::from_secs(8)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn tells_who_asks_where_it_leads_and_operators_what_it_did() {
    let bed = Bed::new();
    let tunnel = bed.tunnel(&["zc.example.org:443"], "");
    for version in VERSIONS {
        let mut client = tunnel.client(version).await;
        assert_eq!(client.get("/ping", None).await, (200, format!("{{\"zones\":[\"{ZONE}\"]}}")));
        assert_eq!(client.get("/metrics", None).await.0, 401);
        assert_eq!(client.get("/nothing", None).await.0, 404);
        let guess = Some(("authorization", "Bearer guess".to_owned()));
        assert_eq!(client.get("/metrics", guess).await.0, 401);
    }
    let text = tunnel.metrics().await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let documented = std::fs::read_to_string(file).unwrap();
    let mut names = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(documented.contains(&format!("| `{name}` | {kind} |")), "{name} {kind}");
        names += 1;
    }
    let told = documented.matches("| `http_tunnel_").count();
    assert_eq!(names, told, "documented and no longer told");
}

#[tokio::test]
async fn new_zones_and_keys_are_taken_without_a_restart_and_open_tunnels_stay() {
    let bed = Bed::new();
    let (one, two) = (Target::echo(&bed).await, Target::echo(&bed).await);
    let tunnel = bed.tunnel(&[&one.name()], "");
    let mut open = inside(&bed, tunnel.open(Version::Http2, &bed.token(), &one.name()).await).await;
    let refused = tunnel.refused(Version::Http1, Some(&bed.token()), &two.name()).await;
    assert_eq!(refused, (403, "not_allowed".into()));
    tunnel.daemon.reload(&bed.config(&[&two.name()], "")).unwrap();
    tunnel.open(Version::Http1, &bed.token(), &two.name()).await;
    let refused = tunnel.refused(Version::Http1, Some(&bed.token()), &one.name()).await;
    assert_eq!(refused, (403, "not_allowed".into()));
    bed.write("keys.json", "rubbish");
    assert!(tunnel.daemon.reload(&bed.config(&[&one.name()], "")).is_err());
    tunnel.open(Version::Http1, &bed.token(), &two.name()).await;
    open.write_all(b"still there").await.unwrap();
    let mut heard = [0; 11];
    timeout(PATIENCE, open.read_exact(&mut heard)).await.unwrap().unwrap();
}

#[tokio::test]
async fn draining_turns_newcomers_away_and_lets_tunnels_end_by_themselves() {
    let bed = Bed::new();
    let target = Target::echo(&bed).await;
    let tunnel = bed.tunnel(&[&target.name()], "");
    let mut streams = Vec::new();
    for version in VERSIONS {
        streams.push(inside(&bed, tunnel.open(version, &bed.token(), &target.name()).await).await);
    }
    let mut waiting = tunnel.client(Version::Http2).await;
    let Tunnel { daemon, address, .. } = tunnel;
    let stopping = tokio::spawn(daemon.stop());
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        sleep(Duration::from_millis(20)).await;
    }
    // What was connected before is told, or its connection is gone.
    if let Client::Http2(sender) = &mut waiting {
        sleep(Duration::from_millis(100)).await;
        assert!(sender.ready().await.is_err());
    }
    for mut stream in streams {
        assert!(!stopping.is_finished());
        stream.write_all(b"still there").await.unwrap();
        let mut heard = [0; 11];
        timeout(PATIENCE, stream.read_exact(&mut heard)).await.unwrap().unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
        assert_eq!(rest, b"goodbye");
    }
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_has_a_deadline() {
    let bed = Bed::new();
    let silent = Target::silent().await;
    let tunnel = bed.tunnel(&[&silent.name()], "[drain]\ndeadline = \"300ms\"\n");
    let mut streams = Vec::new();
    for version in VERSIONS {
        streams.push(tunnel.open(version, &bed.token(), &silent.name()).await);
    }
    timeout(PATIENCE, tunnel.daemon.stop()).await.unwrap();
    for mut stream in streams {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"");
    }
}

async fn wait_for(tunnel: &Tunnel<'_>, metric: &str, wanted: f64) {
    let since = Instant::now();
    loop {
        let found = tunnel.metric(metric).await;
        if (found - wanted).abs() < 0.5 {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "{metric} is {found}");
        sleep(Duration::from_millis(20)).await;
    }
}
