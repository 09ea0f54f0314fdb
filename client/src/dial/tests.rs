//! Proxies and tunnels, those that do what they are there for and those that do not.
#![allow(clippy::unwrap_used)] // a test may fail by panic

use super::*;
use crate::fake::{Identity, Reply, Server, closed, lead};
use crate::limits::TUNNEL_PATIENCE;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use wire::tunnel::{Refusal, RefusalCode};

const BASIC: &str =
    "HTTP/1.1 407 Who\r\nproxy-authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n\r\n";

fn direct() -> Dialer {
    Dialer::direct(IpChoice::Any, Identity::new().trust)
}

fn behind(proxy: &Server, user: &str) -> Dialer {
    let url = format!("http://{user}{}", proxy.address).parse().unwrap();
    direct().through_proxy(Proxy::new(url, Exceptions::default()))
}

/// A host that says back what it hears.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    address
}

async fn is_echoed(mut stream: Stream) {
    stream.write_all(b"hello").await.unwrap();
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
}

async fn failure(dialer: &Dialer, to: &Target) -> String {
    dialer.connect(to).await.map(|_| ()).unwrap_err().to_string()
}

#[tokio::test]
async fn bytes_flow_through_a_proxy_and_those_it_is_not_for_go_past_it() {
    let (host, proxy) = (echo().await, Server::proxy().await);
    let dialer = behind(&proxy, "");
    is_echoed(dialer.connect(&host.into()).await.unwrap()).await;
    assert_eq!(proxy.heard().len(), 1);
    assert!(proxy.heard()[0].starts_with(&format!("connect {host} http/1.1\r\n")));
    assert_eq!(dialer.way_to("127.0.0.1"), Way::Proxy);
    assert!(
        !dialer.carries(host.ip(), Transport::Udp) && dialer.carries(host.ip(), Transport::Tls)
    );

    let url = format!("http://{}", proxy.address).parse().unwrap();
    let past = direct().through_proxy(Proxy::new(url, Exceptions::new("127.0.0.0/8")));
    is_echoed(past.connect(&host.into()).await.unwrap()).await;
    assert_eq!(proxy.heard().len(), 1);
    assert!(past.carries(host.ip(), Transport::Udp));
}

#[tokio::test]
async fn user_and_password_are_shown_when_they_are_asked_for_and_at_once_from_then_on() {
    let host = echo().await;
    let proxy = Server::http(|head, _| {
        let known = head.contains("proxy-authorization: basic ywrhonmzy3jlda==");
        if known { lead(head) } else { Reply::raw(BASIC) }
    })
    .await;
    let dialer = behind(&proxy, "ada:s3cret@");
    for asked in [2, 3] {
        is_echoed(dialer.connect(&host.into()).await.unwrap()).await;
        assert_eq!(proxy.heard().len(), asked);
    }
    assert!(!proxy.heard()[0].contains("authorization"));
    let error = failure(&behind(&proxy, ""), &host.into()).await;
    assert!(error.contains("asks for user and password"), "{error}");
    let error = failure(&behind(&proxy, "ada:wrong@"), &host.into()).await;
    assert!(error.contains("does not take this user and password") && !error.contains("wrong"));
}

#[tokio::test]
async fn a_proxy_that_asks_again_and_again_is_given_up() {
    let proxy = Server::saying([Reply::raw(BASIC)]).await;
    let dialer = behind(&proxy, "ada:s3cret@");
    let target = Target { host: "example.org".into(), port: 443 };
    for asked in [2, 3] {
        let error = failure(&dialer, &target).await;
        assert!(error.contains("does not take this user and password"), "{error}");
        assert_eq!(proxy.heard().len(), asked);
    }
    let other =
        "HTTP/1.1 407 Who\r\nproxy-authenticate: Negotiate\r\nproxy-authenticate: NTLM\r\n\r\n";
    let proxy = Server::saying([Reply::raw(other)]).await;
    let error = failure(&behind(&proxy, "ada:s3cret@"), &target).await;
    assert!(error.contains("Negotiate, NTLM") && error.contains("only Basic"), "{error}");
}

