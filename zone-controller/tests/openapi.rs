//! docs/zone-controller.json is the OpenAPI document of the server's paths and the wire's types.
//! `UPDATE_SCHEMAS=1 cargo test -p zone-controller --test openapi` writes it anew; schemathesis, which
//! tests/run installs, checks it against a running controller.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::{AGENT, Bed};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use std::path::PathBuf;
use wire::load::{Reply, Report};
use wire::zone::{
    Assign, Assignment, DOWNLOAD_LEN_MAX, DrainWanted, Pong, Refusal, RefusalCode, ZoneState,
};

/// Collects types on the way.
struct Document(SchemaGenerator);

impl Document {
    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }

    fn body<T: JsonSchema>(&mut self) -> Value {
        let schema = self.schema::<T>();
        json!({ "required": true, "content": { "application/json": { "schema": schema } } })
    }

    /// Answers of one operation: the good one, and the refusals that may come instead.
    fn answers(&mut self, status: &str, good: Value, codes: &[RefusalCode]) -> Value {
        let refusal = self.schema::<Refusal>();
        let refused = json!({
            "description": "Refused; `code` says why",
            "content": { "application/json": { "schema": refusal } },
        });
        // Every path is paced, has a deadline, and answers wrong methods.
        let everywhere =
            [RefusalCode::TooFast, RefusalCode::TimedOut, RefusalCode::MethodNotAllowed];
        let mut answers = serde_json::Map::from_iter([(status.to_owned(), good)]);
        for code in codes.iter().chain(&everywhere) {
            answers.insert(code.status().to_string(), refused.clone());
        }
        answers.into()
    }

    fn json<T: JsonSchema>(&mut self, description: &str) -> Value {
        let schema = self.schema::<T>();
        json!({ "description": description, "content": { "application/json": { "schema": schema } } })
    }
}

fn text(description: &str, content_type: &str) -> Value {
    json!({ "description": description, "content": { content_type: { "schema": { "type": "string" } } } })
}

const LOOK: [(&str, &str); 2] = [("operator", "bearer"), ("password", "basic")];

fn security(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ *name: [] })).collect()
}

