//! Who does not play by the rules: outside, with addresses of others and whatever was overheard; inside, as a
//! participant who says more than it may.

use crate::client::{Client, Sending};
use crate::worker::Expect;
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use std::collections::VecDeque;
use std::net::SocketAddr;
use wire::demux::{Class, classify};
use wire::limits::PACKET_LEN_MAX;
use wire::rtp::Header;
use wire::srtp::{MasterKey, SessionKeys};
use wire::stun::{BindingRequest, TransactionId};
use wire::{Kind, Ssrc};

/// Packets the liar remembers.
const OVERHEARD_MAX: usize = 64;

/// A datagram that pretends.
pub struct Forgery {
    pub from: SocketAddr,
    pub bytes: Vec<u8>,
    pub expect: Expect,
    /// A label spoken under from where its publisher is: workers can't tell.
    pub poisons: Option<u32>,
    /// A label whose packet this is again, from where its publisher is.
    pub replays: Option<u32>,
}

/// Outside of all meetings; hears everything that clients send.
#[derive(Default)]
pub struct Liar {
    overheard: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl Liar {
    /// Its own addresses: nothing must ever be sent there.
    pub fn is_own(address: SocketAddr) -> bool {
        address.ip() == std::net::IpAddr::from([66, 6, 6, 6])
    }

    pub fn overhear(&mut self, from: SocketAddr, bytes: &[u8]) {
        if self.overheard.len() == OVERHEARD_MAX {
            self.overheard.pop_front();
        }
        self.overheard.push_back((from, bytes.to_vec()));
    }

    pub fn lie(&self, random: &mut ChaCha20Rng) -> Option<Forgery> {
        let own = SocketAddr::from(([66, 6, 6, 6], random.random_range(1_000..1_100)));
        let index = random.random_range(0..self.overheard.len().max(1));
        let (victim, packet) = self.overheard.get(index)?;
        let from = if random.random() { own } else { *victim };
        let nothing = |from, bytes| Forgery {
            from,
            bytes,
            expect: Expect::Nothing,
            poisons: None,
            replays: None,
        };
        Some(match random.random_range(0..9) {
            0 => nothing(from, garbage(random)),
            1 => nothing(from, oversized(random)),
            2 => nothing(from, forged_check(packet, random)),
            3 => nothing(from, forged_rtcp(random)),
            4 => nothing(from, foreign_media(random)),
            5 if classify(packet) != Some(Class::Stun) => nothing(own, packet.clone()),
            6 => replay(*victim, packet),
            7 => nothing(from, packet[..random.random_range(0..packet.len().min(12))].to_vec()),
            _ => corrupted(from, from == own, packet, random),
        })
    }
}

/// Bytes that make no packet.
fn garbage(random: &mut ChaCha20Rng) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(0..200)];
    random.fill(&mut bytes[..]);
    bytes
}

fn oversized(random: &mut ChaCha20Rng) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(PACKET_LEN_MAX + 1..4_000)];
    bytes[0] = 0x80;
    bytes
}

/// A check with a known user fragment and a wrong password, or with an unknown one.
fn forged_check(overheard: &[u8], random: &mut ChaCha20Rng) -> Vec<u8> {
    let known = BindingRequest::parse(overheard).map(|request| request.ufrag).ok();
    let ufrag = known.filter(|_| random.random_bool(0.8)).unwrap_or("nobodyhs");
    let mut bytes = Vec::new();
    let transaction = TransactionId(random.random());
    wire::stun::write_request(transaction, ufrag, "liar", "a wrong password, I fear", &mut bytes);
    bytes
}

/// RTCP under keys of its own.
fn forged_rtcp(random: &mut ChaCha20Rng) -> Vec<u8> {
    let keys = SessionKeys::derive(&MasterKey { key: random.random(), salt: random.random() });
    let mut bytes = vec![0; 200];
    let len = wire::rtcp::write_pli(Ssrc(random.random()), Ssrc(random.random()), &mut bytes);
    let len = keys.protect_rtcp(random.random_range(0..1 << 31), &mut bytes, len.unwrap()).unwrap();
    bytes.truncate(len);
    bytes
}

