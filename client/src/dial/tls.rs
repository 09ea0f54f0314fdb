//! What TLS is spoken: 1.3 with MMRs, 1.2 as well where HTTPS is.

use crate::options::Trust;
use rustls::{ClientConfig, SupportedProtocolVersion};
use std::io;
use std::sync::Arc;

const HTTP_1: &[u8] = b"http/1.1";

/// As web servers have it. One question at a time is all that is asked: HTTP/1.1.
pub(super) fn https(trust: &Trust) -> io::Result<Arc<ClientConfig>> {
    config(trust, rustls::DEFAULT_VERSIONS, HTTP_1)
}

/// As MMRs have it, for one of their protocols.
pub(super) fn mmr(trust: &Trust, alpn: &[u8]) -> io::Result<Arc<ClientConfig>> {
    config(trust, &[&rustls::version::TLS13], alpn)
}

fn config(
    trust: &Trust,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[u8],
) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?
        .with_root_certificates(trust.roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Arc::new(config))
}
