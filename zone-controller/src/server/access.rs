//! Who is who: agents by certificate or bearer token, operators by token.

use crate::controller::refusal;
use crate::credentials::{Bearers, Credentials};
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wire::MmrId;
use wire::zone::{Refusal, RefusalCode};

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Its certificate, when it showed one of the agents' authority.
    pub(super) certificate: Option<CertificateDer<'static>>,
    /// Whether it has proved to be an agent: its connection may stay.
    pub(super) trusted: Arc<AtomicBool>,
}

/// Whether there is anything that could make somebody an agent.
pub(super) fn may_be_agent(
    credentials: &Credentials,
    peer: Option<&Peer>,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    let certified = peer.is_some_and(|peer| peer.certificate.is_some());
    let by_token = bearer(headers).is_some_and(|token| credentials.agents.has(token));
    if certified || by_token { Ok(()) } else { Err(no_agent()) }
}

fn no_agent() -> Refusal {
    let message = "Show a client certificate for the MMR's id, or a token of the agents.";
    refusal(RefusalCode::Unauthorized, message)
}

/// Whether an agent may report for an MMR: its certificate is for the MMR's id, or it has a token of
/// the agents.
pub(super) fn agent(
    credentials: &Credentials,
    peer: Option<&Peer>,
    headers: &HeaderMap,
    mmr: &MmrId,
) -> Result<(), Refusal> {
    let certified = peer
        .and_then(|peer| peer.certificate.as_ref())
        .is_some_and(|certificate| is_for(certificate, mmr));
    let by_token = bearer(headers).is_some_and(|token| credentials.agents.has(token));
    if !certified && !by_token {
        return Err(no_agent());
    }
    if let Some(peer) = peer {
        peer.trusted.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Whether somebody may look: a bearer token, or the same as a password (browsers send that by
/// themselves, so it never lets anybody change something).
pub(super) fn look(operators: &Bearers, headers: &HeaderMap) -> Result<(), Refusal> {
    let password = basic(headers).is_some_and(|password| operators.has(&password));
    if password { Ok(()) } else { change(operators, headers) }
}

/// Whether somebody may drain.
pub(super) fn change(operators: &Bearers, headers: &HeaderMap) -> Result<(), Refusal> {
    match bearer(headers) {
        Some(token) if operators.has(token) => Ok(()),
        _ => Err(refusal(
            RefusalCode::Unauthorized,
            "Operators alone may ask this: send Authorization: Bearer and a token of operators.tokens.",
        )),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials_of(headers, "bearer")
}

/// The password of RFC 7617.
fn basic(headers: &HeaderMap) -> Option<String> {
    let decoded = STANDARD.decode(credentials_of(headers, "basic")?).ok()?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

/// RFC 9110 §11.4: a scheme, which has no case, and its credentials.
fn credentials_of<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (named, credentials) = value.split_once(' ')?;
    named.eq_ignore_ascii_case(scheme).then(|| credentials.trim())
}

/// The certificate's chain was checked in the handshake; this is about whose it is.
fn is_for(certificate: &CertificateDer<'_>, mmr: &MmrId) -> bool {
    let Ok(name) = ServerName::try_from(mmr.as_str()) else { return false };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|certificate| verify_server_name(&certificate, &name).is_ok())
}
