//! Who is who: agents by certificate or bearer token, operators by token.

use crate::controller::refusal;
use crate::credentials::Credentials;
use ::daemon::bearer::{Bearers, shown};
use ::daemon::server::Peer;
use axum::http::{HeaderMap, header};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use wire::MmrId;
use wire::zone::{Refusal, RefusalCode};

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
        peer.keep();
    }
    Ok(())
}

/// Whether somebody may look.
pub(super) fn look(operators: &Bearers, headers: &HeaderMap) -> Result<(), Refusal> {
    if operators.let_look(headers) { Ok(()) } else { Err(no_operator()) }
}

/// Whether somebody may drain.
pub(super) fn change(operators: &Bearers, headers: &HeaderMap) -> Result<(), Refusal> {
    if operators.let_change(headers) { Ok(()) } else { Err(no_operator()) }
}

fn no_operator() -> Refusal {
    refusal(
        RefusalCode::Unauthorized,
        "Operators alone may ask this: send Authorization: Bearer and a token of operators.tokens.",
    )
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    shown(headers, header::AUTHORIZATION)
}

/// The certificate's chain was checked in the handshake; this is about whose it is.
fn is_for(certificate: &CertificateDer<'_>, mmr: &MmrId) -> bool {
    let Ok(name) = ServerName::try_from(mmr.as_str()) else { return false };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|certificate| verify_server_name(&certificate, &name).is_ok())
}
