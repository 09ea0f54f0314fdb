//! A participant's control channel: joins, asks, hears what happens, and resumes by itself when it drops.

mod channel;
mod task;

pub(crate) use channel::Channel;
pub use channel::Welcome;

use crate::dial::MmrDialer;
use crate::entry::Entry;
use crate::link::{Link, LinkInfo, ProbeStep};
use crate::options::{JoinOptions, TransportChoice};
use crate::way::{Journal, Phase, Place, Way};
use crate::{ClientError, Token, limits};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wire::control::{ClientMessage, LayerInfo, LayerOffer, ServerMessage};
use wire::{Kind, Ssrc, StreamId};

/// A stream one may subscribe to.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    /// Its number.
    pub stream: StreamId,
    /// Whose.
    pub participant: String,
    /// Its kind.
    pub kind: Kind,
    /// Lowest first.
    pub layers: Vec<LayerInfo>,
}

/// What happens in the meeting and to the channel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// Somebody came.
    ParticipantJoined(String),
    /// Somebody went.
    ParticipantLeft(String),
    /// A stream one may subscribe to. Also for each stream there is already, right after joining.
    StreamAdded(StreamInfo),
    /// It ended.
    StreamRemoved(StreamId),
    /// Another layer of a subscribed stream is sent from now on.
    LayerChanged {
        /// Of which stream.
        stream: StreamId,
        /// Which, from 0.
        layer: u8,
        /// Its rollover counter.
        roc: u32,
    },
    /// Who speaks.
    ActiveSpeaker(String),
    /// The MMR goes away.
    Draining {
        /// In so many seconds.
        deadline_s: u64,
    },
    /// The channel dropped; it is being resumed, media flows on.
    Dropped(String),
    /// The channel is back.
    Resumed,
    /// A request without an answer of its own was refused.
    Refused(String),
    /// The channel is gone for good.
    Closed(String),
}

/// Events in the order they happened. Ends after [`SessionEvent::Closed`].
pub type Events = mpsc::Receiver<SessionEvent>;

/// A participant's handle; clones speak over the same channel. When the last one goes, so does the participant.
#[derive(Clone)]
pub struct Session {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

struct Shared {
    welcome: Welcome,
    dialer: MmrDialer,
    transport: TransportChoice,
    journal: Journal,
}

/// What the task of a session is told.
enum Command {
    Request { message: ClientMessage, answer: oneshot::Sender<Result<ServerMessage, ClientError>> },
    Tell(ClientMessage),
    DropChannel,
    Vanish,
    Leave(oneshot::Sender<()>),
}

impl Session {
    /// Connects, joins, and keeps the channel from then on.
    ///
    /// Where controllers were asked, it stays at the MMR they named: [`crate::Publisher`] and [`crate::Recorder`] move.
    ///
    /// # Errors
    /// Everything between name lookup and a refused token.
    pub async fn join(options: JoinOptions) -> Result<(Self, Events), ClientError> {
        Entry::new(options)?.join().await
    }

    /// Joins this MMR.
    pub(crate) async fn open(
        dialer: MmrDialer,
        token: &Token,
        transport: TransportChoice,
        journal: &Journal,
    ) -> Result<(Self, Events), ClientError> {
        let began = Instant::now();
        let opening = async {
            let mut channel = Channel::open(&dialer).await?;
            let welcome = channel.join(token).await?;
            Ok::<_, ClientError>((channel, welcome))
        };
        let opened = timeout(limits::JOIN_DEADLINE, opening).await;
        let opened = opened.unwrap_or(Err(ClientError::Timeout("the control channel")));
        let outcome = match &opened {
            Ok((_, welcome)) => Ok(format!("as {}", welcome.participant)),
            Err(error) => Err(error.to_string()),
        };
        let place = Place::new(Phase::Mmr, dialer.way(), &dialer.mmr);
        journal.note(&place, ProbeStep { name: "join", took: began.elapsed(), outcome });
        let (channel, welcome) = opened?;
        Ok(Self::start(channel, welcome, dialer, transport, journal.clone()))
    }

    /// Keeps a channel that has joined.
    pub(crate) fn start(
        channel: Channel,
        welcome: Welcome,
        dialer: MmrDialer,
        transport: TransportChoice,
        journal: Journal,
    ) -> (Self, Events) {
        let (commands, events) = task::start(channel, &welcome, dialer.clone());
        let shared = Arc::new(Shared { welcome, dialer, transport, journal });
        (Self { commands, shared }, events)
    }

