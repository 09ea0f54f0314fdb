//! etcd's v3 API as JSON over HTTP (its own gRPC gateway): needs no protobuf compiler to build, and
//! no second HTTP stack to run. Bytes are base64, 64-bit numbers are strings.

use super::super::StoreError;
use crate::limits::{RECORD_LEN_MAX, STORE_PATIENCE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long one member may take before the next is asked: an election takes about a second, a local
/// answer milliseconds.
const MEMBER_PATIENCE: Duration = Duration::from_millis(800);

/// The members of one cluster.
pub(super) struct Cluster {
    http: reqwest::Client,
    endpoints: Vec<String>,
    /// The member that answered last.
    current: AtomicUsize,
}

/// A comparison, or a thing to do; one field of etcd's `oneof`s.
pub(super) type Part = Value;

/// What a transaction answers.
#[derive(Deserialize)]
pub(super) struct TxnAnswer {
    /// Absent when false.
    #[serde(default)]
    pub(super) succeeded: bool,
    #[serde(default)]
    responses: Vec<TxnResponse>,
}

#[derive(Deserialize)]
struct TxnResponse {
    response_range: Option<Range>,
}

/// What a range holds.
#[derive(Default, Deserialize)]
pub(super) struct Range {
    #[serde(default)]
    pub(super) kvs: Vec<Entry>,
    #[serde(default)]
    count: Option<String>,
}

/// A key and its value.
#[derive(Deserialize)]
pub(super) struct Entry {
    #[serde(deserialize_with = "bytes")]
    pub(super) key: Vec<u8>,
    #[serde(default, deserialize_with = "bytes")]
    pub(super) value: Vec<u8>,
}

#[derive(Deserialize)]
struct LeaseAnswer {
    #[serde(rename = "ID")]
    id: String,
}

fn bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}

impl TxnAnswer {
    /// The ranges that were asked for, in order.
    pub(super) fn ranges(self) -> impl Iterator<Item = Range> {
        self.responses.into_iter().filter_map(|response| response.response_range)
    }
}

impl Range {
    pub(super) fn count(&self) -> u64 {
        self.count.as_deref().and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

/// The key is not there.
pub(super) fn is_absent(key: &str) -> Part {
    json!({ "target": "CREATE", "key": STANDARD.encode(key), "create_revision": "0" })
}

/// The key has exactly this value.
pub(super) fn has_value(key: &str, value: &[u8]) -> Part {
    json!({ "target": "VALUE", "key": STANDARD.encode(key), "value": STANDARD.encode(value) })
}

pub(super) fn put(key: &str, value: &[u8], lease: i64) -> Part {
    json!({ "request_put": {
        "key": STANDARD.encode(key), "value": STANDARD.encode(value), "lease": lease.to_string(),
    } })
}

pub(super) fn get(key: &str) -> Part {
    json!({ "request_range": { "key": STANDARD.encode(key) } })
}

/// Every key that begins so.
pub(super) fn get_all(prefix: &str) -> Part {
    json!({ "request_range": all(prefix) })
}

fn all(prefix: &str) -> Value {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        // Prefixes end with a slash: no carry.
        *last += 1;
    }
    json!({ "key": STANDARD.encode(prefix), "range_end": STANDARD.encode(end) })
}

impl Cluster {
    pub(super) fn new(http: reqwest::Client, endpoints: Vec<String>) -> Self {
        Self { http, endpoints, current: AtomicUsize::new(0) }
    }

    /// Does `then` if all of `compare` hold, else `otherwise`.
    pub(super) async fn txn(
        &self,
        compare: &[Part],
        then: &[Part],
        otherwise: &[Part],
    ) -> Result<TxnAnswer, StoreError> {
        let body = json!({ "compare": compare, "success": then, "failure": otherwise });
        self.call("/v3/kv/txn", &body).await
    }

    /// One key.
    pub(super) async fn value(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let range: Range =
            self.call("/v3/kv/range", &json!({ "key": STANDARD.encode(key) })).await?;
        Ok(range.kvs.into_iter().next().map(|entry| entry.value))
    }

    /// How many keys begin so.
    pub(super) async fn count(&self, prefix: &str) -> Result<u64, StoreError> {
        let mut body = all(prefix);
        body["count_only"] = true.into();
        // Nothing hangs on it: any member's own view will do.
        body["serializable"] = true.into();
        Ok(self.call::<Range>("/v3/kv/range", &body).await?.count())
    }

    /// A lease of so many seconds.
    pub(super) async fn grant(&self, ttl_s: u64) -> Result<i64, StoreError> {
        let answer: LeaseAnswer =
            self.call("/v3/lease/grant", &json!({ "TTL": ttl_s.to_string() })).await?;
        answer.id.parse().map_err(|_| StoreError::Unreachable("a lease without a number".into()))
    }

    /// Asks the member that answered last, then the others.
    async fn call<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, StoreError> {
        let all = async {
            let first = self.current.load(Ordering::Relaxed);
            let mut last = StoreError::Unreachable("no member is configured".into());
            for offset in 0..self.endpoints.len() {
                let at = (first + offset) % self.endpoints.len();
                match self.call_member(&self.endpoints[at], path, body).await {
                    Ok(answer) => {
                        self.current.store(at, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let late = |_| StoreError::Unreachable("no member answered in time".into());
        tokio::time::timeout(STORE_PATIENCE, all).await.map_err(late)?
    }

    async fn call_member<A: DeserializeOwned>(
        &self,
        endpoint: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, StoreError> {
        let unreachable = |cause: &dyn std::fmt::Display| {
            StoreError::Unreachable(format!("etcd at {endpoint}: {cause}"))
        };
        let request = self.http.post(format!("{endpoint}{path}")).json(body);
        let answer = request
            .timeout(MEMBER_PATIENCE)
            .send()
            .await
            .map_err(|error| unreachable(&root_cause(&error)))?;
        let status = answer.status();
        if answer.content_length().is_some_and(|len| len > ANSWER_LEN_MAX) {
            return Err(unreachable(&"an answer larger than anything asked for"));
        }
        let bytes = answer.bytes().await.map_err(|error| unreachable(&root_cause(&error)))?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&bytes);
            return Err(unreachable(&format!("{status}: {}", text.trim())));
        }
        serde_json::from_slice(&bytes).map_err(|error| unreachable(&error))
    }
}

/// Orders of every MMR, and the largest sighting of many controllers, as base64.
const ANSWER_LEN_MAX: u64 = 32 * RECORD_LEN_MAX as u64;

/// reqwest's own words are only "error sending request".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
