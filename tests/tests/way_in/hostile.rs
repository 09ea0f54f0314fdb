//! Who tries to use the tunnel for something else, on a real network: nothing opens.
//!
//! The tunnel's own tests try every form of address and every kind of client; here is what a participant's host can do.

use crate::site::{Site, TUNNEL, addresses, near_controller};
use mmr::dev::claims;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use wire::Kind;
use wire::token::{Claims, Role, Signer};

/// What does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Forged and expired tokens, targets that are nobody's; and half-open connections, which hold nobody up.
pub fn at_the_tunnel(site: &Site, host: usize) {
    let seat = site.seat(host);
    let good =
        claims("near", "meeting", "eve", Role::Attendee, &Kind::ALL, Duration::from_secs(60));
    let past = Claims { iat: good.iat - 120, exp: good.iat - 60, ..good.clone() };
    let elsewhere = Claims { aud: "moon".into(), ..good.clone() };
    let controller = format!("{}:443", near_controller()[0]);
    let own = addresses(TUNNEL)[0];
    let tokens = [
        ("", &controller, "407"),
        ("nonsense", &controller, "407"),
        (&Signer::generate().sign(&good), &controller, "407"),
        (&site.web.sign(&past), &controller, "407"),
        (&site.web.sign(&elsewhere), &controller, "407"),
        (&site.web.sign(&good), &controller, "200"),
    ]
    .map(|(token, target, status)| (token.to_owned(), target.clone(), status));
    let targets = [
        "127.0.0.1:443".to_owned(),
        "[::1]:443".to_owned(),
        "169.254.169.254:80".to_owned(),
        "[fe80::1]:443".to_owned(),
        "10.0.0.1:443".to_owned(),
        format!("{own}:443"),
        format!("{}:22", near_controller()[0]),
        format!("[::ffff:{}]:443", near_controller()[0]),
        "[64:ff9b::7f00:1]:443".to_owned(),
        "[2002:7f00:1::]:443".to_owned(),
        "localhost:443".to_owned(),
    ]
    .map(|target| (site.web.sign(&good), target, "403"));
    seat.block_on(async || {
        // Half open: these say nothing, and stay.
        let mut held = Vec::new();
        for _ in 0..20 {
            held.push(TcpStream::connect(SocketAddr::new(own, 443)).await.unwrap());
        }
        for (token, target, status) in tokens.into_iter().chain(targets) {
            let answer = timeout(PATIENCE, connect(site, &token, &target)).await.unwrap();
            assert_eq!(answer, status, "CONNECT {target}");
        }
    });
}

/// The status that `CONNECT` is answered with.
async fn connect(site: &Site, token: &str, target: &str) -> String {
    let tunnel = addresses(TUNNEL)[0];
    let tcp = TcpStream::connect(SocketAddr::new(tunnel, 443)).await.unwrap();
    let connector = TlsConnector::from(Arc::new(site.trusting()));
    let mut tls = connector.connect(ServerName::from(tunnel), tcp).await.unwrap();
    let request = format!(
        "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nproxy-authorization: Bearer {token}\r\n\r\n"
    );
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    tls.read_exact(&mut status).await.unwrap();
    String::from_utf8_lossy(&status[9..]).into_owned()
}
