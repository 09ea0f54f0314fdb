//! `mmr token`: signs join tokens.

use super::args::TokenArgs;
use super::dev::state_dir;
use super::{Failure, say};
use crate::dev::{SIGNING_KEY_FILE, ZONE, claims};
use std::io::ErrorKind;
use std::path::Path;
use wire::Kind;
use wire::limits::{NAME_LEN_MAX, TOKEN_LIFETIME_S_MAX};
use wire::token::Signer;

pub(super) fn token(args: &TokenArgs) -> Result<(), Failure> {
    let signer = match &args.key {
        Some(file) => read_key(file, "Name a readable file with --key.")?,
        None => read_key(
            &state_dir(&args.state).join(SIGNING_KEY_FILE),
            "Start `mmr dev` first (and name its folder with --state-dir if it has another), or give --key and --zone.",
        )?,
    };
    if args.public_jwks {
        return say(&format!("{}\n", signer.public_jwks()));
    }
    if args.lifetime.as_secs() == 0 || args.lifetime.as_secs() > TOKEN_LIFETIME_S_MAX {
        return Err(Failure::usage(format!(
            "a token lives for 1 to {TOKEN_LIFETIME_S_MAX} s. Give --lifetime such a time, as in --lifetime 5m."
        )));
    }
    let kinds: Vec<Kind> = match args.kind.as_slice() {
        [] => Kind::ALL.to_vec(),
        some => some.iter().map(|kind| Kind::from(*kind)).collect(),
    };
    let zone = name("--zone", args.zone.as_deref().unwrap_or(ZONE))?;
    let meeting = name("--meeting", args.meeting.as_deref().unwrap_or_default())?;
    let participant = name("--participant", args.participant.as_deref().unwrap_or_default())?;
    let claims = claims(zone, meeting, participant, args.role.into(), &kinds, args.lifetime);
    say(&format!("{}\n", signer.sign(&claims)))
}

fn name<'a>(option: &str, name: &'a str) -> Result<&'a str, Failure> {
    if (1..=NAME_LEN_MAX).contains(&name.len()) {
        return Ok(name);
    }
    Err(Failure::usage(format!("{option} takes a name of 1 to {NAME_LEN_MAX} bytes.")))
}

fn read_key(file: &Path, remedy: &str) -> Result<Signer, Failure> {
    let shown = file.display();
    let pem = std::fs::read_to_string(file).map_err(|cause| {
        let what = match cause.kind() {
            ErrorKind::NotFound => "there is no signing key at",
            _ => "the signing key can't be read:",
        };
        Failure::failed(format!("{what} {shown} ({cause}). {remedy}"))
    })?;
    Signer::from_pem(&pem).map_err(|cause| {
        Failure::failed(format!(
            "{shown} can't be used: {cause}. Make a key with `openssl genpkey -algorithm ed25519`."
        ))
    })
}
