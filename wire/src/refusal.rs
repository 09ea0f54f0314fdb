//! Why something asked of a daemon over HTTPS was not done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why something asked was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Refusal")]
pub struct Refusal<Code> {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
    /// After how many milliseconds asking again makes sense, with the same token (a refusal never
    /// uses one up); absent when it makes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 60_000))]
    pub retry_after_ms: Option<u64>,
}

impl<Code> Refusal<Code> {
    /// Asking again makes no sense.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }
}
