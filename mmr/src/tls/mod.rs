//! TLS for port 443: the two configurations made of an identity (certificate chain and key), and a
//! stream that gives back what was read of it.
//!
//! TLS 1.3 alone, rustls on aws-lc-rs. Media and control differ in ALPN only: the door reads the
//! ClientHello and picks. A reload makes new configurations from new files; connections that stand
//! keep theirs.

mod prefixed;

pub use daemon::identity::{Identity, provider};
pub use prefixed::Prefixed;

use rustls::ServerConfig;
use std::sync::Arc;
use wire::control::{ALPN_CONTROL, ALPN_MEDIA};

/// What port 443 answers with.
#[derive(Clone, Debug)]
pub struct TlsConfigs {
    /// For the door: ALPN `mmr-media/1`.
    pub media: Arc<ServerConfig>,
    /// For the control thread, which finishes the handshakes of control channels: ALPN `http/1.1`,
    /// or none.
    pub control: Arc<ServerConfig>,
}

impl TlsConfigs {
    /// Both configurations of one identity.
    pub fn new(identity: &Identity) -> Self {
        Self { media: config(identity, ALPN_MEDIA), control: config(identity, ALPN_CONTROL) }
    }
}

fn config(identity: &Identity, alpn: &[u8]) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("aws-lc-rs has the suites of TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(identity.resolver());
    config.alpn_protocols = vec![alpn.to_vec()];
    // Connections live for a whole meeting: resumption would save little and keep state of every
    // client.
    config.send_tls13_tickets = 0;
    Arc::new(config)
}
