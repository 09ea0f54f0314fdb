//! Compounds by hand and back again, against `rtcp-types`' own compound parser, and any bytes at
//! all.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use proptest::prelude::*;

const SENDER: Ssrc = Ssrc(3);
const MEDIA: Ssrc = Ssrc(0xcafe_babe);

fn reports(compound: &[u8]) -> Result<Vec<Report>, Malformed> {
    let mut reports = Vec::new();
    parse(compound, |report| reports.push(report)).map(|()| reports)
}

/// What a writer wrote; also that it wants exactly that much room.
fn written(write: impl Fn(&mut [u8]) -> Option<usize>) -> Vec<u8> {
    let mut out = [0xee; 1500];
    let len = write(&mut out).unwrap();
    assert_eq!(write(&mut vec![0; len]), Some(len));
    assert_eq!(write(&mut vec![0; len - 1]), None, "in a byte less");
    out[..len].to_vec()
}

fn block(ssrc: u32) -> ReportBlock {
    ReportBlock {
        ssrc: Ssrc(ssrc),
        fraction_lost: 64,
        cumulative_lost: 0x01_0203,
        extended_seq: 0x0001_ffff,
        jitter: 77,
        last_sr: 0xdead_beef,
        delay_since_last_sr: 65_536,
    }
}

const INFO: SenderInfo = SenderInfo {
    ssrc: MEDIA,
    ntp: 0xe000_0001_8000_0000,
    rtp_timestamp: 90_000,
    packets: 1_000,
    octets: 1_200_000,
};

#[test]
fn a_nack_is_an_empty_receiver_report_and_the_entries() {
    let lost = [(Seq(65_535), 0b101), (Seq(40), 0)];
    let bytes = written(|out| write_nack(SENDER, MEDIA, &lost, out));
    assert_eq!(
        bytes,
        [
            0x80, 201, 0, 1, 0, 0, 0, 3, // RR without blocks
            0x81, 205, 0, 4, 0, 0, 0, 3, 0xca, 0xfe, 0xba, 0xbe, // generic NACK
            0xff, 0xff, 0, 0b101, 0, 40, 0, 0,
        ]
    );
    let nack = |pid, blp| Report::Nack { media: MEDIA, pid: Seq(pid), blp };
    assert_eq!(reports(&bytes), Ok(vec![nack(65_535, 0b101), nack(40, 0)]));
    assert_eq!(sender_ssrc(&bytes), Ok(SENDER));
}

#[test]
fn a_pli_is_an_empty_receiver_report_and_twelve_bytes() {
    let bytes = written(|out| write_pli(SENDER, MEDIA, out));
    assert_eq!(
        bytes,
        [
            0x80, 201, 0, 1, 0, 0, 0, 3, // RR without blocks
            0x81, 206, 0, 2, 0, 0, 0, 3, 0xca, 0xfe, 0xba, 0xbe, // PLI
        ]
    );
    assert_eq!(reports(&bytes), Ok(vec![Report::Pli { media: MEDIA }]));
}

#[test]
fn reports_come_back_as_they_were() {
    let blocks: Vec<_> = (0..31).map(block).collect();
    let bytes = written(|out| write_receiver_report(SENDER, &blocks, out));
    let expected: Vec<_> = blocks.iter().copied().map(Report::Block).collect();
    assert_eq!(reports(&bytes), Ok(expected));
    let more: Vec<_> = (0..32).map(block).collect();
    assert_eq!(write_receiver_report(SENDER, &more, &mut [0; 1500]), None, "5 bits count them");
}

#[test]
fn a_sender_report_stands_first_or_behind_its_relay() {
    let own = written(|out| write_sender_report(None, &INFO, out));
    assert_eq!(own.len(), 28);
    assert_eq!(reports(&own), Ok(vec![Report::Sender(INFO)]));
    assert_eq!(sender_ssrc(&own), Ok(MEDIA));
    let relayed = written(|out| write_sender_report(Some(SENDER), &INFO, out));
    assert_eq!(relayed.len(), 36);
    assert_eq!(reports(&relayed), Ok(vec![Report::Sender(INFO)]));
    assert_eq!(sender_ssrc(&relayed), Ok(SENDER));
}

#[test]
fn losses_over_24_bits_stay_at_the_highest() {
    let many = ReportBlock { cumulative_lost: u32::MAX, ..block(1) };
    let bytes = written(|out| write_receiver_report(SENDER, &[many], out));
    let expected = ReportBlock { cumulative_lost: 0x7f_ffff, ..block(1) };
    assert_eq!(reports(&bytes), Ok(vec![Report::Block(expected)]));
}

