//! STUN binding requests and their answers (RFC 8489) as ICE-lite uses them (RFC 8445 §7.3), on
//! `stun-types`.
//!
//! Nothing here allocates on the server side: workers call it in a turn. Not here: any other method
//! or class, and errors, which are never sent.
//!
//! Every message taken or made ends the same way, so that nothing unauthenticated can hide behind
//! the integrity:
//!
//! ```text
//! | header, 20 | attributes … | MESSAGE-INTEGRITY, 4 + 20 | FINGERPRINT, 4 + 4 |
//!              └ walked here ┘└─────────── found by the length ──────────────┘
//! ```

use crate::Malformed;
use crate::limits::STUN_LEN_MAX;
use aws_lc_rs::hmac;
use std::net::SocketAddr;
use stun_types::attribute::{
    AttributeStaticType, AttributeType, Fingerprint, MessageIntegrity, RawAttribute, Username,
    XorMappedAddress, XorSocketAddr,
};
use stun_types::message::{
    BINDING, MAGIC_COOKIE, Message, MessageClass, MessageHeader, MessageType, MessageWrite,
    MessageWriteExt, MessageWriteMutSlice, MessageWriteVec,
};

/// RFC 8489 §14.5 with its attribute header.
const INTEGRITY_LEN: usize = 24;
/// RFC 8489 §14.7 with its attribute header.
const FINGERPRINT_LEN: usize = 8;
/// Both, at every message's end.
const SEAL_LEN: usize = INTEGRITY_LEN + FINGERPRINT_LEN;
/// RFC 8489 §14.7.
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// RFC 8445 §16.1: the attributes of ICE, which `stun-types` leaves to others.
const PRIORITY: AttributeType = AttributeType::new(0x0024);
const USE_CANDIDATE: AttributeType = AttributeType::new(0x0025);
const ICE_CONTROLLING: AttributeType = AttributeType::new(0x802a);
/// RFC 8445 §5.1.2.1 for a peer reflexive candidate, component 1; an MMR has no use for it.
const PRIORITY_VALUE: u32 = 110 << 24 | 0xffff << 8 | 0xff;

/// RFC 8489 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// A binding request: well formed, fingerprint right, not yet authenticated.
#[derive(Clone, Copy, Debug)]
pub struct BindingRequest<'a> {
    sealed: Sealed<'a>,
    /// The part of USERNAME before the colon: the MMR's user fragment.
    pub ufrag: &'a str,
    /// The part behind it: the client's.
    pub peer_ufrag: &'a str,
    /// To be echoed.
    pub transaction: TransactionId,
}

impl<'a> BindingRequest<'a> {
    /// Accepts a binding request with USERNAME, ending in MESSAGE-INTEGRITY and a right
    /// FINGERPRINT, of at most [`STUN_LEN_MAX`] bytes. Anything else is `Malformed`, also one with
    /// an attribute that must be understood and is not (RFC 8489 §6.3.1 would answer 420; here none
    /// is answered).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let sealed = Sealed::parse(bytes, MessageClass::Request)?;
        let mut username = None;
        for attribute in sealed.attributes() {
            match attribute? {
                (Username::TYPE, value) if username.is_none() => username = Some(value),
                (PRIORITY | USE_CANDIDATE, _) => {}
                (other, _) if other.comprehension_required() => return Err(Malformed),
                _ => {}
            }
        }
        let username = std::str::from_utf8(username.ok_or(Malformed)?).map_err(|_| Malformed)?;
        let (ufrag, peer_ufrag) = username.split_once(':').ok_or(Malformed)?;
        Ok(Self { sealed, ufrag, peer_ufrag, transaction: sealed.transaction })
    }

    /// Whether MESSAGE-INTEGRITY was made with this password (short-term credentials). Constant
    /// time.
    pub fn is_authentic(&self, password: &str) -> bool {
        self.sealed.is_authentic(password)
    }

    /// Writes a success response with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT;
    /// answers its length. `None` when `out` is too small, or when the answer would be larger than
    /// the request.
    pub fn write_success(
        &self,
        mapped: SocketAddr,
        password: &str,
        out: &mut [u8],
    ) -> Option<usize> {
        let transaction = u128_of(self.transaction).into();
        let address = XorMappedAddress::new(mapped, transaction);
        let address_len = if mapped.is_ipv4() { 12 } else { 24 };
        let len = MessageHeader::LENGTH + address_len + SEAL_LEN;
        if len > self.sealed.bytes.len() {
            return None;
        }
        let kind = MessageType::from_class_method(MessageClass::Success, BINDING);
        let out = MessageWriteMutSlice::new(out.get_mut(..len)?);
        let mut message = Message::builder(kind, transaction, out);
        message.push_attribute_unchecked(&address);
        seal(&mut message, password);
        Some(message.finish())
    }
}