    /// Asks for a link of one kind and binds it, over the first transport that works.
    pub async fn connect(&self, kind: Kind) -> Result<Link, ClientError> {
        let info = self.link_info(kind).await?;
        let Shared { dialer, transport, journal, .. } = &*self.shared;
        Link::bind(info, dialer.clone(), *transport, journal).await
    }

    /// Several kinds at once, so that transports that do not work cost their deadlines only once. In the order asked.
    pub async fn connect_all(&self, kinds: &[Kind]) -> Vec<(Kind, Result<Link, ClientError>)> {
        let began = Instant::now();
        let mut links = JoinSet::new();
        for (index, kind) in kinds.iter().copied().enumerate() {
            let session = self.clone();
            links.spawn(async move { (index, kind, session.connect(kind).await) });
        }
        let mut links = links.join_all().await;
        links.sort_by_key(|(index, ..)| *index);
        self.shared.journal.end_phase(Phase::Media, self.way(), began);
        links.into_iter().map(|(_, kind, link)| (kind, link)).collect()
    }

    /// Asks for a link of one kind without binding it.
    pub async fn link_info(&self, kind: Kind) -> Result<LinkInfo, ClientError> {
        match self.request(ClientMessage::Connect { kind }).await? {
            ServerMessage::Link { kind, ufrag, password, srtcp_keys, addresses } => {
                Ok(LinkInfo { kind, ufrag, password, srtcp_keys, addresses })
            }
            _ => Err(ClientError::Protocol("connect was not answered by link")),
        }
    }

    /// Publishes a stream over the link of its kind: its number and its layers' labels, lowest first.
    pub async fn publish(
        &self,
        kind: Kind,
        layers: Vec<LayerOffer>,
    ) -> Result<(StreamId, Vec<Ssrc>), ClientError> {
        let count = layers.len();
        match self.request(ClientMessage::Publish { kind, layers }).await? {
            ServerMessage::Published { stream, ssrcs, .. } if ssrcs.len() == count => {
                Ok((stream, ssrcs))
            }
            _ => Err(ClientError::Protocol("published has another number of layers")),
        }
    }

    /// Asks for a stream: the layer on its way and its rollover counter.
    pub async fn subscribe(
        &self,
        stream: StreamId,
        max_layer: u8,
    ) -> Result<(u8, u32), ClientError> {
        match self.request(ClientMessage::Subscribe { stream, max_layer }).await? {
            ServerMessage::Subscribed { layer, roc, .. } => Ok((layer, roc)),
            _ => Err(ClientError::Protocol("subscribe was not answered by subscribed")),
        }
    }

    /// Ends a subscription.
    pub async fn unsubscribe(&self, stream: StreamId) {
        self.tell(Command::Tell(ClientMessage::Unsubscribe { stream })).await;
    }

    /// Ends a stream of one's own.
    pub async fn unpublish(&self, stream: StreamId) {
        self.tell(Command::Tell(ClientMessage::Unpublish { stream })).await;
    }

    /// Leaves the meeting and waits until the MMR has closed the channel.
    pub async fn leave(self) {
        let (done, left) = oneshot::channel();
        self.tell(Command::Leave(done)).await;
        // A task that is gone already has left as well.
        let _ = timeout(limits::JOIN_DEADLINE, left).await;
    }

    /// For tests: cuts the TCP connection of the channel, as a network would; it resumes by itself.
    pub async fn drop_channel(&self) {
        self.tell(Command::DropChannel).await;
    }

    /// For tests: ends the channel without a word and never comes back. Links are vanished on their own.
    pub async fn vanish(&self) {
        self.tell(Command::Vanish).await;
    }

    /// What the MMR said when this participant joined.
    pub fn welcome(&self) -> &Welcome {
        &self.shared.welcome
    }

    /// What its control channel goes through.
    pub(crate) fn way(&self) -> Way {
        self.shared.dialer.way()
    }

    async fn request(&self, message: ClientMessage) -> Result<ServerMessage, ClientError> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Request { message, answer }).await;
        let lost = || ClientError::ChannelLost("the session is over".into());
        timeout(limits::REQUEST_DEADLINE, answered)
            .await
            .map_err(|_| ClientError::Timeout("the MMR"))?
            .map_err(|_| lost())?
    }

    async fn tell(&self, command: Command) {
        // A session that is over answers requests by dropping them.
        let _ = self.commands.send(command).await;
    }
}