#[test]
fn unknown_packets_are_passed_over_and_goodbyes_heard() {
    let compound = [
        0x80, 204, 0, 2, 0, 0, 0, 9, b'n', b'a', b'm', b'e', // APP
        0x8f, 206, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0, 1, 2, 3, 4, // another PSFB
        0x82, 203, 0, 2, 0, 0, 0, 9, 0, 0, 0, 10, // BYE
    ];
    let bye = |ssrc| Report::Bye { ssrc: Ssrc(ssrc) };
    assert_eq!(reports(&compound), Ok(vec![bye(9), bye(10)]));
}

#[test]
fn padding_of_a_nack_is_no_entry() {
    let nack = [0xa1, 205, 0, 4, 0, 0, 0, 3, 0, 0, 0, 5, 0, 1, 0, 0, 0, 0, 0, 4];
    let expected = Report::Nack { media: Ssrc(5), pid: Seq(1), blp: 0 };
    assert_eq!(reports(&nack), Ok(vec![expected]));
    let mut overrun = nack;
    overrun[19] = 9;
    assert_eq!(reports(&overrun), Err(Malformed));
}

#[test]
fn nothing_is_said_of_a_compound_that_ends_badly() {
    let good = written(|out| write_pli(SENDER, MEDIA, out));
    let mut said = 0;
    for cut in 1..good.len() {
        // Behind the receiver report the compound is whole again.
        if cut != 8 {
            assert!(parse(&good[..cut], |_| said += 1).is_err(), "{cut} bytes");
        }
    }
    let behind = [&good[..], &[0x81, 205, 0, 9]].concat();
    assert!(parse(&behind, |_| said += 1).is_err());
    assert_eq!(said, 0);
    assert_eq!(reports(&[]), Err(Malformed));
}

#[test]
fn only_the_last_packet_may_be_padded() {
    let mut padded_first = written(|out| write_pli(SENDER, MEDIA, out));
    padded_first[0] |= 0x20;
    assert_eq!(reports(&padded_first), Err(Malformed));
}

fn blocks() -> impl Strategy<Value = ReportBlock> {
    any::<(u32, u8, u32, u32, u32, u32)>().prop_map(|(ssrc, fraction, seq, jitter, sr, delay)| {
        ReportBlock {
            ssrc: Ssrc(ssrc),
            fraction_lost: fraction,
            cumulative_lost: seq & 0x7f_ffff,
            extended_seq: seq,
            jitter,
            last_sr: sr,
            delay_since_last_sr: delay,
        }
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        blocks in prop::collection::vec(blocks(), 0..32),
        lost in prop::collection::vec(any::<(u16, u16)>(), 0..300),
        sender: u32, media: u32,
    ) {
        let bytes = written(|out| write_receiver_report(Ssrc(sender), &blocks, out));
        let expected: Vec<_> = blocks.into_iter().map(Report::Block).collect();
        prop_assert_eq!(reports(&bytes), Ok(expected));
        let lost: Vec<_> = lost.into_iter().map(|(pid, blp)| (Seq(pid), blp)).collect();
        let bytes = written(|out| write_nack(Ssrc(sender), Ssrc(media), &lost, out));
        let media = Ssrc(media);
        let expected: Vec<_> =
            lost.into_iter().map(|(pid, blp)| Report::Nack { media, pid, blp }).collect();
        prop_assert_eq!(reports(&bytes), Ok(expected));
    }

    /// What is written here, `rtcp-types` takes as a compound.
    #[test]
    fn the_compound_parser_of_rtcp_types_agrees(block in blocks(), sender: u32) {
        let mut bytes = written(|out| write_receiver_report(Ssrc(sender), &[block], out));
        bytes.extend(written(|out| write_pli(Ssrc(sender), MEDIA, out)));
        bytes.extend(written(|out| write_sender_report(Some(SENDER), &INFO, out)));
        let compound = rtcp_types::Compound::parse(&bytes).unwrap();
        prop_assert_eq!(compound.map(Result::unwrap).count(), 5);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = parse(&bytes, |_| ());
        let _ = sender_ssrc(&bytes);
    }

    /// Packets with a right header, so that what lies behind it is reached.
    #[test]
    fn no_packets_make_it_panic(
        packets in prop::collection::vec(
            (any::<u8>(), 192_u8..=210, prop::collection::vec(any::<u32>(), 0..12)), 1..4),
    ) {
        let mut bytes = Vec::new();
        for (first, kind, words) in packets {
            bytes.extend_from_slice(&[first & 0x3f | 0x80, kind]);
            bytes.extend_from_slice(&u16::try_from(words.len()).unwrap().to_be_bytes());
            words.iter().for_each(|word| bytes.extend_from_slice(&word.to_be_bytes()));
        }
        let mut said = 0;
        if parse(&bytes, |_| said += 1).is_err() {
            prop_assert_eq!(said, 0);
        }
    }
}
