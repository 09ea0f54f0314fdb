//! Paths as keys of a table.

use crate::Path;
use std::net::SocketAddr;

/// A path packed for hashing and comparing: hashing a `SocketAddr` field by field costs several times as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PathKey([u64; 3]);

impl PathKey {
    /// The key of a path.
    pub(super) fn of(path: &Path) -> Self {
        let (socket, remote) = match path {
            Path::Udp { socket, remote } => (u64::from(*socket), remote),
            Path::Stream { connection, .. } => return Self([connection.0, 0, 1 << 63]),
        };
        let (address, zone) = match remote {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
        };
        let bits = address.to_bits();
        #[expect(clippy::cast_possible_truncation, reason = "the low half")]
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        // 0 │ socket: 8 │ zone: 32 │ port: 16
        Self([high, low, socket << 48 | u64::from(zone) << 16 | u64::from(remote.port())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectionId;
    use wire::Transport;

    #[test]
    fn paths_that_differ_in_anything_have_keys_that_differ() {
        let udp = |socket, remote: &str| Path::Udp {
            socket,
            remote: remote.parse().expect("written right below"),
        };
        let stream = |connection| Path::Stream {
            connection: ConnectionId(connection),
            transport: Transport::Tcp,
            remote: ([0, 0, 0, 0], 0).into(),
        };
        let paths = [
            udp(0, "192.0.2.1:5000"),
            udp(1, "192.0.2.1:5000"),
            udp(0, "192.0.2.2:5000"),
            udp(0, "192.0.2.1:5001"),
            udp(0, "[2001:db8::1]:5000"),
            udp(0, "[2001:db8:1::1]:5000"),
            udp(0, "[fe80::1%1]:5000"),
            udp(0, "[fe80::1%2]:5000"),
            udp(0, "0.0.0.0:0"),
            udp(0, "[::]:0"),
            stream(0),
            stream(1),
        ];
        for (number, one) in paths.iter().enumerate() {
            for other in &paths[number + 1..] {
                assert_ne!(PathKey::of(one), PathKey::of(other), "{one:?} {other:?}");
            }
        }
    }
}
