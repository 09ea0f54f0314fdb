//! What agents and operators ask: report, state, metrics, drain.

use super::Context;
use super::access;
use super::answer::{Body, Refused, parse, refuse, whole};
use crate::controller::{refusal, unix_now_s};
use crate::metrics;
use crate::store::Wanted;
use ::daemon::metrics::CONTENT_TYPE;
use ::daemon::server::Peer;
use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use wire::MmrId;
use wire::load::Report;
use wire::zone::{DrainWanted, Refusal, RefusalCode};

/// Longest drain, in seconds: a day.
const DRAIN_S_MAX: u64 = 86_400;

pub(super) async fn report(
    State(context): State<Context>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    let peer = peer.as_ref().map(|Extension(peer)| peer);
    let headers = request.headers().clone();
    let credentials = context.controller.credentials();
    // Nothing is read of who shows nothing.
    if let Err(refusal) = access::may_be_agent(&credentials, peer, &headers) {
        return Refused(&context, refusal).into_response();
    }
    let body = Bytes::from_request(request, &()).await;
    let take = || {
        let body = whole(body)?;
        let report = Report::parse(&body).map_err(|error| {
            refusal(RefusalCode::BadRequest, format!("This is no load report: {error}."))
        })?;
        access::agent(&credentials, peer, &headers, &report.mmr)?;
        context.controller.report(&report)
    };
    match take() {
        Ok(reply) => Json(reply).into_response(),
        Err(refusal) => Refused(&context, refusal).into_response(),
    }
}

pub(super) async fn zone(State(context): State<Context>, headers: HeaderMap) -> Response {
    match may_look(&context, &headers) {
        Ok(()) => {
            let state = Json(context.controller.zone_state());
            ([(header::CACHE_CONTROL, "no-store")], state).into_response()
        }
        Err(refusal) => Refused(&context, refusal).into_response(),
    }
}

pub(super) async fn metrics(State(context): State<Context>, headers: HeaderMap) -> Response {
    if let Err(refusal) = may_look(&context, &headers) {
        return Refused(&context, refusal).into_response();
    }
    match metrics::scrape(context.controller) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

pub(super) async fn drain(
    State(context): State<Context>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if let Err(refusal) = may_change(&context, &headers) {
        return Refused(&context, refusal).into_response();
    }
    match parse::<DrainWanted>(body) {
        Ok(DrainWanted { deadline_s }) if (1..=DRAIN_S_MAX).contains(&deadline_s) => {
            order(&context, id, Wanted::Drain { until_s: unix_now_s() + deadline_s }).await
        }
        Ok(_) => refuse(&context, RefusalCode::BadRequest, "deadline_s is from 1 to 86400."),
        Err(refusal) => Refused(&context, refusal).into_response(),
    }
}

pub(super) async fn undrain(
    State(context): State<Context>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match may_change(&context, &headers) {
        Ok(()) => order(&context, id, Wanted::Serve).await,
        Err(refusal) => Refused(&context, refusal).into_response(),
    }
}

async fn order(context: &Context, id: String, wanted: Wanted) -> Response {
    let Ok(mmr) = MmrId::try_from(id) else {
        return refuse(context, RefusalCode::NotFound, "No MMR has such a name.");
    };
    match context.controller.order(&mmr, wanted).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(refusal) => Refused(context, refusal).into_response(),
    }
}

pub(super) fn may_look(context: &Context, headers: &HeaderMap) -> Result<(), Refusal> {
    access::look(&context.controller.credentials().operators, headers)
}

fn may_change(context: &Context, headers: &HeaderMap) -> Result<(), Refusal> {
    access::change(&context.controller.credentials().operators, headers)
}
