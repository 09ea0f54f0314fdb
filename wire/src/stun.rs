//! STUN binding requests and their answers (RFC 8489) as ICE-lite uses them (RFC 8445 §7.3), on `stun-types`.
//!
//! Nothing here allocates on the server side: workers call it in a turn.

use crate::Malformed;
use std::net::SocketAddr;

/// RFC 8489 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// A binding request: well formed, fingerprint right, not yet authenticated.
#[derive(Clone, Copy, Debug)]
pub struct BindingRequest<'a> {
    bytes: &'a [u8],
    /// The part of USERNAME before the colon: the MMR's user fragment.
    pub ufrag: &'a str,
    /// The part behind it: the client's.
    pub peer_ufrag: &'a str,
    /// To be echoed.
    pub transaction: TransactionId,
}

impl<'a> BindingRequest<'a> {
    /// Accepts a binding request with USERNAME, MESSAGE-INTEGRITY and a right FINGERPRINT, at most
    /// [`crate::limits::STUN_LEN_MAX`] bytes, nothing behind FINGERPRINT. A message without MESSAGE-INTEGRITY
    /// or USERNAME is `Malformed` too: none is answered.
    pub fn parse(_bytes: &'a [u8]) -> Result<Self, Malformed> {
        todo!()
    }
    /// Whether MESSAGE-INTEGRITY was made with this password (short-term credentials). Constant time.
    pub fn is_authentic(&self, _password: &str) -> bool {
        let _ = self.bytes;
        todo!()
    }
    /// Writes a success response with XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT; answers its length.
    /// `None` when `out` is too small, or when the answer would be larger than the request.
    pub fn write_success(
        &self,
        _mapped: SocketAddr,
        _password: &str,
        _out: &mut [u8],
    ) -> Option<usize> {
        todo!()
    }
}

/// Client: appends a binding request with USERNAME `mmr_ufrag:own_ufrag`, PRIORITY, ICE-CONTROLLING, USE-CANDIDATE,
/// MESSAGE-INTEGRITY and FINGERPRINT. Padded (SOFTWARE) so that the answer over IPv6 is never larger.
pub fn write_request(
    _transaction: TransactionId,
    _mmr_ufrag: &str,
    _own_ufrag: &str,
    _password: &str,
    _out: &mut Vec<u8>,
) {
    todo!()
}

/// Client: a success response whose integrity is right; gives its transaction and the mapped address.
pub fn parse_success(
    _bytes: &[u8],
    _password: &str,
) -> Result<(TransactionId, SocketAddr), Malformed> {
    todo!()
}
