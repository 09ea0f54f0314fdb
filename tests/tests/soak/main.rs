//! A million of everything a hostile peer can send over TCP and TLS: each is counted, none leaves
//! memory or descriptors behind, and others' media does not even stumble. (Datagrams: `flood.rs`.)
//!
//! Each attack goes over real sockets, with real TLS where it is one on TLS, against a daemon in a
//! process of its own, whose memory is watched. What takes too long for every day is sent in a
//! share; `tests/run --soak` sends the full million of each.
#![allow(clippy::unwrap_used, missing_docs)]

mod connections;
mod frames;
mod messages;
mod siege;
mod websocket;

const MILLION: u64 = 1_000_000;

/// Every run of the tests sends this much of what takes minutes to send a million of.
mod a_share_of {
    use super::{MILLION, connections, messages};

    #[test]
    fn aborted_tcp_connections() {
        connections::over_tcp(MILLION / 10);
    }

    #[test]
    fn aborted_tls_handshakes() {
        connections::over_tls(MILLION / 20);
    }

    #[test]
    fn oversized_control_messages() {
        messages::oversized(MILLION / 200);
    }

    #[test]
    fn bad_tokens() {
        messages::bad_tokens(MILLION / 200);
    }
}

/// All of them: `tests/run --soak`.
mod a_million {
    use super::{MILLION, connections, frames, messages};

    #[test]
    #[ignore = "takes a minute or two: tests/run --soak"]
    fn aborted_tcp_connections() {
        connections::over_tcp(MILLION);
    }

    #[test]
    #[ignore = "takes a minute or two: tests/run --soak"]
    fn aborted_tls_handshakes() {
        connections::over_tls(MILLION);
    }

    #[test]
    fn garbage_frames_on_a_tcp_link() {
        frames::over_tcp(MILLION);
    }

    #[test]
    fn garbage_frames_on_a_tls_link() {
        frames::over_tls(MILLION);
    }

    #[test]
    fn malformed_control_messages() {
        messages::malformed(MILLION);
    }

    #[test]
    #[ignore = "takes about ten minutes: tests/run --soak"]
    fn oversized_control_messages() {
        messages::oversized(MILLION);
    }

    #[test]
    #[ignore = "takes about ten minutes: tests/run --soak"]
    fn bad_tokens() {
        messages::bad_tokens(MILLION);
    }
}