/// Client: appends a binding request with USERNAME `mmr_ufrag:own_ufrag`, PRIORITY,
/// ICE-CONTROLLING, USE-CANDIDATE, MESSAGE-INTEGRITY and FINGERPRINT. Of 96 bytes with the shortest
/// user fragments ICE allows, and so never smaller than its answer, of at most 76.
pub fn write_request(
    transaction: TransactionId,
    mmr_ufrag: &str,
    own_ufrag: &str,
    password: &str,
    out: &mut Vec<u8>,
) {
    let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
    let username = [mmr_ufrag, ":", own_ufrag].concat();
    let buffer = MessageWriteVec::with_capacity(STUN_LEN_MAX);
    let mut message = Message::builder(kind, u128_of(transaction).into(), buffer);
    let mut push = |kind, value: &[u8]| {
        message.push_attribute_unchecked(&RawAttribute::new(kind, value));
    };
    push(Username::TYPE, username.as_bytes());
    push(PRIORITY, &PRIORITY_VALUE.to_be_bytes());
    push(ICE_CONTROLLING, &tie_breaker(own_ufrag));
    push(USE_CANDIDATE, &[]);
    seal(&mut message, password);
    out.extend_from_slice(&message.finish());
}

/// Client: a success response whose integrity is right; gives its transaction and the mapped
/// address.
pub fn parse_success(
    bytes: &[u8],
    password: &str,
) -> Result<(TransactionId, SocketAddr), Malformed> {
    let sealed = Sealed::parse(bytes, MessageClass::Success)?;
    if !sealed.is_authentic(password) {
        return Err(Malformed);
    }
    let mut mapped = None;
    for attribute in sealed.attributes() {
        let (kind, value) = attribute?;
        if kind == XorMappedAddress::TYPE {
            let raw = RawAttribute::new(kind, value);
            mapped = Some(XorSocketAddr::from_raw(&raw).map_err(|_| Malformed)?);
        }
    }
    let address = mapped.ok_or(Malformed)?.addr(u128_of(sealed.transaction).into());
    Ok((sealed.transaction, address))
}

/// An MMR is always the controlled side, so the value decides nothing; it only must stay the same.
fn tie_breaker(own_ufrag: &str) -> [u8; 8] {
    let mut value = [0; 8];
    for (byte, letter) in value.iter_mut().zip(own_ufrag.bytes()) {
        *byte = letter;
    }
    value
}

/// A binding message with a right FINGERPRINT at its end and MESSAGE-INTEGRITY in front of that.
///
/// `stun-types` has a parser of whole messages, but it logs a warning for each that is malformed
/// (here that is counted, never logged), checks integrity with a key on the heap, and lets messages
/// with attributes behind the integrity pass.
#[derive(Clone, Copy, Debug)]
struct Sealed<'a> {
    bytes: &'a [u8],
    transaction: TransactionId,
}

