//! `CONNECT` (RFC 9110 §9.3.6), as proxies and tunnels are asked it.

use super::Target;
use super::stream::Stream;
use crate::https::told;
use crate::limits::{ANSWER_LEN_MAX, CONNECT_HEAD_LEN_MAX, REFUSAL_PATIENCE};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::io;
use tokio::task::JoinSet;
use tokio::time::timeout;

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
    let challenges = answer.headers().get_all(PROXY_AUTHENTICATE).iter();
    let schemes = challenges.flat_map(|list| schemes(list.as_bytes())).collect();
    let body = Limited::new(answer.into_body(), ANSWER_LEN_MAX).collect();
    // What does not come soon would have been words for people.
    let body = timeout(REFUSAL_PATIENCE, body).await.ok().and_then(Result::ok);
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Refused { status, schemes, body }
}

/// The schemes of a list of challenges (RFC 9110 §11.6.1): what stands first in it or behind a comma, and is no parameter.
fn schemes(challenges: &[u8]) -> Vec<String> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = challenges.split(|byte| {
        let escaped = std::mem::replace(&mut is_escaped, false);
        match byte {
            _ if escaped => {}
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
        *byte == b',' && !is_quoted
    });
    let first = |part: &[u8]| {
        let text = String::from_utf8_lossy(part).into_owned();
        text.split_whitespace().next().map(str::to_owned)
    };
    parts.filter_map(first).filter(|word| !word.contains('=')).collect()
}

#[cfg(test)]
mod tests {
    use super::schemes;

    #[test]
    fn every_scheme_of_a_list_is_found() {
        for (list, found) in [
            ("Basic realm=\"x\"", &["Basic"][..]),
            ("Negotiate, Basic realm=\"a, NTLM\", charset=\"UTF-8\"", &["Negotiate", "Basic"]),
            (
                "Negotiate abc==,NTLM , Basic realm=\"a\\\", Digest\"",
                &["Negotiate", "NTLM", "Basic"],
            ),
            ("Digest realm=\"x\", nonce=abc, basic", &["Digest", "basic"]),
            ("", &[]),
            (",,\"", &["\""]),
        ] {
            assert_eq!(schemes(list.as_bytes()), found, "{list}");
        }
        assert_eq!(schemes(b"Basic realm=\"\xe4\""), ["Basic"], "no UTF-8");
    }
}
