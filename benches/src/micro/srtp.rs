//! Sealing and opening: media at the clients, RTCP at the router too.

use super::Micro;
use crate::scene::{keys, ssrc};
use crate::train::Train;
use std::hint::black_box;
use wire::srtp::RTCP_OVERHEAD;
use wire::{Kind, Seq, Ssrc, rtcp};

/// Bytes AEAD_AES_128_GCM adds to an RTP packet (RFC 7714 §4).
const TAG_LEN: usize = 16;

pub(super) fn benches() -> Vec<Micro> {
    let mut all = Vec::new();
    for len in [160, 1_200] {
        all.push(Micro::new(format!("srtp/seal/{len}"), 1, move || {
            let keys = keys();
            let mut packet = packet(len);
            let plain_len = packet.len() - TAG_LEN;
            move || {
                // The same nonce again and again: nothing of this leaves.
                let sealed = keys.protect_rtp(0, black_box(&mut packet), plain_len);
                assert_eq!(sealed, Ok(len));
            }
        }));
        all.push(Micro::new(format!("srtp/open/{len}"), 1, move || {
            let keys = keys();
            let mut sealed = packet(len);
            keys.protect_rtp(0, &mut sealed, len - TAG_LEN).expect("the tag fits");
            let mut packet = sealed.clone();
            move || {
                // Opening is done in place: the copy is measured with it.
                packet.copy_from_slice(&sealed);
                assert_eq!(keys.unprotect_rtp(0, black_box(&mut packet)), Ok(len - TAG_LEN));
            }
        }));
    }
    all.push(Micro::new("srtp/open-rtcp", 1, || {
        let keys = keys();
        let mut sealed = vec![0; 128];
        let len = rtcp::write_nack(Ssrc(1_000), ssrc(0), &[(Seq(1), 0)], &mut sealed)
            .expect("one entry fits");
        let sealed_len = keys.protect_rtcp(7, &mut sealed, len).expect("the tag fits");
        assert_eq!(sealed_len, len + RTCP_OVERHEAD);
        sealed.truncate(sealed_len);
        let mut packet = sealed.clone();
        move || {
            packet.copy_from_slice(&sealed);
            assert_eq!(keys.unprotect_rtcp(black_box(&mut packet)), Ok((len, 7)));
        }
    }));
    all
}

/// A packet and room for its tag, `len` bytes in all.
fn packet(len: usize) -> Vec<u8> {
    let kind = if len > 500 { Kind::Video } else { Kind::Audio };
    let mut packet = Train::new(kind, 1, len - TAG_LEN).bytes;
    packet.resize(len, 0);
    packet
}
