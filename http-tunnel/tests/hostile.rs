//! What a tunnel does with those who mean it, or others through it, harm.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::{Answer, Bed, PATIENCE, Target, VERSIONS, Version, now_s};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use wire::token::{Claims, Signer, Ticket};

#[tokio::test]
async fn forged_expired_and_foreign_tokens_open_nothing_and_learn_nothing() {
    let bed = Bed::new();
    let target = Target::silent().await;
    let name = target.name();
    let tunnel = bed.tunnel(&[&name], "");
    let stranger = Signer::generate();
    let signed = |claims: Claims| bed.web.sign(&claims);
    let past = Claims { iat: now_s() - 400, exp: now_s() - 100, ..bed.claims() };
    let future = Claims { iat: now_s() + 400, exp: now_s() + 500, ..bed.claims() };
    let endless = Claims { exp: now_s() + 100_000, ..bed.claims() };
    let elsewhere = Claims { aud: "other".into(), ..bed.claims() };
    let old_ticket = Ticket::of(&bed.claims(), now_s() - 1_000, 600);
    let other_ticket =
        Ticket { aud: "other/tickets".into(), ..Ticket::of(&bed.claims(), now_s(), 9) };
    let good = bed.token();
    let (body, signature) = good.rsplit_once('.').unwrap();
    let unsigned = format!("{}.{}.", "eyJhbGciOiJub25lIn0", body.split('.').nth(1).unwrap());
    let cut = format!("{body}.{}", &signature[..signature.len() - 2]);
    for (token, code) in [
        (stranger.sign(&bed.claims()), "bad_token"),
        (signed(past), "token_expired"),
        (signed(future), "token_expired"),
        (signed(endless), "token_expired"),
        (signed(elsewhere), "bad_token"),
        (stranger.sign_ticket(&Ticket::of(&bed.claims(), now_s(), 600)), "bad_token"),
        (bed.zone.sign_ticket(&old_ticket), "token_expired"),
        (bed.zone.sign_ticket(&other_ticket), "bad_token"),
        (unsigned, "bad_token"),
        (cut, "bad_token"),
        ("no token at all".into(), "bad_token"),
        ("x".repeat(3_000), "bad_token"),
        ("..".into(), "bad_token"),
    ] {
        for version in VERSIONS {
            // The same for a target that is in the list and for one that is not.
            for asked in [name.as_str(), "127.0.0.1:22"] {
                let refused = tunnel.refused(version, Some(&token), asked).await;
                assert_eq!(refused, (407, code.to_owned()), "{token}");
            }
        }
    }
    let Answer::Refused { status: 407, head, .. } =
        tunnel.client(Version::Http1).await.ask(None, &name).await
    else {
        panic!("no token is no token")
    };
    assert!(head.contains("proxy-authenticate: bearer"), "{head}");
    assert_eq!(target.connections(), 0);
    drop(tunnel.open(Version::Http2, &good, &name).await);
    let said = tunnel.metrics().await;
    assert!(!said.contains(&good) && !said.contains("standup"), "{said}");
}

#[tokio::test]
async fn nothing_but_the_list_is_led_to_however_it_is_written() {
    let bed = Bed::new();
    let (listed, trap) = (Target::silent().await, Target::silent().await);
    let (port, other) = (listed.address.port(), trap.address.port());
    let limits = "[limits]\nparticipant_asks_burst = 1000\nrequests_per_address_burst = 5000\n";
    let tunnel = bed.tunnel(&[&listed.name(), "zc.example.org:443"], limits);
    let token = bed.token();
    let forbidden = [
        // Another port of a listed host, and the host by another name or address.
        format!("127.0.0.1:{other}"),
        format!("localhost:{port}"),
        format!("127.0.0.2:{port}"),
        "zc.example.org:444".into(),
        "a.zc.example.org:443".into(),
        // Loopback, unspecified, link-local, private, shared, multicast, a cloud's metadata.
        format!("[::1]:{port}"),
        format!("0.0.0.0:{other}"),
        format!("[::]:{other}"),
        "169.254.169.254:80".into(),
        "[fe80::1]:443".into(),
        "[fd00:ec2::254]:80".into(),
        "10.0.0.1:443".into(),
        "172.16.0.1:443".into(),
        "192.168.0.1:443".into(),
        "100.64.0.1:443".into(),
        "224.0.0.1:443".into(),
        "255.255.255.255:443".into(),
        // The listed IPv4 address itself, in every IPv6 form there is.
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("[::FFFF:7f00:1]:{port}"),
        format!("[0:0:0:0:0:ffff:7f00:0001]:{port}"),
        format!("[::127.0.0.1]:{port}"),
        format!("[::ffff:0:127.0.0.1]:{port}"),
        format!("[64:ff9b::127.0.0.1]:{port}"),
        format!("[64:ff9b:1::7f00:1]:{port}"),
        format!("[2002:7f00:1::]:{port}"),
        format!("[2001:0:7f00:1::80ff:fffe]:{port}"),
        format!("[fe80::5efe:127.0.0.1]:{port}"),
    ];
    for version in VERSIONS {
        for target in &forbidden {
            let refused = tunnel.refused(version, Some(&token), target).await;
            assert_eq!(refused, (403, "not_allowed".into()), "{target}");
        }
    }
    // Spellings that a resolver would take for the listed address.
    for target in
        ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1.", "localhost@127.0.0.1"]
    {
        let text = format!(
            "CONNECT {target}:{port} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nproxy-authorization: Bearer {token}\r\n\r\n"
        );
        let answer = tunnel.client(Version::Http1).await.send(&text).await;
        let Answer::Refused { status: 400, .. } = answer else { panic!("{target}") };
    }
    assert_eq!((listed.connections(), trap.connections()), (0, 0));
    drop(tunnel.open(Version::Http1, &token, &listed.name()).await);
}

