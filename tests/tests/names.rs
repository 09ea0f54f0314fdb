//! What others call our packets: tshark knows them as STUN, RTP and RTCP, and finds none malformed.
#![allow(clippy::unwrap_used, missing_docs)]

use client::{IpChoice, TransportChoice};
use std::net::UdpSocket;
use std::time::Duration;
use tests::meeting::{Meeting, Seat, sources};
use tests::scene::Scene;
use tests::{Capture, Host, Wire, is_root};

#[test]
fn tshark_names_every_packet_on_8801_and_finds_none_malformed() {
    if !is_root() {
        return;
    }
    let meeting = Meeting::start(|_| {});
    let mut capture = Capture::start(&meeting.wire.right, Wire::INTERFACE, "udp port 8801");
    let seat = Seat { name: "recorder".into(), transport: TransportChoice::Auto, ip: IpChoice::V6 };
    let duration = Duration::from_secs(4);
    meeting.wire.right.block_on(meeting.play(sources(), duration, &[seat], async {}));
    capture.stop();
    let count =
        |options: &[&str], filter: &str| capture.read(options, filter, &["frame.number"]).len();
    // Nothing told tshark of this meeting: it goes by what the packets look like.
    let looks = ["--enable-heuristic", "rtp_udp", "--enable-heuristic", "rtcp_udp"];
    let named = |filter: &str| count(&looks, filter);
    let all = named("udp.port == 8801");
    let (stun, rtp, rtcp) = (named("stun"), named("rtp"), named("rtcp"));
    assert!(stun >= 6 * 2, "{stun} STUN messages");
    assert!(rtp > 300, "{rtp} RTP packets");
    assert!(rtcp >= 6, "{rtcp} RTCP packets");
    assert_eq!(stun + rtp + rtcp, all, "packets without a name");
    // RTCP here is SRTCP, encrypted behind its first eight bytes. tshark believes that, where it is told so, of
    // packets it did not take for RTP first: hence two readings of the same packets, which leave none out.
    assert_eq!(named("_ws.malformed and not rtcp"), 0);
    let secure = ["-o", "rtcp.default_protocol:SRTCP"];
    assert_eq!(count(&secure, "srtcp.encrypted_payload"), rtcp, "RTCP that is not SRTCP");
    assert_eq!(count(&secure, "_ws.malformed"), 0);
}

#[test]
fn tshark_finds_no_malformed_rtcp_once_it_is_decrypted() {
    if !is_root() {
        return;
    }
    let host = Host::new();
    let mut capture = Capture::start(&host, "lo", "udp port 5005");
    let compounds = host.block_on(async {
        let mut scene = Scene::new(256_000).await;
        // A gap: the router asks for what is missing.
        scene.pair.next_packet();
        scene.pair.assert_media_flows();
        let mut compounds: Vec<_> = (0..3).map(|_| scene.pair.publisher.receive_rtcp()).collect();
        // And asks for a keyframe when a subscriber does.
        let mut pli = vec![0; 64];
        let len = wire::rtcp::write_pli(wire::Ssrc(0x1000), scene.pair.ssrc, &mut pli).unwrap();
        pli.truncate(len);
        compounds.push(pli);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sink = UdpSocket::bind("127.0.0.1:5005").unwrap();
        for compound in &compounds {
            socket.send_to(compound, sink.local_addr().unwrap()).unwrap();
        }
        scene.daemon.stop().await;
        compounds.len()
    });
    capture.stop();
    let decode = ["-d", "udp.port==5005,rtcp"];
    let types = capture.read(&decode, "rtcp", &["rtcp.pt"]);
    assert_eq!(types.len(), compounds);
    // A NACK is transport layer feedback (RFC 4585 §6.2), 205; a PLI payload specific (§6.3), 206.
    assert!(types.iter().any(|types| types[0].contains("205")), "{types:?}");
    assert!(types.iter().any(|types| types[0].contains("206")), "{types:?}");
    let malformed = capture.read(&decode, "_ws.malformed", &["rtcp.pt", "_ws.expert.message"]);
    assert!(malformed.is_empty(), "{malformed:?}");
}
