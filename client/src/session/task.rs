//! The task behind a session: one channel at a time, requests in order, events to the reader, resumption.

use super::channel::{Channel, Heard, Welcome};
use super::{Command, Events, SessionEvent, StreamInfo};
use crate::dial::MmrDialer;
use crate::{ClientError, limits};
use std::collections::{HashMap, HashSet, VecDeque};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wire::StreamId;
use wire::control::{ClientMessage, ErrorCode, Secret, ServerMessage};

pub(super) fn start(
    channel: Channel,
    welcome: &Welcome,
    dialer: MmrDialer,
) -> (mpsc::Sender<Command>, Events) {
    let (commands, orders) = mpsc::channel(limits::COMMANDS_MAX);
    let (events, heard) = mpsc::channel(limits::COMMANDS_MAX);
    let task = Task {
        dialer,
        session: welcome.session.clone(),
        commands: orders,
        events,
        queued: VecDeque::new(),
        pending: VecDeque::new(),
        streams: HashMap::new(),
        unconfirmed: None,
        heard_at: Instant::now(),
    };
    tokio::spawn(task.run(channel));
    (commands, heard)
}

struct Task {
    dialer: MmrDialer,
    session: Secret,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<SessionEvent>,
    /// Events the reader had no room for yet.
    queued: VecDeque<SessionEvent>,
    pending: VecDeque<Pending>,
    streams: HashMap<StreamId, StreamInfo>,
    /// After a resumption: streams not announced again yet, and when those that are not are taken for gone.
    unconfirmed: Option<(Instant, HashSet<StreamId>)>,
    heard_at: Instant,
}

/// A request on its way. The MMR answers in order.
struct Pending {
    message: ClientMessage,
    answer: oneshot::Sender<Result<ServerMessage, ClientError>>,
}

/// How a channel came to its end.
enum End {
    Lost(String),
    Over,
}

impl Task {
    async fn run(mut self, mut channel: Channel) {
        loop {
            match self.serve(channel).await {
                End::Over => return,
                End::Lost(why) => match self.resume(why).await {
                    Ok(resumed) => channel = resumed,
                    Err(error) => {
                        self.fail_pending();
                        // The reader may be gone already.
                        let _ = self.events.send(SessionEvent::Closed(error.to_string())).await;
                        return;
                    }
                },
            }
        }
    }

    /// Serves one channel until it ends.
    async fn serve(&mut self, mut channel: Channel) -> End {
        self.heard_at = Instant::now();
        let mut ping_at = Instant::now() + limits::PING_INTERVAL;
        loop {
            let wake_at = self.unconfirmed.as_ref().map_or(ping_at, |(at, _)| ping_at.min(*at));
            let events = self.events.clone();
            tokio::select! {
                heard = channel.receive() => {
                    self.heard_at = Instant::now();
                    match heard {
                        Heard::Message(message) => self.handle_message(*message),
                        Heard::Alive => {}
                        Heard::Closed(why) => return End::Lost(why),
                    }
                }
                command = self.commands.recv() => {
                    if let Some(end) = self.handle_command(&mut channel, command).await {
                        return end;
                    }
                }
                permit = events.reserve(), if !self.queued.is_empty() => match permit {
                    Ok(permit) => permit.send(self.queued.pop_front().expect("checked in the guard")),
                    // Nobody reads events any more; requests go on.
                    Err(_) => self.queued.clear(),
                },
                () = sleep_until(wake_at) => {
                    self.settle();
                    if Instant::now() >= ping_at {
                        ping_at = Instant::now() + limits::PING_INTERVAL;
                        if self.heard_at.elapsed() > limits::CHANNEL_TIMEOUT {
                            return End::Lost("the MMR is silent".into());
                        }
                        if let Err(cause) = channel.ping().await {
                            return End::Lost(cause.to_string());
                        }
                    }
                }
            }
            if self.queued.len() > limits::EVENTS_MAX {
                return End::Lost("more events than anybody reads".into());
            }
        }
    }

    async fn handle_command(
        &mut self,
        channel: &mut Channel,
        command: Option<Command>,
    ) -> Option<End> {
        let sent = match command {
            Some(Command::Request { message, answer }) => {
                let sent = channel.send(&message).await;
                self.pending.push_back(Pending { message, answer });
                sent
            }
            Some(Command::Tell(message)) => channel.send(&message).await,
            Some(Command::DropChannel) => return Some(End::Lost("dropped on request".into())),
            Some(Command::Vanish) => return Some(End::Over),
            Some(Command::Leave(done)) => {
                self.leave(channel).await;
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
                return Some(End::Over);
            }
            None => {
                self.leave(channel).await;
                return Some(End::Over);
            }
        };
        sent.err().map(|cause| End::Lost(cause.to_string()))
    }

    async fn leave(&mut self, channel: &mut Channel) {
        if channel.send(&ClientMessage::Leave).await.is_err() {
            return;
        }
        let closed = async { while !matches!(channel.receive().await, Heard::Closed(_)) {} };
        // An MMR that does not close in time is closed upon.
        let _ = timeout(limits::UDP_DEADLINE, closed).await;
        channel.close().await;
    }