#[tokio::test]
async fn the_host_header_and_other_credentials_decide_nothing() {
    let bed = Bed::new();
    let (listed, trap) = (Target::silent().await, Target::silent().await);
    let (name, trapped) = (listed.name(), trap.name());
    let tunnel = bed.tunnel(&[&name], "");
    let token = bed.token();
    let ask = async |text: String| match tunnel.client(Version::Http1).await.send(&text).await {
        Answer::Open(_) => 200,
        Answer::Refused { status, .. } => status,
    };
    let bearer = format!("proxy-authorization: Bearer {token}\r\n");
    let connect = |target: &str, host: &str, headers: &str| {
        format!("CONNECT {target} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n")
    };
    assert_eq!(ask(connect(&name, &trapped, &bearer)).await, 200, "the host is not looked at");
    assert_eq!(ask(connect(&trapped, &name, &bearer)).await, 403);
    let elsewhere = format!("authorization: Bearer {token}\r\n");
    assert_eq!(ask(connect(&name, &name, &elsewhere)).await, 407);
    let basic = format!("proxy-authorization: Basic {token}\r\n");
    assert_eq!(ask(connect(&name, &name, &basic)).await, 407);
    assert_eq!(
        ask(format!("GET http://{trapped}/ HTTP/1.1\r\nhost: x\r\n{bearer}\r\n")).await,
        404
    );
    assert_eq!(
        ask("POST /ping HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".into()).await,
        405
    );
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn a_name_that_leads_to_this_host_or_nowhere_is_not_reached() {
    let bed = Bed::new();
    let trap = Target::silent().await;
    let name = format!("localhost:{}", trap.address.port());
    let gone = {
        let gone = Target::silent().await;
        gone.name()
    };
    let tunnel = bed.tunnel(&[&name, &gone, "nowhere.invalid:443"], "");
    for target in [name.as_str(), "nowhere.invalid:443"] {
        let refused = tunnel.refused(Version::Http2, Some(&bed.token()), target).await;
        assert_eq!(refused, (502, "unreachable".into()), "{target}");
    }
    sleep(Duration::from_millis(50)).await;
    let refused = tunnel.refused(Version::Http1, Some(&bed.token()), &gone).await;
    assert_eq!(refused, (502, "unreachable".into()));
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn who_asks_all_the_time_is_slowed_down_and_others_are_not() {
    let bed = Bed::new();
    let target = Target::silent().await;
    let name = target.name();
    let limits = "[limits]\nparticipant_asks_per_s = 1\nparticipant_asks_burst = 3\n";
    let tunnel = bed.tunnel(&[&name], limits);
    let token = bed.token();
    for _ in 0..3 {
        drop(tunnel.open(Version::Http1, &token, &name).await);
    }
    let mut client = tunnel.client(Version::Http1).await;
    let Answer::Refused { status: 429, code, head, .. } = client.ask(Some(&token), &name).await
    else {
        panic!("a fourth tunnel")
    };
    assert_eq!(code, "too_fast");
    assert!(head.contains("retry-after: 1"), "{head}");
    drop(tunnel.open(Version::Http1, &bed.token(), &name).await);

    let tunnel = bed.tunnel(&[&name], "[limits]\nrequests_per_address_burst = 20\n");
    let mut client = tunnel.client(Version::Http2).await;
    let mut slowed = 0;
    for _ in 0..60 {
        slowed += u32::from(client.get("/ping", None).await.0 == 429);
    }
    assert!(slowed >= 20, "{slowed}");
}

#[tokio::test]
async fn idle_and_half_open_tunnels_are_ended() {
    let bed = Bed::new();
    let (silent, half) = (Target::silent().await, Target::half_closed().await);
    let limits = "[limits]\nidle = \"1s\"\nhalf_open = \"1s\"\n";
    let tunnel = bed.tunnel(&[&silent.name(), &half.name()], limits);
    for version in VERSIONS {
        let mut idle = tunnel.open(version, &bed.token(), &silent.name()).await;
        let since = Instant::now();
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, idle.read_to_end(&mut rest)).await.unwrap();
        assert!(since.elapsed() >= Duration::from_millis(900), "{:?}", since.elapsed());

        let mut open = tunnel.open(version, &bed.token(), &half.name()).await;
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, open.read_to_end(&mut rest)).await.unwrap();
        let dripping = async {
            while open.write_all(b"x").await.is_ok() && open.flush().await.is_ok() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, dripping).await.expect("it ends although something moves");
    }
    let ended = async |reason| {
        tunnel.metric(&format!("http_tunnel_tunnels_ended_total{{reason=\"{reason}\"}}")).await
    };
    let counts = [ended("idle").await, ended("half_open").await];
    assert!(counts.iter().all(|count| (count - 2.0).abs() < 0.5), "{counts:?}");
}

