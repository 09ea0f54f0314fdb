//! SIGHUP: what changed on disk takes effect, and not a packet is lost over it.

use client::{IpChoice, LinkReport, TransportChoice};
use mmr::dev::Dev;
use nix::sys::signal::Signal;
use std::time::Duration;
use tests::is_root;
use tests::meeting::{Seat, assert_complete, sources};
use tests::process::Process;
use tests::raw::{RawChannel, try_tls};
use wire::Transport;
use wire::control::{ALPN_CONTROL, ALPN_MEDIA};
use wire::mark::Marks;
use wire::token::Role;

const PATIENCE: Duration = Duration::from_secs(20);

fn seats() -> Vec<Seat> {
    let seats = [
        (Transport::Udp, IpChoice::V4),
        (Transport::Udp, IpChoice::V6),
        (Transport::Tcp, IpChoice::V4),
        (Transport::Tls, IpChoice::V6),
    ];
    let seat = |(transport, ip)| Seat {
        name: format!("{transport}-{ip:?}"),
        transport: TransportChoice::Only(transport),
        ip,
    };
    seats.into_iter().map(seat).collect()
}

/// Another certificate authority, certificate and token key, and these marks, by SIGHUP.
async fn reload(process: &Process, next: &Dev, preset: &str) {
    for file in ["certificate.pem", "certificate-key.pem", "token-keys.json"] {
        std::fs::copy(next.dir().join(file), process.venue.dev.dir().join(file)).unwrap();
    }
    process.configure(&format!("[dscp]\npreset = \"{preset}\"\n"));
    process.forget_told();
    process.signal(Signal::SIGHUP);
    for line in ["RELOADING=1", "READY=1"] {
        // The clients share this thread: they must not wait for the daemon.
        while !process.is_told(line, Duration::ZERO) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Newcomers get the new certificate at both doors, and in with the new key; nobody gets the old one.
async fn assert_in_effect(process: &Process, next: &Dev, old: &Dev) {
    for alpn in [ALPN_CONTROL, ALPN_MEDIA] {
        assert!(try_tls(process.tls(), next.ca_pem(), alpn).await.is_ok());
        assert!(try_tls(process.tls(), old.ca_pem(), alpn).await.is_err(), "the old certificate");
    }
    let token = |dev: &Dev, who: &str| dev.token("elsewhere", who, Role::Host);
    RawChannel::join(process.tls(), next.ca_pem(), token(next, "new")).await;
    let mut refused = RawChannel::open(process.tls(), next.ca_pem()).await;
    refused.say_join(token(old, "old")).await;
    assert_eq!(refused.refusal().await, "bad_token", "the old key is retired");
}

#[test]
fn sighup_changes_certificates_keys_and_marks_while_media_flows_and_loses_no_packet() {
    let process = Process::start("");
    let [first, second] = [(); 2].map(|()| Dev::temporary().unwrap());
    let reloads = async {
        let mut old = &process.venue.dev;
        for (next, preset) in [(&first, "zoom"), (&second, "off")] {
            tokio::time::sleep(Duration::from_millis(800)).await;
            let reloaded = tokio::time::timeout(PATIENCE, reload(&process, next, preset)).await;
            assert!(reloaded.is_ok(), "the daemon did not reload");
            assert_in_effect(&process, next, old).await;
            old = next;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seats = seats();
    let play = process.venue.play(sources(), Duration::from_secs(5), &seats, reloads);
    let (sent, recorded) = runtime.block_on(play);
    for report in &recorded {
        assert_complete(&sent, &sources(), report);
        for stream in &report.streams {
            assert_eq!(stream.packets.lost_before_repair, 0, "{}: {stream:?}", report.participant);
        }
        for link in &report.links {
            // Linux tells the marks of TCP only to those who may capture packets.
            if link.transport == Transport::Udp || is_root() {
                assert_marked(link);
            }
        }
    }
}

/// Its packets carried its kind's mark of every preset in turn, and no other.
fn assert_marked(link: &LinkReport) {
    let mut presets =
        [Marks::DEFAULT, Marks::ZOOM, Marks::OFF].map(|marks| marks.of(link.kind).value());
    presets.sort_unstable();
    // TCP and TLS connections begin with control's mark, which may have been seen.
    let begun = Marks::DEFAULT.control.value();
    let seen =
        link.dscp.unwrap().iter().filter(|mark| link.transport == Transport::Udp || *mark != begun);
    assert_eq!(seen.collect::<Vec<_>>(), presets, "{link:?}");
}