fn clients(document: &mut Document) -> Value {
    use RefusalCode::{BadRequest, BadToken, NotAllowed, Overloaded, TooLarge, Unavailable};
    let bytes = json!({
        "name": "bytes", "in": "query", "required": true, "description": "How many",
        "schema": { "type": "integer", "minimum": 1, "maximum": DOWNLOAD_LEN_MAX },
    });
    let noise = json!({
        "description": "So many bytes",
        "content": { "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } },
    });
    let pong = document.json::<Pong>("As fast as the controller can");
    let assignment = document.json::<Assignment>("Where to go");
    json!({
        "/v1/ping": { "get": {
            "summary": "Network performance test: round trip", "security": [],
            "responses": document.answers("200", pong, &[]),
        } },
        "/v1/download": { "get": {
            "summary": "Network performance test: throughput", "security": [], "parameters": [bytes],
            "responses": document.answers("200", noise, &[BadRequest, Overloaded]),
        } },
        "/v1/assign": { "post": {
            "summary": "Which MMR to join", "security": [],
            "description": "The token in the body is what lets one in. A refusal uses no token up.",
            "requestBody": document.body::<Assign>(),
            "responses": document.answers(
                "200", assignment, &[BadRequest, TooLarge, BadToken, NotAllowed, Unavailable],
            ),
        } },
    })
}

fn operators(document: &mut Document) -> Value {
    use RefusalCode::{BadRequest, NotFound, Overloaded, TooLarge, Unauthorized, Unavailable};
    let id = json!({
        "name": "id", "in": "path", "required": true, "description": "The MMR's id",
        "schema": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" },
    });
    let look = security(&LOOK.map(|(name, _)| name));
    let reply = document.json::<Reply>("What the zone wants of the MMR");
    let state = document.json::<ZoneState>("As this controller sees it");
    let done = json!({ "description": "Done; the MMR hears of it with its next report" });
    json!({
        "/v1/report": { "post": {
            "summary": "An MMR's load, from its agent", "security": security(&["agent", "certificate"]),
            "requestBody": document.body::<Report>(),
            "responses": document.answers("200", reply, &[BadRequest, TooLarge, Unauthorized, Overloaded]),
        } },
        "/v1/zone": { "get": {
            "summary": "State of the zone", "security": look,
            "responses": document.answers("200", state, &[Unauthorized]),
        } },
        "/v1/mmrs/{id}/drain": { "post": {
            "summary": "Drain an MMR: its meetings move to others",
            "security": security(&["operator"]), "parameters": [id],
            "requestBody": document.body::<DrainWanted>(),
            "responses": document.answers(
                "204", done.clone(), &[BadRequest, TooLarge, Unauthorized, NotFound, Unavailable],
            ),
        } },
        "/v1/mmrs/{id}/undrain": { "post": {
            "summary": "Let an MMR take meetings again",
            "security": security(&["operator"]), "parameters": [id],
            "responses": document.answers("204", done, &[Unauthorized, NotFound, Unavailable]),
        } },
        "/metrics": { "get": {
            "summary": "OpenMetrics text: docs/metrics.md", "security": look,
            "responses": document.answers(
                "200",
                text("Metrics", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
                &[Unauthorized],
            ),
        } },
        "/": { "get": {
            "summary": "The live page, for people", "security": look,
            "responses": document.answers("200", text("A page", "text/html; charset=utf-8"), &[Unauthorized]),
        } },
    })
}

fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut document = Document(settings.into_generator());
    let mut paths = clients(&mut document);
    let more = operators(&mut document);
    paths.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let schemas = document.0.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Zone controller",
            "version": "1",
            "description": "Tracks the load of a zone's MMRs and tells clients which one to join. HTTPS only.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "https://localhost" }],
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": {
            "agent": { "type": "http", "scheme": "bearer", "description": "A line of agents.tokens" },
            "certificate": { "type": "mutualTLS", "description": "For the MMR's id, by agents.authority" },
            "operator": { "type": "http", "scheme": "bearer", "description": "A line of operators.tokens" },
            "password": { "type": "http", "scheme": "basic", "description": "The same, as password" },
        } },
    })
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/zone-controller.json")
}

#[test]
fn the_document_is_what_the_types_say() {
    let path = path();
    let current = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == current,
        "docs/zone-controller.json is not what the types say; \
         `UPDATE_SCHEMAS=1 cargo test -p zone-controller --test openapi` writes it anew"
    );
}

/// Makes up thousands of requests from the document, and finds answers it does not tell.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_answer_the_document_does_not_tell() {
    let Some(schemathesis) = std::env::var_os("SCHEMATHESIS") else {
        return eprintln!("left out: SCHEMATHESIS names no program; tests/run installs it");
    };
    let bed = Bed::new();
    // One token opens everything: schemathesis sends it where the document says so.
    bed.write("operators", AGENT);
    let limits =
        "[limits]\nrequests_per_address_per_s = 100000\nrequests_per_address_burst = 100000\n";
    let controller = bed.controller("zc", limits);
    controller.report("mmr-1", 0.1).await;
    let run = tokio::process::Command::new(schemathesis)
        .arg("run")
        .arg(path())
        .args(["--url", &controller.url, "--tls-verify"])
        .arg(bed.dir.path().join("authority.pem"))
        .args(["--header", &format!("Authorization: Bearer {AGENT}")])
        .args(["--max-examples", "100", "--seed", "1", "--checks", "all"])
        // A report of another zone fits the schema, and `360.0` is an integer to it.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .current_dir(bed.dir.path())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    controller.report("mmr-1", 0.1).await;
    controller.assign(&bed.assign("m")).await.unwrap();
}