#[tokio::test]
async fn slow_and_silent_clients_are_ended_and_hold_nobody_up() {
    let bed = Bed::new();
    let target = Target::silent().await;
    let tunnel = bed.tunnel(&[&target.name()], "[limits]\nconnections_per_address = 4\n");
    let since = Instant::now();
    // One never says hello; one begins a request and never ends it; one drips it.
    let mut silent = TcpStream::connect(tunnel.address).await.unwrap();
    let head = format!("CONNECT {} HTTP/1.1\r\nhost: x\r\n", target.name());
    let mut begun = bed::tls(&bed, tunnel.address, Version::Http1).await;
    begun.write_all(head.as_bytes()).await.unwrap();
    let mut dripping = bed::tls(&bed, tunnel.address, Version::Http1).await;
    drop(tunnel.open(Version::Http1, &bed.token(), &target.name()).await);
    let drip = async {
        while dripping.write_all(b"C").await.is_ok() && dripping.flush().await.is_ok() {
            sleep(Duration::from_millis(200)).await;
        }
    };
    let mut rest = Vec::new();
    let ended = async {
        let _ = silent.read_to_end(&mut rest).await;
        let hello = since.elapsed();
        let _ = begun.read_to_end(&mut rest).await;
        hello
    };
    let (hello, ()) = timeout(PATIENCE, async { tokio::join!(ended, drip) }).await.unwrap();
    assert!((4..9).contains(&hello.as_secs()), "{hello:?}");
    drop(tunnel.open(Version::Http1, &bed.token(), &target.name()).await);
    assert_eq!(target.connections(), 2);
}

#[tokio::test]
async fn connections_are_limited_and_an_open_tunnel_counts() {
    let bed = Bed::new();
    let target = Target::silent().await;
    let tunnel = bed.tunnel(&[&target.name()], "[limits]\nconnections_per_address = 2\n");
    let one = tunnel.open(Version::Http1, &bed.token(), &target.name()).await;
    let _two = tunnel.open(Version::Http2, &bed.token(), &target.name()).await;
    sleep(Duration::from_millis(100)).await;
    let mut third = TcpStream::connect(tunnel.address).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(3), third.read_to_end(&mut rest)).await.expect("closed");
    drop(one);
    sleep(Duration::from_millis(300)).await;
    tunnel.open(Version::Http1, &bed.token(), &target.name()).await;
}

#[tokio::test]
async fn a_thousand_forged_tokens_hold_nobody_up() {
    let bed = Bed::new();
    let target = Target::silent().await;
    let tunnel = bed.tunnel(&[&target.name()], "[limits]\nrequests_per_address_burst = 5000\n");
    let mut client = tunnel.client(Version::Http2).await;
    let stranger = Signer::generate();
    for number in 0..1_000 {
        let mut token = bed.token();
        match number % 3 {
            0 => token = stranger.sign(&bed.claims()),
            1 => token.truncate(token.len() - 3),
            _ => token.insert(number % token.len(), 'A'),
        }
        let Answer::Refused { status: 407, .. } = client.ask(Some(&token), &target.name()).await
        else {
            panic!("{token}")
        };
    }
    drop(tunnel.open(Version::Http2, &bed.token(), &target.name()).await);
    assert_eq!(target.connections(), 1);
    let counted = tunnel.metric("http_tunnel_participants").await;
    assert!((counted - 1.0).abs() < 0.5, "{counted}: nobody else is counted");
}
