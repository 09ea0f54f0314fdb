//! Servers for tests: they answer what they are told to, right or wrong.
#![allow(clippy::unwrap_used)] // a test may fail by panic

use crate::dial::{ByteStream, Target};
use crate::options::Trust;
use rustls::pki_types::PrivateKeyDer;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// What a server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Sends this, and takes the next request.
    Bytes(Vec<u8>),
    /// Sends this, and ends the connection.
    Last(Vec<u8>),
    /// Sends 200, and goes on to this address.
    LeadTo(SocketAddr),
    /// The same, after so long.
    After(Duration, Box<Reply>),
    /// Sends nothing, for ever.
    Silence,
}

impl Reply {
    pub(crate) fn json(status: u16, value: &impl serde::Serialize) -> Self {
        Self::text(status, &serde_json::to_string(value).unwrap())
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        let len = body.len();
        Self::Bytes(format!("HTTP/1.1 {status} X\r\ncontent-length: {len}\r\n\r\n{body}").into())
    }

    pub(crate) fn after(delay: Duration, then: Self) -> Self {
        Self::After(delay, Box::new(then))
    }

    pub(crate) fn raw(text: &str) -> Self {
        Self::Last(text.as_bytes().to_vec())
    }
}

/// The head of a request, in lower case, and its body.
pub(crate) type Answer = dyn Fn(&str, &str) -> Reply + Send + Sync;

/// A server on a free port of loopback; ends with its test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The heads it has heard, in lower case.
    heard: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

/// A certificate for localhost, and who trusts it.
pub(crate) struct Identity {
    acceptor: TlsAcceptor,
    pub(crate) trust: Trust,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .unwrap();
        let trust = Trust::from_pem(issued.cert.pem().as_bytes()).unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), trust }
    }
}

impl Server {
    /// Plain HTTP, as proxies speak it.
    pub(crate) async fn http(answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer)).await
    }

    pub(crate) async fn https(
        identity: &Identity,
        answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(identity.acceptor.clone()), Arc::new(answer)).await
    }

    /// Says each of these, one after the other, then the last one for ever.
    pub(crate) async fn saying(replies: impl IntoIterator<Item = Reply>) -> Self {
        let left = Mutex::new(replies.into_iter().collect::<VecDeque<_>>());
        Self::http(move |_, _| {
            let mut left = left.lock().unwrap();
            if left.len() > 1 { left.pop_front().unwrap() } else { left[0].clone() }
        })
        .await
    }

    /// A proxy that connects whoever asks it.
    pub(crate) async fn proxy() -> Self {
        Self::http(|head, _| lead(head)).await
    }

    async fn start(acceptor: Option<TlsAcceptor>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        let log = Arc::clone(&heard);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer, log) =
                    (acceptor.clone(), Arc::clone(&answer), Arc::clone(&log));
                connections.spawn(async move {
                    match acceptor {
                        None => serve(stream, &*answer, &log).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &*answer, &log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, heard, _serving: serving }
    }

    pub(crate) fn target(&self) -> Target {
        Target { host: "localhost".into(), port: self.address.port() }
    }

    /// `https://localhost:PORT`.
    pub(crate) fn origin(&self) -> String {
        format!("https://{}", self.target())
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// To where `CONNECT` asks for; names are this host.
pub(crate) fn lead(head: &str) -> Reply {
    let target = head.split(' ').nth(1).unwrap();
    let port = target.rsplit(':').next().unwrap().parse().unwrap();
    Reply::LeadTo(SocketAddr::from(([127, 0, 0, 1], port)))
}

/// A port where nobody listens.
pub(crate) async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn serve(mut stream: impl ByteStream, answer: &Answer, log: &Mutex<Vec<String>>) {
    while let Some((head, body)) = request(&mut stream).await {
        log.lock().unwrap().push(head.clone());
        let mut reply = answer(&head, &body);
        while let Reply::After(delay, then) = reply {
            sleep(delay).await;
            reply = *then;
        }
        match reply {
            // The client may have left meanwhile.
            Reply::Bytes(bytes) => drop(stream.write_all(&bytes).await),
            Reply::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::After(..) => unreachable!("taken apart above"),
            Reply::Silence => return std::future::pending().await,
            Reply::LeadTo(address) => {
                let Ok(mut target) = TcpStream::connect(address).await else {
                    let _ = stream.write_all(b"HTTP/1.1 502 X\r\ncontent-length: 0\r\n\r\n").await;
                    continue;
                };
                // As old proxies say it.
                stream.write_all(b"HTTP/1.0 200 Connection established\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut target).await;
                return;
            }
        }
        let _ = stream.flush().await;
    }
}

async fn request(stream: &mut impl ByteStream) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let lower = head.to_ascii_lowercase();
    let len = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; len.map_or(0, |len| len.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some((lower, String::from_utf8(body).unwrap()))
}
