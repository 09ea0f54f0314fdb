//! One control channel: reads requests, writes messages, keeps the deadlines. Knows nothing of
//! meetings.

use super::limits::{
    FIRST_MESSAGE_DEADLINE, GOODBYE_MAX, PING_INTERVAL, REQUEST_BURST_MAX, REQUESTS_PER_S_MAX,
    SILENCE_MAX, WRITE_DEADLINE,
};
use super::request::{CloseReason, Request};
use super::upgrade::Connection;
use futures_util::{SinkExt, StreamExt};
use router::ChannelId;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use wire::control::{ClientMessage, ErrorCode, ServerMessage};
use wire::mark::Dscp;

/// Messages written at once, at most.
const BATCH: usize = 64;

/// A channel's end that talks to its client.
pub(super) struct Channel {
    id: ChannelId,
    socket: WebSocketStream<Connection>,
    requests: mpsc::Sender<Request>,
    outgoing: mpsc::Receiver<ServerMessage>,
    mark: watch::Receiver<Dscp>,
    heard_at: Instant,
    first_message_due: Option<Instant>,
    budget: Budget,
}

impl Channel {
    pub(super) fn new(
        id: ChannelId,
        socket: WebSocketStream<Connection>,
        requests: mpsc::Sender<Request>,
        outgoing: mpsc::Receiver<ServerMessage>,
        mark: watch::Receiver<Dscp>,
    ) -> Self {
        let now = Instant::now();
        Self {
            id,
            socket,
            requests,
            outgoing,
            mark,
            heard_at: now,
            first_message_due: Some(now + FIRST_MESSAGE_DEADLINE),
            budget: Budget::new(now),
        }
    }

    /// Serves the client until one side has enough; `outgoing` closed means that ours has, once it
    /// is empty.
    pub(super) async fn run(mut self) -> CloseReason {
        let reason = self.serve().await;
        self.say_goodbye(reason).await;
        reason
    }

    async fn serve(&mut self) -> CloseReason {
        let mut pings = interval(PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let step = tokio::select! {
                biased;
                count = self.outgoing.recv_many(&mut batch, BATCH) => match count {
                    0 => Err(CloseReason::Done),
                    _ => self.write(batch.drain(..).map(encode)).await,
                },
                message = self.socket.next() => match message {
                    Some(message) => self.handle(message).await,
                    None => Err(CloseReason::Gone),
                },
                _ = pings.tick() => self.ping().await,
                Ok(()) = self.mark.changed() => self.remark(),
                () = until(self.first_message_due) => Err(CloseReason::FirstMessageLate),
            };
            if let Err(reason) = step {
                return reason;
            }
        }
    }

    async fn handle(&mut self, message: Result<Message, SocketError>) -> Result<(), CloseReason> {
        self.heard_at = Instant::now();
        let request = match message {
            Ok(Message::Text(text)) => match serde_json::from_str::<ClientMessage>(&text) {
                Ok(message) => Request::Message(self.id, message),
                Err(error) => Request::Unreadable(self.id, error.to_string()),
            },
            Ok(Message::Binary(_)) => {
                Request::Unreadable(self.id, "messages are JSON in text frames".to_owned())
            }
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => return Ok(()),
            Ok(Message::Close(_)) => return Err(CloseReason::Gone),
            Err(SocketError::Capacity(_)) => return Err(CloseReason::Oversized),
            Err(SocketError::Protocol(_) | SocketError::Utf8(_)) => {
                return Err(CloseReason::Protocol);
            }
            Err(_) => return Err(CloseReason::Gone),
        };
        self.first_message_due = None;
        self.budget.spend().await;
        self.requests.send(request).await.map_err(|_| CloseReason::Done)
    }

    async fn write(&mut self, messages: impl Iterator<Item = Message>) -> Result<(), CloseReason> {
        let write = async {
            for message in messages {
                self.socket.feed(message).await?;
            }
            self.socket.flush().await
        };
        match timeout(WRITE_DEADLINE, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(CloseReason::Gone),
            Err(_) => Err(CloseReason::Slow),
        }
    }

    async fn ping(&mut self) -> Result<(), CloseReason> {
        if self.heard_at.elapsed() > SILENCE_MAX {
            return Err(CloseReason::Silent);
        }
        self.write(std::iter::once(Message::Ping(Default::default()))).await
    }

    /// New marks were ordered.
    fn remark(&mut self) -> Result<(), CloseReason> {
        let mark = *self.mark.borrow_and_update();
        let socket = self.socket.get_ref().get_ref().0.stream();
        // Refused only for a socket that is gone, which reading will tell.
        let _ = socket.local_addr().and_then(|local| crate::door::mark(socket, local.ip(), mark));
        Ok(())
    }

    /// Closes as RFC 6455 §7.1.1 asks, then waits a little for the client's end: a socket closed
    /// with something unread in it would reset the connection, and the client lose what it has not
    /// read yet.
    async fn say_goodbye(&mut self, reason: CloseReason) {
        if matches!(reason, CloseReason::Gone | CloseReason::Slow | CloseReason::Silent) {
            return;
        }
        let deadline = Instant::now() + GOODBYE_MAX;
        let goodbye = async {
            if reason == CloseReason::Oversized {
                let _ = self.socket.send(encode(oversized())).await;
            }
            let _ = self.socket.close(Some(close_frame(reason))).await;
            let mut rest = [0; 4096];
            while matches!(self.socket.get_mut().read(&mut rest).await, Ok(1..)) {}
        };
        // Whoever does not close in time is closed.
        let _ = timeout_at(deadline, goodbye).await;
    }
}

fn encode(message: ServerMessage) -> Message {
    let text = serde_json::to_string(&message).expect("messages have only names for keys");
    Message::Text(text.into())
}

fn oversized() -> ServerMessage {
    ServerMessage::Error {
        code: ErrorCode::BadMessage,
        message: format!(
            "A message is at most {} bytes long. The channel can't be read any further; resume on a new one.",
            wire::limits::CONTROL_MESSAGE_LEN_MAX
        ),
    }
}

fn close_frame(reason: CloseReason) -> CloseFrame {
    let code = match reason {
        CloseReason::Oversized => CloseCode::Size,
        CloseReason::Protocol => CloseCode::Protocol,
        CloseReason::FirstMessageLate => CloseCode::Policy,
        _ => CloseCode::Normal,
    };
    CloseFrame { code, reason: reason.name().into() }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// How often a channel may ask; who asks more often is read later, and so slowed by TCP.
struct Budget {
    left: u32,
    filled_at: Instant,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self { left: REQUEST_BURST_MAX, filled_at: now }
    }

    async fn spend(&mut self) {
        let a_request = Duration::from_secs(1) / REQUESTS_PER_S_MAX;
        let due = self.filled_at.elapsed().as_nanos() / a_request.as_nanos();
        let due = u32::try_from(due).unwrap_or(REQUEST_BURST_MAX).min(REQUEST_BURST_MAX);
        if due > 0 {
            self.left = self.left.saturating_add(due).min(REQUEST_BURST_MAX);
            self.filled_at = Instant::now();
        }
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => tokio::time::sleep(a_request).await,
        }
    }
}
