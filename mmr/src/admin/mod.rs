//! The admin socket: HTTP over a Unix socket that only its owner may use. No other authentication,
//! no TLS.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /stats` | [`wire::stats::Stats`] as JSON |
//! | `GET /metrics` | OpenMetrics text |
//! | `GET /express` | [`wire::stats::ExpressDetails`] as JSON |
//! | `GET /meetings` | a list of [`wire::load::Meeting`] as JSON |
//! | `GET /health?stalled=5s` | 200, or 503 with the workers that stalled; asks nobody but their heartbeats |
//! | `POST /drain?deadline=10m` | newcomers are turned away, everybody is told to move on |
//! | `POST /undrain` | newcomers are welcome |
//!
//! With `order=12` drain and undrain come from the zone: they change nothing about a drain that
//! somebody on this host asked for.

pub(crate) mod client;
mod socket;

use crate::about::About;
use crate::config::parse_duration;
use crate::control::{Asker, Drain, Handle, STALLED_AFTER};
use crate::metrics;
use crate::stats;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use socket::listen;

/// The admin socket, listening but not yet answered.
pub(crate) struct Admin {
    pub(crate) listener: UnixListener,
    /// Removed when the daemon ends.
    pub(crate) path: PathBuf,
    pub(crate) about: Arc<About>,
    /// Of a drain that names none.
    pub(crate) drain_deadline: Duration,
}

#[derive(Clone)]
struct Context {
    control: Handle,
    about: Arc<About>,
    drain_deadline: Duration,
}

impl Admin {
    /// Answers until the runtime ends.
    pub(crate) async fn serve(self, control: Handle) {
        let context = Context { control, about: self.about, drain_deadline: self.drain_deadline };
        let routes = Router::new()
            .route("/stats", get(stats))
            .route("/metrics", get(scrape))
            .route("/express", get(express))
            .route("/meetings", get(meetings))
            .route("/health", get(health))
            .route("/drain", post(drain))
            .route("/undrain", post(undrain))
            .with_state(context);
        let served = match tokio::net::UnixListener::from_std(self.listener) {
            Ok(listener) => axum::serve(listener, routes).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            let path = self.path.display();
            tracing::error!(%error, %path, "the admin socket is no longer answered; restart to have it back");
        }
    }
}

async fn stats(State(context): State<Context>) -> Response {
    match context.control.snapshot().await {
        Ok(snapshot) => Json(stats::of(&context.about, &snapshot)).into_response(),
        Err(ended) => (StatusCode::SERVICE_UNAVAILABLE, ended.to_string()).into_response(),
    }
}

async fn scrape(State(context): State<Context>) -> Response {
    let text = match context.control.snapshot().await {
        Ok(snapshot) => metrics::scrape(context.about, snapshot),
        Err(ended) => return (StatusCode::SERVICE_UNAVAILABLE, ended.to_string()).into_response(),
    };
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn express(State(context): State<Context>) -> Response {
    match context.control.express().await {
        Ok(each) => Json(stats::details(&each)).into_response(),
        Err(ended) => (StatusCode::SERVICE_UNAVAILABLE, ended.to_string()).into_response(),
    }
}

async fn meetings(State(context): State<Context>) -> Response {
    match context.control.meetings().await {
        Ok(meetings) => Json(meetings).into_response(),
        Err(ended) => (StatusCode::SERVICE_UNAVAILABLE, ended.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
struct HealthQuery {
    stalled: Option<String>,
}

async fn health(State(context): State<Context>, Query(query): Query<HealthQuery>) -> Response {
    let Some(after) = time(query.stalled.as_deref(), STALLED_AFTER) else {
        return not_a_time("stalled");
    };
    let stalled = context.control.stalled(after);
    if stalled.is_empty() {
        return "every worker takes its turns\n".into_response();
    }
    let lines = stalled.iter().map(|(worker, age)| {
        format!("worker {} has not finished a turn for {} s\n", worker.0, age.as_secs())
    });
    (StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>()).into_response()
}

#[derive(Deserialize)]
struct DrainQuery {
    deadline: Option<String>,
    order: Option<u64>,
}

async fn drain(State(context): State<Context>, Query(query): Query<DrainQuery>) -> Response {
    let Some(deadline) = time(query.deadline.as_deref(), context.drain_deadline) else {
        return not_a_time("deadline");
    };
    let drain = Drain { deadline, asker: asker(query.order) };
    match context.control.drain(drain).await {
        Ok(()) => format!("draining for {} s\n", deadline.as_secs()).into_response(),
        Err(ended) => (StatusCode::SERVICE_UNAVAILABLE, ended.to_string()).into_response(),
    }
}

#[derive(Deserialize)]
struct UndrainQuery {
    order: Option<u64>,
}

async fn undrain(State(context): State<Context>, Query(query): Query<UndrainQuery>) -> Response {
    match context.control.undrain(asker(query.order)).await {
        Ok(()) => "newcomers are welcome\n".into_response(),
        Err(ended) => (StatusCode::SERVICE_UNAVAILABLE, ended.to_string()).into_response(),
    }
}

fn asker(order: Option<u64>) -> Asker {
    order.map_or(Asker::Host, Asker::Zone)
}

/// The time that is written, else the usual one; `None` when what is written is none.
fn time(written: Option<&str>, usual: Duration) -> Option<Duration> {
    written.map_or(Some(usual), parse_duration)
}

fn not_a_time(name: &str) -> Response {
    let text =
        format!("{name} is a whole number and its unit, such as 90s, 10m or 2h; 8760h at most\n");
    (StatusCode::BAD_REQUEST, text).into_response()
}
