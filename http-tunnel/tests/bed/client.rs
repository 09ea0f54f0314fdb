//! A client of a tunnel, over HTTP/1.1 by hand and over HTTP/2 by hyper.

use super::{Bed, PATIENCE};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::{Method, Request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

pub(crate) const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

pub(crate) enum Client {
    /// Gone when it became a tunnel.
    Http1(Option<Box<TlsStream<TcpStream>>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// What `CONNECT` was answered with.
pub(crate) enum Answer {
    Open(Stream),
    Refused { status: u16, code: String, body: String, head: String },
}

impl Client {
    pub(crate) async fn connect(bed: &Bed, address: SocketAddr, version: Version) -> Self {
        let stream = tls(bed, address, version).await;
        if version == Version::Http1 {
            return Self::Http1(Some(Box::new(stream)));
        }
        let io = TokioIo::new(stream);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        Self::Http2(sender)
    }

    pub(crate) async fn ask(&mut self, token: Option<&str>, target: &str) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        match self {
            Self::Http1(_) => {
                let header = bearer.map(|it| format!("proxy-authorization: {it}\r\n"));
                let head = format!(
                    "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{}\r\n",
                    header.unwrap_or_default()
                );
                self.send(&head).await
            }
            Self::Http2(sender) => {
                let mut request = Request::builder().method(Method::CONNECT).uri(target);
                if let Some(bearer) = bearer {
                    request = request.header("proxy-authorization", bearer);
                }
                let request = request.body(Empty::new()).unwrap();
                let answer = timeout(PATIENCE, sender.send_request(request)).await.unwrap();
                let answer = answer.unwrap();
                if answer.status() == 200 {
                    let upgraded = hyper::upgrade::on(answer).await.unwrap();
                    return Answer::Open(Stream(Box::new(TokioIo::new(upgraded))));
                }
                let head = format!("{:?}", answer.headers());
                let status = answer.status().as_u16();
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                refused(status, head, String::from_utf8(body.to_vec()).unwrap())
            }
        }
    }

    /// Sends this over HTTP/1.1, and takes the connection along if it became a tunnel.
    pub(crate) async fn send(&mut self, text: &str) -> Answer {
        let Self::Http1(connection) = self else { panic!("HTTP/2 has no text") };
        let stream = connection.as_mut().unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let (status, head, body) = timeout(PATIENCE, read_answer(stream)).await.unwrap();
        if status == 200 {
            return Answer::Open(Stream(connection.take().unwrap()));
        }
        refused(status, head, body)
    }

    /// Status and body.
    pub(crate) async fn get(
        &mut self,
        path: &str,
        header: Option<(&str, String)>,
    ) -> (u16, String) {
        match self {
            Self::Http1(connection) => {
                let stream = connection.as_mut().unwrap();
                let header = header.map(|(name, value)| format!("{name}: {value}\r\n"));
                let head = format!(
                    "GET {path} HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
                    header.unwrap_or_default()
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                let (status, _, body) = timeout(PATIENCE, read_answer(stream)).await.unwrap();
                (status, body)
            }
            Self::Http2(sender) => {
                let mut request = Request::builder().uri(format!("https://localhost{path}"));
                if let Some((name, value)) = header {
                    request = request.header(name, value);
                }
                let request = request.body(Empty::new()).unwrap();
                let answer = sender.send_request(request).await.unwrap();
                let status = answer.status().as_u16();
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                (status, String::from_utf8(body.to_vec()).unwrap())
            }
        }
    }
}

/// A TLS connection to a server of the bed.
pub(crate) async fn tls(bed: &Bed, address: SocketAddr, version: Version) -> TlsStream<TcpStream> {
    let mut config = bed.client_tls();
    config.alpn_protocols = match version {
        Version::Http1 => vec![b"http/1.1".to_vec()],
        Version::Http2 => vec![b"h2".to_vec()],
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

fn refused(status: u16, head: String, body: String) -> Answer {
    let refusal: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    let code = refusal["code"].as_str().unwrap_or_default().to_owned();
    Answer::Refused { status, code, body, head }
}

/// Status, head and body of an answer with a length; of a 200 to `CONNECT` there is none.
async fn read_answer(stream: &mut TlsStream<TcpStream>) -> (u16, String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.unwrap();
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let status = head[9..12].parse().unwrap();
    let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; len.map_or(0, |len| len.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    (status, head, String::from_utf8(body).unwrap())
}

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

/// The client's end of a tunnel.
pub(crate) struct Stream(Box<dyn Both>);

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
