//! Connections that come to nothing: reset before, within and after their first words.

use crate::siege::{Siege, reset_in_the_end};
use rustls::ClientConnection;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tests::process::Process;
use tests::raw::tls_config;
use wire::control::{ALPN_CONTROL, ALPN_MEDIA};

/// Connections an attacker holds half-open at once; two attackers stay below what one address may
/// have.
const HELD: usize = 48;
/// Every so many the attacker waits until the daemon has come so far.
const KEEPING_UP: u64 = 64;

pub(crate) fn over_tcp(count: u64) {
    let siege = Siege::lay();
    let address = siege.process.tcp();
    let garbage = framed(&[0xff; 100]);
    let words: [&[u8]; 6] =
        [&[], &[0], &[0, 200, 1, 2, 3], &garbage, &[0xff; 2000], b"GET / HTTP/1.1\r\n\r\n"];
    let strike = |_: &Process, count| knock(address, &words, count);
    siege.bear("aborted TCP connections", count, strike, |stats| {
        stats.door.refused + stats.door.abandoned
    });
}

pub(crate) fn over_tls(count: u64) {
    let siege = Siege::lay();
    let address = siege.process.tls();
    let hello = |alpn| hello(&siege.process, alpn);
    let (media, control) = (hello(ALPN_MEDIA), hello(ALPN_CONTROL));
    // A whole record that is no ClientHello.
    let mut no_hello = vec![22, 3, 1, 1, 0];
    no_hello.resize(5 + 256, 0xee);
    let words: [&[u8]; 8] = [
        &media[..media.len() / 2],
        &[0xff; 300],
        &media[..5],
        &no_hello,
        b"GET / HTTP/1.1\r\n\r\n",
        &control[..control.len() - 1],
        &media,
        &control,
    ];
    let strike = |_: &Process, count| knock(address, &words, count);
    siege.bear("aborted TLS handshakes", count, strike, |stats| {
        let control = stats.control.refused.values().sum::<u64>();
        stats.door.refused + stats.door.abandoned + control
    });
}

fn framed(packet: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::framing::frame(packet, &mut bytes);
    bytes
}

/// The first words of a real TLS client.
fn hello(process: &Process, alpn: &[u8]) -> Vec<u8> {
    let config = tls_config(process.venue.dev.ca_pem(), alpn);
    let name = "localhost".try_into().unwrap();
    let mut bytes = Vec::new();
    ClientConnection::new(Arc::new(config), name).unwrap().write_tls(&mut bytes).unwrap();
    bytes
}

/// Two attackers at once, `count` connections together.
fn knock(address: SocketAddr, words: &[&[u8]], count: u64) {
    std::thread::scope(|scope| {
        for share in [count / 2, count - count / 2] {
            scope.spawn(move || knock_alone(address, words, share));
        }
    });
}

fn knock_alone(address: SocketAddr, words: &[&[u8]], count: u64) {
    let mut held = VecDeque::new();
    for (number, words) in (0..count).zip(words.iter().cycle()) {
        if number % KEEPING_UP == 0 {
            // Refused at its first frame, or its first record: connections are accepted in turn.
            assert_refused(begin(address, &framed(&[0xff; 1300])));
            continue;
        }
        held.push_back(begin(address, words));
        if held.len() > HELD {
            held.pop_front();
        }
    }
}

fn assert_refused(mut connection: TcpStream) {
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // An alert may come first, and the end as a reset.
    let ended = connection.read_to_end(&mut Vec::new());
    let kind = ended.err().map(|error| error.kind());
    assert!(matches!(kind, None | Some(ErrorKind::ConnectionReset)), "{kind:?}");
}

/// A connection that says this, and is reset when dropped.
fn begin(address: SocketAddr, words: &[u8]) -> TcpStream {
    let mut connection = TcpStream::connect(address).unwrap();
    reset_in_the_end(&connection);
    // The daemon may have refused it already.
    let _ = connection.write_all(words);
    connection
}
