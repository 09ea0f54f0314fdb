//! `CONNECT` (RFC 9110 §9.3.6), as proxies and tunnels are asked it.

use super::Target;
use super::stream::Stream;
use crate::https::told;
use crate::limits::{ANSWER_LEN_MAX, CONNECT_HEAD_LEN_MAX};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::io;
use tokio::task::JoinSet;

/// An answer other than success.
pub(super) struct Refused {
    pub(super) status: u16,
    /// What may be shown as proof of who one is.
    pub(super) schemes: Vec<String>,
    /// As much of it as is read.
    pub(super) body: Bytes,
}

/// Asks who is at the other end of `stream` to go on to `to`. Callers bring a deadline.
///
/// # Errors
/// What is no answer: not HTTP, too long a head, a connection that ends, bytes that nobody asked for.
pub(super) async fn connect(
    stream: Stream,
    to: &Target,
    credentials: Option<&HeaderValue>,
) -> io::Result<Result<Stream, Refused>> {
    let local = stream.local();
    let mut builder = http1::Builder::new();
    builder.max_buf_size(CONNECT_HEAD_LEN_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(told)?;
    // Ends with this function: what was upgraded is taken out of it.
    let mut driver = JoinSet::new();
    driver.spawn(connection.with_upgrades());
    let answer = sender.send_request(request(to, credentials)?).await.map_err(told)?;
    if !answer.status().is_success() {
        return Ok(Err(refused(answer).await));
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(told)?;
    let parts = upgraded.downcast::<TokioIo<Stream>>();
    let parts = parts.map_err(|_| io::Error::other("the connection is of another kind"))?;
    // Behind it a TLS server waits to be spoken to: these bytes are nobody's answer.
    if !parts.read_buf.is_empty() {
        return Err(io::Error::other("it sent more than its answer to CONNECT"));
    }
    Ok(Ok(Stream::inside(local, parts.io.into_inner())))
}

fn request(to: &Target, credentials: Option<&HeaderValue>) -> io::Result<Request<Empty<Bytes>>> {
    let authority = to.to_string();
    let mut request =
        Request::builder().method(Method::CONNECT).uri(&authority).header(HOST, &authority);
    if let Some(credentials) = credentials {
        request = request.header(PROXY_AUTHORIZATION, credentials);
    }
    request.body(Empty::new()).map_err(io::Error::other)
}

async fn refused(answer: hyper::Response<hyper::body::Incoming>) -> Refused {
    let status = answer.status().as_u16();
    let schemes = answer.headers().get_all(PROXY_AUTHENTICATE).iter();
    let schemes = schemes.filter_map(|value| value.to_str().ok());
    let schemes = schemes.filter_map(|value| value.split_whitespace().next());
    let schemes = schemes.map(str::to_owned).collect();
    let body = Limited::new(answer.into_body(), ANSWER_LEN_MAX).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Refused { status, schemes, body }
}
