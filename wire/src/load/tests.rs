#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use crate::limits::REPORT_LEN_MAX;
use serde_json::{Value, json};

/// The example of docs/load-report.md.
fn example() -> Value {
    serde_json::from_str(&examples("report")[0]).unwrap()
}

/// The JSON blocks of one sort in docs/load-report.md.
fn examples(sort: &str) -> Vec<String> {
    let document = include_str!("../../../docs/load-report.md");
    let fence = format!("```json {sort}\n");
    let blocks = document.split(&fence).skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

fn parse(report: &Value) -> Result<Report, String> {
    Report::parse(report.to_string().as_bytes()).map_err(|error| error.to_string())
}

/// What is said of the example with one value replaced.
fn refused(pointer: &str, value: Value) -> String {
    let mut report = example();
    *report.pointer_mut(pointer).unwrap() = value;
    parse(&report).unwrap_err()
}

#[test]
fn the_documents_examples_are_read_and_written_the_same() {
    assert_eq!(serde_json::to_value(parse(&example()).unwrap()).unwrap(), example());
    let replies = examples("reply");
    assert_eq!(replies.len(), 3);
    for text in replies {
        let reply = Reply::parse(text.as_bytes()).unwrap();
        let written: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(reply).unwrap(), written);
    }
}

#[test]
fn the_document_tells_every_field() {
    let document = include_str!("../../../docs/load-report.md");
    fn names(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    found.push(name.clone());
                    names(value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| names(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    names(&example(), &mut found);
    for name in found {
        assert!(document.contains(&format!("`{name}`")), "nothing about {name}");
    }
    for state in State::ALL {
        assert!(document.contains(&format!("| `{state}` |")), "nothing about {state}");
    }
}

#[test]
fn fields_that_are_not_known_are_ignored() {
    let mut report = example();
    report["of_a_later_version"] = json!({"any": ["thing"]});
    report["router"]["workers"][0]["temperature"] = json!(45);
    assert_eq!(parse(&report), parse(&example()));
    assert!(Reply::parse(br#"{"v":1,"of_a_later_version":true}"#).is_ok());
}

#[test]
fn what_is_not_there_is_absent() {
    let mut report = example();
    let fields = report.as_object_mut().unwrap();
    for field in ["router", "meeting_list", "reason", "control"] {
        fields.remove(field);
    }
    let report = parse(&report).unwrap();
    assert_eq!((report.router, report.meeting_list, report.reason), (None, None, None));
}

#[test]
fn refuses_what_no_agent_says() {
    assert_eq!(refused("/v", json!(2)), "it is of version 2, and only version 1 is known here");
    assert_eq!(refused("/zone", json!("")), "zone is out of its range");
    assert_eq!(refused("/stress/value", json!(-0.1)), "stress is out of its range");
    assert_eq!(refused("/stress/value", json!(1e300)), "stress is out of its range");
    assert_eq!(refused("/reason", json!("x".repeat(257))), "reason is out of its range");
    assert_eq!(refused("/router/workers/0/busy", json!(-1.0)), "router is out of its range");
    assert_eq!(refused("/host/busy", json!(1e9)), "host is out of its range");
    let many = vec![json!({"meeting": "m", "participants": 1}); 4097];
    assert_eq!(refused("/meeting_list/meetings", json!(many)), "meeting_list is out of its range");
    assert!(refused("/mmr", json!("a/b")).starts_with("it can't be read: an MMR's name has"));
    assert!(refused("/state", json!("asleep")).contains("unknown variant"));
    assert!(Report::parse(&vec![b' '; REPORT_LEN_MAX + 1]).is_err());
    assert!(Reply::parse(br#"{"v":1,"wanted":{"order":-1,"state":"serve"}}"#).is_err());
    assert!(Reply::parse(br#"{"v":1,"wanted":{"order":1,"state":"explode"}}"#).is_err());
    let endless = br#"{"v":1,"wanted":{"order":1,"state":"drain","deadline_s":31536001}}"#;
    assert_eq!(Reply::parse(endless).unwrap_err().to_string(), "deadline_s is out of its range");
}
