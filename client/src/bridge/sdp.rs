//! Describes outgoing streams for players (RFC 8866).

use crate::media::clock_hz;
use std::fmt::Write;
use std::net::SocketAddr;
use wire::Kind;
use wire::control::Codec;

/// One stream as a player is told of it.
#[derive(Clone, Debug)]
pub(super) struct Media {
    pub(super) address: SocketAddr,
    pub(super) codec: Codec,
    pub(super) payload_type: u8,
    pub(super) kind: Kind,
    pub(super) participant: String,
}

/// `version` grows with each change (RFC 8866 §5.2).
pub(super) fn describe(address: SocketAddr, version: u64, media: &[Media]) -> String {
    let net = if address.is_ipv4() { "IP4" } else { "IP6" };
    let ip = address.ip();
    let mut sdp = format!("v=0\r\no=- 0 {version} IN {net} {ip}\r\ns=meeting\r\n");
    // Writing to a string cannot fail.
    let _ = write!(sdp, "c=IN {net} {ip}\r\nt=0 0\r\n");
    for Media { address, codec, payload_type, kind, participant } in media {
        let medium = if *kind == Kind::Audio { "audio" } else { "video" };
        let port = address.port();
        // RFC 7587 §7: Opus is always announced with 48 kHz and two channels.
        let (name, channels) = match codec {
            Codec::Opus => ("opus", "/2"),
            Codec::Vp8 => ("VP8", ""),
            Codec::Av1 => ("AV1", ""),
        };
        let clock = clock_hz(*codec);
        let title: String = participant.chars().filter(|c| !c.is_control()).collect();
        let _ = write!(
            sdp,
            "m={medium} {port} RTP/AVP {payload_type}\r\ni={title} {kind}\r\n\
             a=rtpmap:{payload_type} {name}/{clock}{channels}\r\na=recvonly\r\n",
        );
    }
    sdp
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panic
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_camera_and_a_voice() {
        let media = |port, codec, payload_type, kind| Media {
            address: SocketAddr::new([127, 0, 0, 1].into(), port),
            codec,
            payload_type,
            kind,
            participant: "ada\r\nb".into(),
        };
        let media =
            [media(6004, Codec::Vp8, 96, Kind::Video), media(6006, Codec::Opus, 111, Kind::Audio)];
        let sdp = describe("127.0.0.1:6004".parse().unwrap(), 2, &media).replace('\r', "");
        expect![[r#"
            v=0
            o=- 0 2 IN IP4 127.0.0.1
            s=meeting
            c=IN IP4 127.0.0.1
            t=0 0
            m=video 6004 RTP/AVP 96
            i=adab video
            a=rtpmap:96 VP8/90000
            a=recvonly
            m=audio 6006 RTP/AVP 111
            i=adab audio
            a=rtpmap:111 opus/48000/2
            a=recvonly
        "#]]
        .assert_eq(&sdp);
    }
}
