//! What clients ask: ping, download, assign.

use super::Context;
use super::answer::{Body, Refused, parse, refuse};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::time::Instant;
use wire::zone::{Assign, DOWNLOAD_LEN_MAX, Pong, Refusal, RefusalCode};

/// As little as says something.
pub(super) async fn ping(State(context): State<Context>) -> Response {
    let zone = context.controller.zone().to_owned();
    let pong = Pong { zone, room: context.controller.has_room() };
    ([(header::CACHE_CONTROL, "no-store")], Json(pong)).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DownloadQuery {
    bytes: u32,
}

/// What every download is a part of: not compressible to nothing, not secret, never made anew.
static NOISE: std::sync::LazyLock<Bytes> = std::sync::LazyLock::new(|| {
    use rand::{RngCore, SeedableRng, rngs::StdRng};
    let mut noise = vec![0; DOWNLOAD_LEN_MAX as usize];
    StdRng::seed_from_u64(8801).fill_bytes(&mut noise);
    noise.into()
});

pub(super) async fn download(
    State(context): State<Context>,
    query: Result<Query<DownloadQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let bytes = match query {
        Ok(Query(DownloadQuery { bytes })) if (1..=DOWNLOAD_LEN_MAX).contains(&bytes) => bytes,
        _ => {
            let message = "bytes is a whole number from 1 to 1048576.";
            return refuse(&context, RefusalCode::BadRequest, message);
        }
    };
    let Ok(permit) = std::sync::Arc::clone(&context.downloads).try_acquire_owned() else {
        let refusal = Refusal {
            code: RefusalCode::Overloaded,
            message: "Too many measure their throughput at once.".into(),
            retry_after_ms: Some(rand::random_range(500..1_500)),
        };
        return Refused(&context, refusal).into_response();
    };
    // The permit goes with the body: back when that was sent, or the client is gone.
    let body = Download { bytes: NOISE.slice(..bytes as usize), _permit: permit };
    let headers =
        [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, axum::body::Body::new(body)).into_response()
}

/// So much at once goes to the connection, which takes more when it has sent it.
const PIECE_LEN: usize = 64 * 1024;

struct Download {
    bytes: Bytes,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl hyper::body::Body for Download {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        let len = self.bytes.len().min(PIECE_LEN);
        let piece = self.bytes.split_to(len);
        std::task::Poll::Ready((len > 0).then(|| Ok(hyper::body::Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.bytes.len() as u64)
    }
}

pub(super) async fn assign(State(context): State<Context>, body: Body) -> Response {
    let since = Instant::now();
    let assign: Assign = match parse(body) {
        Ok(assign) => assign,
        Err(refusal) => return Refused(&context, refusal).into_response(),
    };
    let answer = context.controller.assign(&assign).await;
    context.controller.counts.assign_took(since.elapsed());
    match answer {
        Ok(assignment) => ([(header::CACHE_CONTROL, "no-store")], Json(assignment)).into_response(),
        Err(refusal) => Refused(&context, refusal).into_response(),
    }
}
