//! The JSON Schemas in docs/schema are those of the Rust types. `UPDATE_SCHEMAS=1` writes them
//! anew.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use schemars::{JsonSchema, schema_for};
use std::path::PathBuf;
use wire::control::{ClientMessage, ServerMessage};
use wire::load::{Reply, Report};
use wire::token::{Claims, Ticket};
use wire::zone::{Assign, Assignment, DrainWanted, Pong, Refusal, ZoneState};
use wire::{lookup, tunnel};

fn check<T: JsonSchema>(file: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/schema").join(file);
    let current = serde_json::to_string_pretty(&schema_for!(T)).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == current,
        "docs/schema/{file} is not what the types say; \
         `UPDATE_SCHEMAS=1 cargo test -p wire --test schemas` writes it anew"
    );
}

#[test]
fn client_messages_have_their_schema() {
    check::<ClientMessage>("client-message.json");
}

#[test]
fn server_messages_have_their_schema() {
    check::<ServerMessage>("server-message.json");
}

#[test]
fn token_claims_have_their_schema() {
    check::<Claims>("token-claims.json");
}

#[test]
fn what_zone_controllers_hear_and_say_has_its_schema() {
    check::<Assign>("zone-assign.json");
    check::<Assignment>("zone-assignment.json");
    check::<Refusal>("zone-refusal.json");
    check::<Pong>("zone-pong.json");
    check::<ZoneState>("zone-state.json");
    check::<DrainWanted>("zone-drain.json");
    check::<Ticket>("zone-ticket-claims.json");
}

#[test]
fn load_reports_have_their_schema() {
    check::<Report>("load-report.json");
}

#[test]
fn load_replies_have_their_schema() {
    check::<Reply>("load-reply.json");
}

#[test]
fn what_http_tunnels_say_has_its_schema() {
    check::<tunnel::Pong>("tunnel-pong.json");
    check::<tunnel::Refusal>("tunnel-refusal.json");
}

#[test]
fn what_the_web_infrastructure_hears_and_says_has_its_schema() {
    check::<lookup::Lookup>("lookup.json");
    check::<lookup::Found>("lookup-found.json");
    check::<lookup::Settled>("lookup-settled.json");
    check::<lookup::NewMeeting>("lookup-new-meeting.json");
    check::<lookup::Created>("lookup-created.json");
    check::<lookup::Meetings>("lookup-meetings.json");
    check::<lookup::Refusal>("lookup-refusal.json");
}