#[tokio::test]
async fn what_a_proxy_may_say_instead_is_an_error_with_its_cause() {
    let target = Target { host: "example.org".into(), port: 443 };
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(64 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(5_000));
    let body = format!("HTTP/1.1 403 No\r\ncontent-length: 9999999\r\n\r\n{}", "x".repeat(100_000));
    for (said, cause) in [
        ("HTTP/1.1 200 OK\r\n\r\njunk", "more than its answer"),
        ("hello there\r\n\r\n", "invalid HTTP"),
        ("HTTP/1.1 200", "can't be used"),
        ("", "can't be used"),
        (&long, "can't be used"),
        (&many, "can't be used"),
        (&body, "does not let anybody connect there"),
        ("HTTP/1.1 403 No\r\ncontent-length: 9\r\n\r\n", "does not let anybody connect there"),
        ("HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\n\r\n", "status 302"),
        ("HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n", "can't reach it"),
        ("HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "proxy"),
    ] {
        let proxy = Server::saying([Reply::raw(said)]).await;
        let name = proxy.address.to_string();
        let error = timeout(Duration::from_secs(5), failure(&behind(&proxy, ""), &target)).await;
        let error = error.unwrap_or_else(|_| panic!("waits after {said:?}"));
        assert!(error.contains(cause) && error.contains(&name), "{said:.60}: {error}");
    }
    let silent = Server::saying([Reply::Silence]).await;
    let waits = timeout(Duration::from_millis(200), failure(&behind(&silent, ""), &target)).await;
    assert!(waits.is_err(), "its caller has the deadline");
    let url = format!("http://{}", closed().await).parse().unwrap();
    let gone = direct().through_proxy(Proxy::new(url, Exceptions::default()));
    assert!(failure(&gone, &target).await.contains("refused"));
}

/// A tunnel that leads on, or refuses everybody.
async fn tunnel(identity: &Identity, refuses: Option<RefusalCode>) -> Server {
    Server::https(identity, move |head, _| match refuses {
        None => lead(head),
        Some(code) => Reply::json(code.status(), &Refusal::new(code, "No.")),
    })
    .await
}

fn inside(identity: &Identity, tunnels: &[&Server]) -> Dialer {
    let mut origins = tunnels.iter().map(|tunnel| tunnel.origin().parse().unwrap());
    let first = origins.next().unwrap();
    let tunnels = Tunnels::new(first, origins.collect(), Secret("join.token".into()));
    Dialer::direct(IpChoice::Any, identity.trust.clone()).through_tunnels(tunnels)
}

#[tokio::test]
async fn bytes_flow_through_a_tunnel_that_is_shown_the_token_then_the_ticket() {
    let (host, identity) = (echo().await, Identity::new());
    let server = tunnel(&identity, None).await;
    let dialer = inside(&identity, &[&server]);
    is_echoed(dialer.connect(&host.into()).await.unwrap()).await;
    dialer.show(&Secret("the.ticket".into()));
    is_echoed(dialer.connect(&host.into()).await.unwrap()).await;
    let heard = server.heard();
    assert!(heard[0].contains("proxy-authorization: bearer join.token\r\n"));
    assert!(heard[1].contains("proxy-authorization: bearer the.ticket\r\n"));
    assert_eq!(dialer.way_to("127.0.0.1"), Way::Tunnel);
}

#[tokio::test]
async fn a_tunnel_is_reached_by_the_proxy_that_stands_in_the_way() {
    let (host, identity, proxy) = (echo().await, Identity::new(), Server::proxy().await);
    let server = tunnel(&identity, None).await;
    let url = format!("http://{}", proxy.address).parse().unwrap();
    let dialer =
        inside(&identity, &[&server]).through_proxy(Proxy::new(url, Exceptions::default()));
    is_echoed(dialer.connect(&host.into()).await.unwrap()).await;
    assert!(proxy.heard()[0].starts_with(&format!("connect {} ", server.target())));
    assert!(server.heard()[0].starts_with(&format!("connect {host} ")));
    assert_eq!(dialer.way_to("127.0.0.1"), Way::ProxyAndTunnel);
}

#[tokio::test]
async fn who_gave_a_silent_tunnel_up_begins_with_the_next() {
    let (host, identity) = (echo().await, Identity::new());
    let silent = async || Server::https(&identity, |_, _| Reply::Silence).await;
    let (first, second, good) = (silent().await, silent().await, tunnel(&identity, None).await);
    let dialer = inside(&identity, &[&first, &second, &good]);
    // Less than it takes until the third has its turn.
    let patience = TUNNEL_PATIENCE + Duration::from_millis(300);
    assert!(timeout(patience, dialer.connect(&host.into())).await.is_err());
    is_echoed(dialer.connect(&host.into()).await.unwrap()).await;
    assert_eq!(first.heard().len(), 1, "it was asked again");
}

#[tokio::test]
async fn a_tunnel_that_ends_or_is_full_is_left_for_the_next() {
    let (host, identity) = (echo().await, Identity::new());
    let draining = tunnel(&identity, Some(RefusalCode::Draining)).await;
    let full = tunnel(&identity, Some(RefusalCode::Overloaded)).await;
    let good = tunnel(&identity, None).await;
    let dialer = inside(&identity, &[&draining, &full, &good]);
    for _ in 0..2 {
        is_echoed(dialer.connect(&host.into()).await.unwrap()).await;
    }
    assert_eq!((draining.heard().len(), good.heard().len()), (1, 2), "it stays with the good one");
    assert_eq!(dialer.tunnel_name(), Some(good.origin()));

    let wary = tunnel(&identity, Some(RefusalCode::TokenExpired)).await;
    let error = failure(&inside(&identity, &[&wary, &good]), &host.into()).await;
    assert!(error.contains("TokenExpired") && !error.contains("join.token"), "{error}");
    let odd = Server::https(&identity, |_, _| Reply::text(200, "hello")).await;
    is_echoed(
        inside(&identity, &[&odd, &good]).connect(&host.into()).await.unwrap_or_else(|_| panic!()),
    )
    .await;
}
