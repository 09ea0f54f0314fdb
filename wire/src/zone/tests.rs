//! The JSON of a zone's API, as clients in other languages will write and read it.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use crate::limits::TOKEN_LEN_MAX;
use serde_json::json;

#[test]
fn an_assign_is_read_and_its_token_never_shown() {
    let text = json!({ "meeting": "standup", "kinds": ["audio", "video"], "token": "a.b.c" });
    let assign: Assign = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(assign.failed, None);
    assert_eq!(serde_json::to_value(&assign).unwrap(), text);
    assert!(!format!("{assign:?}").contains("a.b.c"));
    let unknown = json!({ "meeting": "m", "kinds": [], "token": "t", "admin": true });
    assert!(serde_json::from_value::<Assign>(unknown).is_err());
}

#[test]
fn the_largest_assign_fits_into_a_request() {
    let name = "\u{1}".repeat(crate::limits::NAME_LEN_MAX);
    let assign = Assign {
        meeting: name.clone(),
        kinds: Kind::ALL.to_vec(),
        token: Secret("t".repeat(TOKEN_LEN_MAX)),
        attempt: Some(Secret(name)),
        failed: Some("m".repeat(64).try_into().unwrap()),
    };
    assert!(serde_json::to_vec(&assign).unwrap().len() < REQUEST_LEN_MAX);
}

#[test]
fn every_refusal_has_a_name_and_a_status_of_an_error() {
    for code in RefusalCode::ALL {
        let name = serde_json::to_value(code).unwrap();
        assert!(name.as_str().unwrap().chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        assert!((400..600).contains(&code.status()), "{code:?}");
    }
}

#[test]
fn a_refusal_without_a_retry_says_nothing_of_one() {
    let refusal =
        Refusal { code: RefusalCode::TokenUsed, message: "m".into(), retry_after_ms: None };
    let text = serde_json::to_string(&refusal).unwrap();
    assert_eq!(text, r#"{"code":"token_used","message":"m"}"#);
    assert_eq!(serde_json::from_str::<Refusal>(&text).unwrap(), refusal);
}
