//! Answers over HTTPS as every daemon gives them: JSON, and refusals with what belongs to them.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderValue, PROXY_AUTHENTICATE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::time::Duration;
use wire::Refusal;

/// An answer, whole.
pub type Answer = Response<Full<Bytes>>;

/// Longest a client is asked to wait.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A value as JSON, never kept by caches.
pub fn json(status: u16, value: &impl Serialize) -> Answer {
    // Values of our own types are always JSON.
    let mut answer = text("application/json", serde_json::to_vec(value).unwrap_or_default());
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A text of this type.
pub fn text(content_type: &'static str, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// A refusal with its status.
pub fn refused<Code: Serialize>(status: u16, refusal: &Refusal<Code>) -> Answer {
    let mut answer = json(status, refusal);
    let headers = answer.headers_mut();
    if let Some(ms) = refusal.retry_after_ms {
        // RFC 9110 §10.2.3 knows whole seconds only.
        headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
    }
    match status {
        401 => {
            // Browsers ask for it: the password is an operator's token.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"operators\""));
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        407 => drop(headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        _ => {}
    }
    answer
}

/// A refusal of what may be asked again after so long, a minute at most.
pub fn later<Code>(code: Code, message: &str, wait: Duration) -> Refusal<Code> {
    let ms = u64::try_from(wait.min(RETRY_MAX).as_millis()).unwrap_or(u64::MAX);
    Refusal { code, message: message.to_owned(), retry_after_ms: Some(ms.max(10)) }
}

/// A code as it stands in JSON, for metrics.
pub fn code_name(code: &impl Serialize) -> String {
    let text = serde_json::to_value(code).ok();
    text.as_ref().and_then(|text| text.as_str()).unwrap_or_default().to_owned()
}
