//! One WebSocket to the MMR: opens it, speaks JSON, knows nothing of resumption.

use crate::dial::{MmrDialer, Stream, Target};
use crate::{ClientError, Token};
use futures_util::{SinkExt, StreamExt};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use wire::control::{ClientMessage, Limits, Secret, ServerMessage, VERSION};
use wire::limits::CONTROL_MESSAGE_LEN_MAX;

/// How the MMR greeted a participant.
#[derive(Clone)]
pub struct Welcome {
    /// One's own name, from the token.
    pub participant: String,
    /// Everybody else in the meeting.
    pub roster: Vec<String>,
    /// What this MMR allows.
    pub limits: Limits,
    /// What resumes the session; secret.
    pub(super) session: Secret,
}

/// What came over the channel.
pub(super) enum Heard {
    Message(Box<ServerMessage>),
    /// Something that only shows that the channel lives.
    Alive,
    /// Why it ended.
    Closed(String),
}

pub(crate) struct Channel {
    socket: WebSocketStream<TlsStream<Stream>>,
}

impl Channel {
    pub(crate) async fn open(dialer: &MmrDialer) -> Result<Self, ClientError> {
        let (target, stream) = dialer.control().await?;
        Self::upgrade(dialer, &target, stream).await
    }

    /// The WebSocket handshake on a TLS connection.
    pub(crate) async fn upgrade(
        dialer: &MmrDialer,
        target: &Target,
        stream: TlsStream<Stream>,
    ) -> Result<Self, ClientError> {
        let host = &dialer.mmr.host;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let url = format!("wss://{host}:{}{}", dialer.mmr.port, wire::control::PATH);
        let config = WebSocketConfig::default().max_message_size(Some(CONTROL_MESSAGE_LEN_MAX));
        let (socket, _) =
            client_async_with_config(url, stream, Some(config)).await.map_err(|cause| {
                ClientError::WebSocket { address: target.to_string(), cause: cause.to_string() }
            })?;
        Ok(Self { socket })
    }

    pub(crate) async fn join(&mut self, token: &Token) -> Result<Welcome, ClientError> {
        let token = Secret(token.expose().to_owned());
        self.greet(&ClientMessage::Join { v: VERSION, token }).await
    }

    pub(super) async fn resume(&mut self, session: Secret) -> Result<Welcome, ClientError> {
        self.greet(&ClientMessage::Resume { v: VERSION, session }).await
    }

    async fn greet(&mut self, message: &ClientMessage) -> Result<Welcome, ClientError> {
        let lost = |cause: tungstenite::Error| ClientError::ChannelLost(cause.to_string());
        self.send(message).await.map_err(lost)?;
        loop {
            match self.receive().await {
                Heard::Alive => {}
                Heard::Closed(why) => return Err(ClientError::ChannelLost(why)),
                Heard::Message(message) => return welcome(*message),
            }
        }
    }

    pub(super) async fn send(&mut self, message: &ClientMessage) -> Result<(), tungstenite::Error> {
        let text = serde_json::to_string(message).expect("control messages are plain data");
        self.socket.send(Message::text(text)).await
    }

    pub(super) async fn ping(&mut self) -> Result<(), tungstenite::Error> {
        self.socket.send(Message::Ping(bytes::Bytes::new())).await
    }

    pub(super) async fn close(&mut self) {
        // The other side may be gone; there is nothing more to say to it either way.
        let _ = self.socket.close(None).await;
    }

    /// The next thing heard. May be dropped while it waits: nothing is lost.
    pub(super) async fn receive(&mut self) -> Heard {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                Ok(message) => Heard::Message(Box::new(message)),
                // A newer MMR may say things this client does not know; they are not for it.
                Err(_) => Heard::Alive,
            },
            Some(Ok(Message::Close(_))) | None => Heard::Closed("the MMR closed it".into()),
            Some(Ok(_)) => Heard::Alive,
            Some(Err(cause)) => Heard::Closed(cause.to_string()),
        }
    }
}

fn welcome(message: ServerMessage) -> Result<Welcome, ClientError> {
    match message {
        ServerMessage::Joined { v: VERSION, participant, session, roster, limits } => {
            Ok(Welcome { participant, roster, limits, session })
        }
        ServerMessage::Error { code, message } => Err(ClientError::Refused { code, message }),
        _ => Err(ClientError::Protocol("the first message is not joined")),
    }
}