    fn handle_message(&mut self, message: ServerMessage) {
        if self.pending.front().is_some_and(|pending| answers(&pending.message, &message)) {
            let pending = self.pending.pop_front().expect("just looked at");
            let answer = match message {
                ServerMessage::Error { code, message } => {
                    Err(ClientError::Refused { code, message })
                }
                message => Ok(message),
            };
            // Whoever asked may have stopped waiting.
            let _ = pending.answer.send(answer);
            return;
        }
        let event = match message {
            ServerMessage::ParticipantJoined { participant } => {
                SessionEvent::ParticipantJoined(participant)
            }
            ServerMessage::ParticipantLeft { participant } => {
                SessionEvent::ParticipantLeft(participant)
            }
            ServerMessage::StreamAdded { stream, participant, kind, layers } => {
                return self.add_stream(StreamInfo { stream, participant, kind, layers });
            }
            ServerMessage::StreamRemoved { stream } => return self.remove_stream(stream),
            ServerMessage::Subscribed { stream, layer, roc } => {
                SessionEvent::LayerChanged { stream, layer, roc }
            }
            ServerMessage::ActiveSpeaker { participant } => {
                SessionEvent::ActiveSpeaker(participant)
            }
            ServerMessage::Draining { deadline_s } => SessionEvent::Draining { deadline_s },
            ServerMessage::Error { message, .. } => SessionEvent::Refused(message),
            // Answers to requests nobody waits for any more.
            _ => return,
        };
        self.queued.push_back(event);
    }

    fn add_stream(&mut self, info: StreamInfo) {
        if let Some((_, unconfirmed)) = &mut self.unconfirmed {
            unconfirmed.remove(&info.stream);
        }
        if self.streams.insert(info.stream, info.clone()).is_none() {
            self.queued.push_back(SessionEvent::StreamAdded(info));
        }
    }

    fn remove_stream(&mut self, stream: StreamId) {
        if self.streams.remove(&stream).is_some() {
            self.queued.push_back(SessionEvent::StreamRemoved(stream));
        }
    }

    /// Streams that were not announced again after a resumption ended meanwhile.
    fn settle(&mut self) {
        if self.unconfirmed.as_ref().is_some_and(|(at, _)| Instant::now() >= *at) {
            let (_, gone) = self.unconfirmed.take().expect("just looked at");
            gone.into_iter().for_each(|stream| self.remove_stream(stream));
        }
    }

    /// A new channel for the same participant. Links, streams and subscriptions stay meanwhile.
    async fn resume(&mut self, why: String) -> Result<Channel, ClientError> {
        self.fail_pending();
        self.queued.push_back(SessionEvent::Dropped(why));
        let deadline = Instant::now() + limits::RESUME_TIMEOUT;
        loop {
            self.hand_out();
            if self.commands.is_closed() {
                return Err(ClientError::ChannelLost("it was given up".into()));
            }
            let attempt = async {
                let mut channel = Channel::open(&self.dialer).await?;
                let welcome = channel.resume(self.session.clone()).await?;
                Ok::<_, ClientError>((channel, welcome))
            };
            let outcome = timeout(limits::JOIN_DEADLINE, attempt).await;
            match outcome.unwrap_or(Err(ClientError::Timeout("the control channel"))) {
                Ok((channel, welcome)) => {
                    self.session = welcome.session;
                    let known = self.streams.keys().copied().collect();
                    self.unconfirmed = Some((Instant::now() + limits::RESUME_SETTLE, known));
                    self.queued.push_back(SessionEvent::Resumed);
                    return Ok(channel);
                }
                Err(error) if is_final(&error) || Instant::now() > deadline => return Err(error),
                Err(_) => sleep(limits::RESUME_INTERVAL).await,
            }
        }
    }

    /// Events without a channel: as many as the reader has room for.
    fn hand_out(&mut self) {
        while let Some(event) = self.queued.pop_front() {
            if let Err(TrySendError::Full(event)) = self.events.try_send(event) {
                return self.queued.push_front(event);
            }
        }
    }

    fn fail_pending(&mut self) {
        for pending in self.pending.drain(..) {
            let lost = ClientError::ChannelLost("it dropped before the answer came".into());
            // Whoever asked may have stopped waiting.
            let _ = pending.answer.send(Err(lost));
        }
    }
}

/// An MMR that no longer knows the session will not know it later either.
fn is_final(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { code, .. } if *code != ErrorCode::AlreadyJoined)
}

fn answers(request: &ClientMessage, message: &ServerMessage) -> bool {
    match (request, message) {
        (_, ServerMessage::Error { .. }) => true,
        (ClientMessage::Connect { kind }, ServerMessage::Link { kind: of, .. })
        | (ClientMessage::Publish { kind, .. }, ServerMessage::Published { kind: of, .. }) => {
            kind == of
        }
        (ClientMessage::Subscribe { stream, .. }, ServerMessage::Subscribed { stream: of, .. }) => {
            stream == of
        }
        _ => false,
    }
}
