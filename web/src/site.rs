//! HTTPS: what is asked by which path, and by whom.
//!
//! | request | who | answer |
//! | --- | --- | --- |
//! | `POST /v1/lookup` | who has a passcode | `Found` |
//! | `POST /v1/settle` | who has a join token | `Settled` |
//! | `GET /.well-known/jwks.json` | anybody | the public keys of join tokens |
//! | `GET /j/NUMBER` | anybody | a page that says what to do with the link |
//! | `POST /v1/meetings` | operators, by bearer token | `Created` |
//! | `GET /v1/meetings` | operators | `Meetings` |
//! | `POST /v1/meetings/{number}/end` | operators, by bearer token | nothing |
//! | `GET /metrics` | operators | metrics |
//! | `GET /` | anybody | the operators' page, which asks for a token |
//!
//! Everything that is refused is answered with a `Refusal`.

mod page;

use crate::limits::{PACED_MAX, REQUEST_PATIENCE};
use crate::lookup::Web;
use crate::metrics;
use ::daemon::answer::{Answer, json, later, refused, text};
use ::daemon::bearer::shown;
use ::daemon::metrics::CONTENT_TYPE as METRICS_TYPE;
use ::daemon::pace::{Pace, Paces};
use ::daemon::server::{self, Peer, network};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use rustls::ServerConfig;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::time::timeout;
use wire::lookup::{
    KEYS_PATH, LINK_PATH, LOOKUP_PATH, Lookup, MEETINGS_PATH, NewMeeting, REQUEST_LEN_MAX, Refusal,
    RefusalCode, SETTLE_PATH, is_number,
};

/// For how long who takes tokens may keep the keys. Operators publish a key for longer before it signs (docs/web.md).
const KEYS_KEPT: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// An instance's HTTPS.
#[derive(Clone)]
pub(crate) struct Site {
    web: Arc<Web>,
    paces: Arc<Mutex<Paces>>,
    started: Instant,
}

impl Site {
    pub(crate) fn new(web: Arc<Web>, pace: Pace) -> Self {
        let paces = Arc::new(Mutex::new(Paces::new(pace, PACED_MAX)));
        Self { web, paces, started: Instant::now() }
    }

    async fn route(&self, request: Request<Incoming>, peer: &Peer) -> Result<Answer, Refusal> {
        self.pace(peer)?;
        let (head, body) = request.into_parts();
        let (method, path) = (&head.method, head.uri.path());
        match (method, path) {
            (&Method::POST, LOOKUP_PATH) => {
                let lookup: Lookup = read(body).await?;
                Ok(json(200, &self.web.look_up(&lookup, peer.address).await?))
            }
            (&Method::POST, SETTLE_PATH) => {
                let token = shown(&head.headers, AUTHORIZATION).unwrap_or_default();
                Ok(json(200, &self.web.settle(token, peer.address).await?))
            }
            (&Method::GET, KEYS_PATH) => {
                let mut answer = text("application/jwk-set+json", self.web.keys());
                answer.headers_mut().insert(CACHE_CONTROL, KEYS_KEPT);
                Ok(answer)
            }
            (&Method::POST, MEETINGS_PATH) => {
                self.let_change(&head.headers)?;
                let asked: NewMeeting = read(body).await?;
                Ok(json(201, &self.web.create(&asked).await?))
            }
            (&Method::GET, MEETINGS_PATH) => {
                self.let_look(&head.headers)?;
                let query = head.uri.query().unwrap_or_default();
                let after = query.strip_prefix("after=").unwrap_or(query);
                Ok(json(200, &self.web.list(after).await?))
            }
            (&Method::GET, "/metrics") => {
                self.let_look(&head.headers)?;
                Ok(text(METRICS_TYPE, metrics::scrape(Arc::clone(&self.web)).unwrap_or_default()))
            }
            (&Method::GET, "/") => Ok(page::operators()),
            (&Method::GET, "/page.js") => Ok(page::script()),
            _ => self.route_numbered(method, path, &head.headers).await,
        }
    }

    /// Paths with a meeting's number in them.
    async fn route_numbered(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Answer, Refusal> {
        let ended = path
            .strip_prefix(MEETINGS_PATH)
            .and_then(|rest| rest.strip_prefix('/')?.strip_suffix("/end"));
        let linked = path.strip_prefix(LINK_PATH).filter(|number| is_number(number));
        match (method, ended, linked) {
            (&Method::POST, Some(number), _) => {
                self.let_change(headers)?;
                self.web.end(number).await?;
                let mut answer = Response::new(Full::default());
                *answer.status_mut() = StatusCode::NO_CONTENT;
                Ok(answer)
            }
            (&Method::GET, _, Some(_)) => Ok(page::link()),
            (_, Some(_), _) | (_, _, Some(_)) => Err(no_such_method()),
            _ if KNOWN.contains(&path) => Err(no_such_method()),
            _ => Err(Refusal::new(RefusalCode::NotFound, "There is no such path here.")),
        }
    }

    fn pace(&self, peer: &Peer) -> Result<(), Refusal> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        paces
            .take(network(peer.address), self.started.elapsed())
            .map_err(|wait| later(RefusalCode::TooFast, "This address asks too often.", wait))
    }

    fn let_look(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let may = self.web.credentials().operators.let_look(headers);
        if may { Ok(()) } else { Err(no_operator()) }
    }

    fn let_change(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let may = self.web.credentials().operators.let_change(headers);
        if may { Ok(()) } else { Err(no_operator()) }
    }
}

/// Paths that take one method alone.
const KNOWN: [&str; 7] =
    [LOOKUP_PATH, SETTLE_PATH, KEYS_PATH, MEETINGS_PATH, "/metrics", "/", "/page.js"];

impl server::Site for Site {
    type Body = Full<Bytes>;

    fn tls(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.web.credentials().tls)
    }

    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Answer {
        let answer = match timeout(REQUEST_PATIENCE, self.route(request, &peer)).await {
            Ok(answer) => answer,
            Err(_) => {
                let message = "It took longer than 10 s: was all of the request sent?";
                Err(Refusal::new(RefusalCode::TimedOut, message))
            }
        };
        answer.unwrap_or_else(|refusal| {
            self.web.counts.refused(refusal.code);
            refused(refusal.code.status(), &refusal)
        })
    }
}

/// The JSON of a body.
async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, Refusal> {
    let whole = Limited::new(body, REQUEST_LEN_MAX).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            Refusal::new(RefusalCode::TooLarge, "The body is larger than 4 KiB.")
        } else {
            Refusal::new(RefusalCode::BadRequest, "The body ended early.")
        }
    })?;
    serde_json::from_slice(&whole.to_bytes()).map_err(|error| {
        let message = format!("The body is not the JSON that is expected here: {error}.");
        Refusal::new(RefusalCode::BadRequest, message)
    })
}

fn no_such_method() -> Refusal {
    Refusal::new(RefusalCode::MethodNotAllowed, "This path takes another method.")
}

fn no_operator() -> Refusal {
    Refusal::new(
        RefusalCode::Unauthorized,
        "Operators alone may ask this: send Authorization: Bearer and a token of operators.tokens.",
    )
}