impl<'a> Sealed<'a> {
    fn parse(bytes: &'a [u8], class: MessageClass) -> Result<Self, Malformed> {
        // `stun-types` would log a wrong cookie, at its debug level.
        if bytes.get(4..8) != Some(&MAGIC_COOKIE.to_be_bytes()) {
            return Err(Malformed);
        }
        let header = MessageHeader::from_bytes(bytes).map_err(|_| Malformed)?;
        let kind = MessageType::from_class_method(class, BINDING);
        let len = MessageHeader::LENGTH + usize::from(header.data_length());
        let too_short = len < MessageHeader::LENGTH + SEAL_LEN;
        if header.get_type() != kind || len != bytes.len() || len > STUN_LEN_MAX || too_short {
            return Err(Malformed);
        }
        let transaction = TransactionId(*bytes[8..].first_chunk().ok_or(Malformed)?);
        let sealed = Self { bytes, transaction };
        sealed.check_seal()?;
        Ok(sealed)
    }

    fn check_seal(&self) -> Result<(), Malformed> {
        let (front, fingerprint) = self.bytes.split_at(self.bytes.len() - FINGERPRINT_LEN);
        let integrity = &front[front.len() - INTEGRITY_LEN..];
        let crc = u32::from_be_bytes(Fingerprint::compute(&[front])) ^ FINGERPRINT_XOR;
        let right = integrity[..4] == attribute_head(MessageIntegrity::TYPE, 20)
            && fingerprint[..4] == attribute_head(Fingerprint::TYPE, 4)
            && fingerprint[4..] == crc.to_be_bytes();
        if right { Ok(()) } else { Err(Malformed) }
    }

    fn is_authentic(&self, password: &str) -> bool {
        let (front, seal) = self.bytes.split_at(self.bytes.len() - SEAL_LEN);
        let computed = integrity(front, password);
        aws_lc_rs::constant_time::verify_slices_are_equal(
            computed.as_ref(),
            &seal[4..INTEGRITY_LEN],
        )
        .is_ok()
    }

    /// What stands between header and integrity; ends with the first that is malformed.
    fn attributes(&self) -> Attributes<'a> {
        Attributes { bytes: &self.bytes[MessageHeader::LENGTH..self.bytes.len() - SEAL_LEN] }
    }
}

/// Walks attributes: type and length, 16 bits each, then the value, padded to a multiple of 4 (RFC
/// 8489 §14).
struct Attributes<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(AttributeType, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let attribute = self.split_first();
        if attribute.is_none() {
            self.bytes = &[];
        }
        Some(attribute.ok_or(Malformed))
    }
}

impl<'a> Attributes<'a> {
    fn split_first(&mut self) -> Option<(AttributeType, &'a [u8])> {
        let (head, rest) = self.bytes.split_first_chunk::<4>()?;
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (padded, behind) = rest.split_at_checked(len.next_multiple_of(4))?;
        self.bytes = behind;
        Some((AttributeType::new(u16::from_be_bytes([head[0], head[1]])), &padded[..len]))
    }
}

fn attribute_head(kind: AttributeType, len: u8) -> [u8; 4] {
    let [high, low] = kind.value().to_be_bytes();
    [high, low, 0, len]
}

/// Appends MESSAGE-INTEGRITY and FINGERPRINT. The room for both was taken into account by the
/// caller.
fn seal(message: &mut impl MessageWrite, password: &str) {
    let tag = integrity(message.data(), password);
    let mut value = [0; 20];
    value.copy_from_slice(tag.as_ref());
    message.push_attribute_unchecked(&MessageIntegrity::new(value));
    message.add_fingerprint().expect("the writer has room, and there was no fingerprint");
}

/// RFC 8489 §14.5: HMAC-SHA1 over all in front of MESSAGE-INTEGRITY, with the header's length as if
/// the message ended behind it. By aws-lc-rs, because `stun-types` keeps its keys on the heap,
/// behind a lock.
fn integrity(front: &[u8], password: &str) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    let len = front.len() - MessageHeader::LENGTH + INTEGRITY_LEN;
    context.update(&front[..2]);
    context.update(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
    context.update(&front[4..]);
    context.sign()
}

fn u128_of(transaction: TransactionId) -> u128 {
    transaction.0.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests;
