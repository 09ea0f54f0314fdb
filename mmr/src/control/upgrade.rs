//! From a connection the door passed on to a WebSocket: TLS, one HTTP request, the upgrade.

use crate::tls::Prefixed;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use wire::control::PATH;
use wire::limits::CONTROL_MESSAGE_LEN_MAX;

/// What a control channel runs on.
pub(super) type Connection = TlsStream<Prefixed<TcpStream>>;

/// Headers of an upgrade request are a few hundred bytes.
const REQUEST_LEN_MAX: usize = 16 * 1024;

/// Where the upgrade went wrong; counted under this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UpgradeError {
    Tls,
    Http,
}

/// Finishes the TLS handshake and answers one HTTP request. The caller keeps the deadline.
pub(super) async fn upgrade(
    stream: Prefixed<TcpStream>,
    acceptor: TlsAcceptor,
) -> Result<WebSocketStream<Connection>, UpgradeError> {
    let tls = acceptor.accept(stream).await.map_err(|_| UpgradeError::Tls)?;
    let pending: Arc<Mutex<Option<OnUpgrade>>> = Arc::default();
    let service = service_fn(|request| {
        let (response, upgrade) = answer(request);
        *pending.lock().unwrap_or_else(PoisonError::into_inner) = upgrade;
        std::future::ready(Ok::<_, Infallible>(response))
    });
    hyper::server::conn::http1::Builder::new()
        .max_buf_size(REQUEST_LEN_MAX)
        .serve_connection(TokioIo::new(tls), service)
        .with_upgrades()
        .await
        .map_err(|_| UpgradeError::Http)?;
    let upgrade = pending.lock().unwrap_or_else(PoisonError::into_inner).take();
    let upgraded = upgrade.ok_or(UpgradeError::Http)?.await.map_err(|_| UpgradeError::Http)?;
    let parts = upgraded.downcast::<TokioIo<Connection>>().map_err(|_| UpgradeError::Http)?;
    let read = parts.read_buf.to_vec();
    let connection = parts.io.into_inner();
    Ok(WebSocketStream::from_partially_read(connection, read, Role::Server, Some(config())).await)
}

/// Sizes are checked on frame headers, before anything is kept or parsed.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(CONTROL_MESSAGE_LEN_MAX))
        .max_frame_size(Some(CONTROL_MESSAGE_LEN_MAX))
        .read_buffer_size(8 * 1024)
        .write_buffer_size(16 * 1024)
        .max_write_buffer_size(256 * 1024)
}

/// The response to the one request, and the upgrade when it is one.
fn answer(mut request: Request<Incoming>) -> (Response<Full<Bytes>>, Option<OnUpgrade>) {
    if request.uri().path() != PATH {
        return (refusal(StatusCode::NOT_FOUND, "The control channel is at /control.\n"), None);
    }
    match accept_key(request.method(), request.headers()) {
        Some(accept) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
            (response, Some(hyper::upgrade::on(&mut request)))
        }
        None => {
            let text = "This is a WebSocket (RFC 6455, version 13): ask for an upgrade.\n";
            let mut response = refusal(StatusCode::UPGRADE_REQUIRED, text);
            let headers = response.headers_mut();
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            (response, None)
        }
    }
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    // Not set for the whole connection: that would replace the upgrade's own header, too.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The accept key of a WebSocket handshake (RFC 6455 §4.2.1); `None` when the request is not one.
fn accept_key(method: &Method, headers: &HeaderMap) -> Option<HeaderValue> {
    let is_upgrade = method == Method::GET
        && has_token(headers, CONNECTION, "upgrade")
        && has_token(headers, UPGRADE, "websocket")
        && has_token(headers, SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| is_upgrade)?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
}
