//! The controller over HTTPS: HTTP/2 and HTTP/1.1.
//!
//! | request | who | answer |
//! | --- | --- | --- |
//! | `GET /v1/ping` | anybody | `Pong` |
//! | `GET /v1/download?bytes=N` | anybody | N bytes |
//! | `POST /v1/assign` | who has a join token or a ticket | `Assignment` |
//! | `POST /v1/report` | agents | `Reply` |
//! | `GET /v1/zone`, `GET /metrics`, `GET /` | operators | state, metrics, the live page |
//! | `POST /v1/mmrs/{id}/drain`, `…/undrain` | operators, by bearer token | nothing |
//!
//! Everything that is refused is answered with a `Refusal`.

mod access;
mod answer;
mod clients;
mod operators;
mod page;

use crate::config::Limits;
use crate::controller::Controller;
use crate::placement::{Pace, Paces};
use ::daemon::server::{Peer, network};
use answer::{Refused, refuse};
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::body::Incoming;
use rustls::ServerConfig;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use wire::limits::REPORT_LEN_MAX;
use wire::zone::{
    ASSIGN_PATH, DOWNLOAD_PATH, PING_PATH, REQUEST_LEN_MAX, Refusal, RefusalCode, ZONE_PATH,
};

/// How long a request may take, from its head to its answer.
pub(crate) const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// Addresses whose requests are paced at once.
const ADDRESSES_PACED_MAX: usize = 65_536;

/// A controller's HTTPS.
#[derive(Clone)]
pub(crate) struct Site {
    routes: Router,
    controller: Arc<Controller>,
}

impl Site {
    pub(crate) fn new(controller: Arc<Controller>, limits: &Limits) -> Self {
        Self { routes: routes(Arc::clone(&controller), limits), controller }
    }
}

impl ::daemon::server::Site for Site {
    type Body = Body;

    fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.controller.credentials().tls)
    }

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let Ok(answer) = self.routes.clone().oneshot(request).await;
        answer
    }
}

/// What every handler sees.
#[derive(Clone)]
struct Context {
    controller: Arc<Controller>,
    paces: Arc<Mutex<Paces>>,
    downloads: Arc<Semaphore>,
    started: Instant,
}

/// Every path, for a controller.
fn routes(controller: Arc<Controller>, limits: &Limits) -> Router {
    let pace =
        Pace { per_s: limits.requests_per_address_per_s, burst: limits.requests_per_address_burst };
    let context = Context {
        controller,
        paces: Arc::new(Mutex::new(Paces::new(pace, ADDRESSES_PACED_MAX))),
        downloads: Arc::new(Semaphore::new(usize::try_from(limits.downloads_at_once).unwrap_or(1))),
        started: Instant::now(),
    };
    let paced = Router::new()
        .route(PING_PATH, get(clients::ping))
        .route(DOWNLOAD_PATH, get(clients::download))
        .route(ASSIGN_PATH, post(clients::assign))
        .route(ZONE_PATH, get(operators::zone))
        .route("/v1/mmrs/{id}/drain", post(operators::drain))
        .route("/v1/mmrs/{id}/undrain", post(operators::undrain))
        .route("/metrics", get(operators::metrics))
        .route("/", get(page::page))
        .route("/page.js", get(page::script))
        .layer(DefaultBodyLimit::max(REQUEST_LEN_MAX))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(context.clone(), pace_address));
    let report = post(operators::report)
        .fallback(no_such_method)
        .layer(DefaultBodyLimit::max(REPORT_LEN_MAX));
    Router::new()
        .route(wire::load::PATH, report)
        .merge(paced)
        .layer(from_fn_with_state(context.clone(), in_time))
        .with_state(context)
}

async fn no_such_path(State(context): State<Context>) -> Response {
    refuse(&context, RefusalCode::NotFound, "There is no such path here.")
}

async fn no_such_method(State(context): State<Context>) -> Response {
    refuse(&context, RefusalCode::MethodNotAllowed, "This path takes another method.")
}

/// Who is slow, or sends its body slowly, is told so.
async fn in_time(State(context): State<Context>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_PATIENCE, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => {
            let message = "It took longer than 10 s: was all of the request sent?";
            refuse(&context, RefusalCode::TimedOut, message)
        }
    }
}

/// One address asks only so often.
async fn pace_address(State(context): State<Context>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<Peer>().map(|peer| network(peer.address));
    let taken = {
        let mut paces = context.paces.lock().unwrap_or_else(PoisonError::into_inner);
        paces.take(address, context.started.elapsed())
    };
    match taken {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let refusal = Refusal {
                code: RefusalCode::TooFast,
                message: "This address asks too often.".into(),
                retry_after_ms: Some(ms.clamp(10, wire::zone::RETRY_AFTER_MS_MAX)),
            };
            Refused(&context, refusal).into_response()
        }
    }
}
