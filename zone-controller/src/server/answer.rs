//! Answers: JSON, and refusals with their status, their retry time, and their count.

use super::Context;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use wire::zone::{Refusal, RefusalCode};

/// A refusal on its way out.
pub(super) struct Refused<'a>(pub(super) &'a Context, pub(super) Refusal);

impl IntoResponse for Refused<'_> {
    fn into_response(self) -> Response {
        let Self(context, refusal) = self;
        context.controller.counts.refused(refusal.code);
        let status = StatusCode::from_u16(refusal.code.status());
        let retry_after_ms = refusal.retry_after_ms;
        let is_unauthorized = refusal.code == RefusalCode::Unauthorized;
        let mut answer =
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(refusal)).into_response();
        let headers = answer.headers_mut();
        if let Some(ms) = retry_after_ms {
            // RFC 9110 §10.2.3 knows whole seconds only.
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
        if is_unauthorized {
            // Browsers ask for it, for the live page: the password is an operator's token.
            let basic =
                HeaderValue::from_static("Basic realm=\"zone-controller\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, basic);
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

pub(super) fn refuse(context: &Context, code: RefusalCode, message: &str) -> Response {
    Refused(context, crate::controller::refusal(code, message)).into_response()
}

/// A body, whole, or why it could not be read.
pub(super) type Body = Result<Bytes, BytesRejection>;

/// The bytes of a body.
pub(super) fn whole(body: Body) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| {
        let (code, message) = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                (RefusalCode::TooLarge, "The body is larger than this path reads.")
            }
            _ => (RefusalCode::BadRequest, "The body ended early."),
        };
        crate::controller::refusal(code, message)
    })
}

/// The JSON of a body.
pub(super) fn parse<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    serde_json::from_slice(&whole(body)?).map_err(|error| {
        let message = format!("The body is not the JSON that is expected here: {error}.");
        crate::controller::refusal(RefusalCode::BadRequest, message)
    })
}
