//! A real daemon on loopback, and a client of its control channel that says whatever a test wants.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use futures_util::{SinkExt, StreamExt};
use mmr::dev::Dev;
use mmr::{Config, Daemon};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use wire::control::ServerMessage;
use wire::token::Role;

/// What does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon with its certificate and keys.
pub struct Router {
    pub dev: Dev,
    pub daemon: Daemon,
}

impl Router {
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let dev = Dev::temporary().unwrap();
        let mut config = dev.config();
        change(&mut config);
        let daemon = Daemon::start(config).unwrap();
        Self { dev, daemon }
    }

    pub fn tls(&self) -> SocketAddr {
        self.daemon.addresses().tls[0]
    }

    pub async fn channel(&self) -> Channel {
        Channel::open(self.tls(), &self.dev).await
    }

    /// A channel that has joined, and what was answered.
    pub async fn join(&self, meeting: &str, participant: &str, role: Role) -> (Channel, Joined) {
        let mut channel = self.channel().await;
        let token = self.dev.token(meeting, participant, role);
        channel.say(&join(&token)).await;
        let joined = channel.joined().await;
        (channel, joined)
    }
}

/// What `joined` told.
#[derive(Debug)]
pub struct Joined {
    pub session: String,
    pub roster: Vec<String>,
}

pub fn join(token: &str) -> String {
    serde_json::json!({"type": "join", "v": 1, "token": token}).to_string()
}

/// One end of a control channel: text in, messages out.
pub struct Channel {
    pub socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl Channel {
    pub async fn open(address: SocketAddr, dev: &Dev) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        Self::over(stream, dev).await.unwrap()
    }

    /// Over a connection of the test's own; fails where the daemon ends it.
    pub async fn over(stream: TcpStream, dev: &Dev) -> Result<Self, String> {
        let tls = tls(stream, dev).await.map_err(|error| error.to_string())?;
        let upgrade = tokio_tungstenite::client_async("wss://localhost/control", tls).await;
        let (socket, _) = upgrade.map_err(|error| error.to_string())?;
        Ok(Self { socket })
    }

    /// With a receive buffer so small that little hides in the kernel.
    pub async fn open_narrow(address: SocketAddr, dev: &Dev) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        Self::over(socket.connect(address).await.unwrap(), dev).await.unwrap()
    }

    pub async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message; panics when the channel closes instead.
    pub async fn hear(&mut self) -> ServerMessage {
        match self.hear_any().await {
            Heard::Message(message) => message,
            Heard::Closed(frame) => panic!("the channel was closed: {frame:?}"),
        }
    }

    /// The next message that is one of these; others are passed over.
    pub async fn hear_until<T>(&mut self, mut want: impl FnMut(ServerMessage) -> Option<T>) -> T {
        loop {
            if let Some(found) = want(self.hear().await) {
                return found;
            }
        }
    }

    pub async fn joined(&mut self) -> Joined {
        match self.hear().await {
            ServerMessage::Joined { session, roster, .. } => Joined { session: session.0, roster },
            other => panic!("not joined but {other:?}"),
        }
    }

    /// The code of the next message, which is an error.
    pub async fn refusal(&mut self) -> String {
        match self.hear().await {
            ServerMessage::Error { code, .. } => code_name(code),
            other => panic!("no error but {other:?}"),
        }
    }

    /// The next message, or how the channel closed.
    pub async fn hear_any(&mut self) -> Heard {
        loop {
            let next = timeout(PATIENCE, self.socket.next()).await.expect("nothing came");
            match next {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Message(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(frame))) => return Heard::Closed(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Closed(None),
            }
        }
    }

    /// Waits for the close; passes over messages.
    pub async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            if let Heard::Closed(frame) = self.hear_any().await {
                return frame;
            }
        }
    }
}

#[derive(Debug)]
pub enum Heard {
    Message(ServerMessage),
    Closed(Option<CloseFrame>),
}

/// The code's name on the wire.
pub fn code_name(code: wire::control::ErrorCode) -> String {
    serde_json::to_value(code).unwrap().as_str().unwrap().to_owned()
}

/// TLS as a client of the control channel speaks it.
pub async fn tls(stream: TcpStream, dev: &Dev) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(dev.ca_pem().as_bytes()).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(mmr::tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![wire::control::ALPN_CONTROL.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