/// Well-formed media under a label nobody has.
fn foreign_media(random: &mut ChaCha20Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    let header = Header { seq: random.random(), ssrc: random.random(), ..Header::default() };
    header.write(&mut bytes);
    bytes.resize(bytes.len() + 100, 7);
    bytes
}

/// The same again from the same address: may be the first to arrive, if the original was lost.
fn replay(from: SocketAddr, packet: &[u8]) -> Forgery {
    let replays = label(packet).filter(|_| classify(packet) == Some(Class::Rtp));
    let bytes = packet.to_vec();
    Forgery { from, bytes, expect: Expect::Anything, poisons: None, replays }
}

/// A packet with a changed byte. Of media only its receivers can tell, if it comes from its publisher's address.
fn corrupted(from: SocketAddr, own: bool, packet: &[u8], random: &mut ChaCha20Rng) -> Forgery {
    let mut bytes = packet.to_vec();
    let place = random.random_range(0..bytes.len());
    bytes[place] ^= random.random_range(1..=255);
    let is_media = classify(&bytes) == Some(Class::Rtp);
    let poisons = label(&bytes).filter(|_| is_media && !own);
    let expect = if poisons.is_some() { Expect::Anything } else { Expect::Nothing };
    Forgery { from, bytes, expect, poisons, replays: None }
}

fn label(packet: &[u8]) -> Option<u32> {
    wire::rtp::Packet::parse(packet).map(|packet| packet.ssrc().0).ok()
}

/// What a participant sends over its own links beside what it may.
pub fn misbehave(client: &mut Client, random: &mut ChaCha20Rng) -> Vec<Sending> {
    let mut out = Vec::new();
    let label = client.some_label(random);
    let publications = client.publications.values_mut().filter(|it| !it.is_paused);
    if let Some(publication) = publications.last() {
        let kind = publication.kind;
        let layer = &mut publication.layers[0];
        match random.random_range(0..4) {
            // More than it declared.
            0 => {
                out.extend((0..80).map(|_| Sending {
                    kind,
                    packets: vec![layer.packet(Header::default(), 1_200)],
                }))
            }
            // The same again.
            1 => out.extend(layer.some_sent(random).map(|it| Sending { kind, packets: vec![it] })),
            // Far ahead.
            2 => {
                layer.next += random.random_range(100..2_000);
                out.push(Sending { kind, packets: vec![layer.packet(Header::default(), 50)] });
            }
            _ => {}
        }
    }
    let Some((kind, ssrc)) = label else { return out };
    out.extend(speak_for_another(kind, ssrc, random));
    out.extend(feedback_flood(client, kind, ssrc, random));
    out
}

/// Media under another participant's label, over its own link.
fn speak_for_another(kind: Kind, ssrc: u32, random: &mut ChaCha20Rng) -> Option<Sending> {
    let mut packet = Vec::new();
    Header { seq: random.random(), ssrc, ..Header::default() }.write(&mut packet);
    packet.resize(packet.len() + 40, 1);
    random.random_bool(0.3).then_some(Sending { kind, packets: vec![packet] })
}

/// Authentic RTCP that asks for too much, for others' layers, or makes no sense.
fn feedback_flood(
    client: &mut Client,
    kind: Kind,
    ssrc: u32,
    random: &mut ChaCha20Rng,
) -> Option<Sending> {
    let link = client.links.get_mut(&kind)?;
    let media = Ssrc(if random.random_bool(0.7) { ssrc } else { random.random() });
    let sense = random.random_range(0..3);
    let entries: Vec<_> = (0..60).map(|_| (wire::Seq(random.random()), random.random())).collect();
    let noise: [u8; 64] = random.random();
    Some(link.rtcp(|own, out| match sense {
        0 => wire::rtcp::write_nack(own, media, &entries, out),
        1 => wire::rtcp::write_pli(own, media, out),
        _ => {
            let len = wire::rtcp::write_pli(own, media, out)?;
            out[len..len + 64].copy_from_slice(&noise);
            Some(len + 64)
        }
    }))
}
