//! HTTPS, as much of it as is needed: an origin, one connection to it, small questions and bounded answers.

use crate::dial::{Dialer, Stream, Target};
use crate::limits::CONNECT_HEAD_LEN_MAX;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::str::FromStr;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use url::Url;
use wire::control::Secret;

/// `https://HOST` or `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    url: Url,
    target: Target,
}

/// It is something else.
#[derive(Debug)]
pub(crate) struct NoOrigin;

impl Origin {
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let url = Url::parse(text).map_err(|_| NoOrigin)?;
        let bare = url.username().is_empty() && url.password().is_none();
        let origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "https" || !bare || !origin {
            return Err(NoOrigin);
        }
        let target = Target::of(&url).ok_or(NoOrigin)?;
        Ok(Self { url, target })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl Target {
    /// The host and port of a URL.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let host = match url.host()? {
            url::Host::Domain(name) => name.to_owned(),
            url::Host::Ipv4(ip) => ip.to_string(),
            url::Host::Ipv6(ip) => ip.to_string(),
        };
        Some(Self { host, port: url.port_or_known_default()? }).filter(|at| !at.host.is_empty())
    }
}

/// One connection, for one question after the other.
pub(crate) struct Https {
    sender: SendRequest<Full<Bytes>>,
    authority: HeaderValue,
    /// Ends with this.
    _driver: JoinSet<hyper::Result<()>>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Https {
    /// Connects; callers bring a deadline, here and below.
    pub(crate) async fn open(dialer: &Dialer, origin: &Origin) -> io::Result<Self> {
        let target = origin.target();
        let stream = dialer.connect(target).await?;
        let stream = dialer.https(target, stream).await?;
        let authority = origin.url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let authority = HeaderValue::try_from(authority).map_err(io::Error::other)?;
        Self::start(stream, authority).await
    }

    async fn start(stream: TlsStream<Stream>, authority: HeaderValue) -> io::Result<Self> {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(CONNECT_HEAD_LEN_MAX);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(told)?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        Ok(Self { sender, authority, _driver: driver })
    }

    /// `GET`.
    pub(crate) async fn get(&mut self, path: &str, len_max: usize) -> io::Result<Answer> {
        let request = Request::builder().method(Method::GET).uri(path);
        self.ask(request, Bytes::new(), len_max).await
    }

    /// `POST` with JSON, or with nothing and a token.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        json: Vec<u8>,
        bearer: Option<&Secret>,
        len_max: usize,
    ) -> io::Result<Answer> {
        let mut request = Request::builder().method(Method::POST).uri(path);
        if !json.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(Secret(token)) = bearer {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(io::Error::other)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        self.ask(request, json.into(), len_max).await
    }

    async fn ask(
        &mut self,
        request: hyper::http::request::Builder,
        body: Bytes,
        len_max: usize,
    ) -> io::Result<Answer> {
        let request = request
            .header(HOST, &self.authority)
            .header(ACCEPT, "*/*")
            .body(Full::new(body))
            .map_err(io::Error::other)?;
        // The connection's own task may not have noticed yet that the last answer is over.
        self.sender.ready().await.map_err(told)?;
        let answer = self.sender.send_request(request).await.map_err(told)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), len_max).collect().await;
        let body = body.map_err(|cause| {
            if cause.is::<LengthLimitError>() {
                return io::Error::other("the answer is too large");
            }
            cause.downcast::<hyper::Error>().map_or_else(io::Error::other, |cause| told(*cause))
        })?;
        Ok(Answer { status, body: body.to_bytes() })
    }
}

/// The innermost cause: hyper's own words say where in hyper it was.
pub(crate) fn told(error: hyper::Error) -> io::Error {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    io::Error::other(cause.to_string())
}
