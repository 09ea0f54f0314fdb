//! A participant as the router sees one: a control channel, links bound by STUN, streams and subscriptions.

use crate::error::BenchError;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::raw::RawChannel;
use wire::control::{ClientMessage, Codec, Key, LayerOffer, ServerMessage};
use wire::srtp::MasterKey;
use wire::stun::{self, TransactionId};
use wire::{Bitrate, Kind, Ssrc, StreamId};

/// How long an answer may take; the router may be busy with thousands of others.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most a layer may take: the bench goes to the limits of routers, not of encoders.
const BITRATE: Bitrate = Bitrate(50_000_000);
/// Of everything the bench publishes.
pub(crate) const PAYLOAD_TYPE: u8 = 100;
const UFRAG: &str = "packetrate";

/// In a meeting.
pub(crate) struct Member {
    /// To hear and forget everything from, until it closes: a participant that does not listen is sent away.
    pub(crate) channel: RawChannel,
    /// By kind.
    pub(crate) links: BTreeMap<Kind, Link>,
    /// Other people's, heard of so far.
    streams: Vec<(Kind, StreamId)>,
}

/// Bound, or about to be.
pub(crate) struct Link {
    pub(crate) socket: Arc<UdpSocket>,
    ufrag: String,
    password: String,
    checks: u32,
}

impl Member {
    /// Joins.
    ///
    /// # Errors
    /// The channel closed.
    pub(crate) async fn join(
        router: SocketAddr,
        ca_pem: &str,
        token: String,
    ) -> Result<Self, BenchError> {
        let mut channel = RawChannel::open(router, ca_pem).await;
        channel.send(&ClientMessage::Join { v: wire::control::VERSION, token: token.into() }).await;
        let mut member = Self { channel, links: BTreeMap::new(), streams: Vec::new() };
        let joined = |message: &_| matches!(message, ServerMessage::Joined { .. });
        member.hear_until("joined", joined).await?;
        Ok(member)
    }

    /// Gets a link of a kind and binds it from a socket at `ip`.
    ///
    /// # Errors
    /// Refused, or no answer to its checks.
    pub(crate) async fn connect(&mut self, kind: Kind, ip: IpAddr) -> Result<(), BenchError> {
        self.channel.send(&ClientMessage::Connect { kind }).await;
        let is_link = |message: &_| matches!(message, ServerMessage::Link { .. });
        let answer = self.hear_until("link", is_link).await?;
        let ServerMessage::Link { ufrag, password, addresses, .. } = answer else {
            return Err(BenchError::part("router", "no link"));
        };
        let socket = UdpSocket::bind((ip, 0)).map_err(failed)?;
        socket.connect(addresses.udp[0]).map_err(failed)?;
        let mut link = Link { socket: Arc::new(socket), ufrag, password: password.0, checks: 0 };
        link.bind()?;
        self.links.insert(kind, link);
        Ok(())
    }

    /// Publishes one layer; its label.
    ///
    /// # Errors
    /// Refused.
    pub(crate) async fn publish(&mut self, kind: Kind) -> Result<Ssrc, BenchError> {
        let codec = if kind == Kind::Audio { Codec::Opus } else { Codec::Vp8 };
        let key = Key(MasterKey { key: [7; 16], salt: [9; 12] });
        let layer = LayerOffer { codec, payload_type: PAYLOAD_TYPE, max_bitrate: BITRATE, key };
        self.channel.send(&ClientMessage::Publish { kind, layers: vec![layer] }).await;
        let published = |message: &_| matches!(message, ServerMessage::Published { .. });
        match self.hear_until("published", published).await? {
            ServerMessage::Published { ssrcs, .. } => Ok(ssrcs[0]),
            _ => Err(BenchError::part("router", "nothing published")),
        }
    }

    /// Subscribes to everything of a kind, once there are `count` streams of it.
    ///
    /// # Errors
    /// Refused, or they never come.
    pub(crate) async fn subscribe(&mut self, kind: Kind, count: usize) -> Result<(), BenchError> {
        while self.streams.iter().filter(|(of, _)| *of == kind).count() < count {
            self.hear_until("stream_added", |message| {
                matches!(message, ServerMessage::StreamAdded { .. })
            })
            .await?;
        }
        let streams: Vec<_> = self.streams.iter().filter(|(of, _)| *of == kind).copied().collect();
        for (_, stream) in streams {
            self.channel.send(&ClientMessage::Subscribe { stream, max_layer: 0 }).await;
            let subscribed = |message: &_| matches!(message, ServerMessage::Subscribed { .. });
            self.hear_until("subscribed", subscribed).await?;
        }
        Ok(())
    }

    /// Hears until the message that `is_it`; takes note of streams on the way.
    async fn hear_until(
        &mut self,
        what: &str,
        is_it: impl Fn(&ServerMessage) -> bool,
    ) -> Result<ServerMessage, BenchError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(message) = self.channel.next().await else {
                return Err(BenchError::part(
                    "router",
                    format!("it closed the channel before {what}"),
                ));
            };
            match &message {
                ServerMessage::StreamAdded { stream, kind, .. } => {
                    self.streams.push((*kind, *stream))
                }
                ServerMessage::Error { code, message } => {
                    let cause = format!("{what} was refused: {code:?}, {message}");
                    return Err(BenchError::part("router", cause));
                }
                _ => {}
            }
            if is_it(&message) {
                return Ok(message);
            }
        }
        Err(BenchError::part("router", format!("no {what} in {PATIENCE:?}")))
    }
}

impl Link {
    /// Sends a check; also keeps consent up.
    pub(crate) fn check(&mut self) -> std::io::Result<()> {
        self.checks += 1;
        let mut transaction = TransactionId([0; 12]);
        transaction.0[..4].copy_from_slice(&self.checks.to_be_bytes());
        let mut request = Vec::new();
        stun::write_request(transaction, &self.ufrag, UFRAG, &self.password, &mut request);
        self.socket.send(&request).map(drop)
    }

    fn bind(&mut self) -> Result<(), BenchError> {
        self.socket.set_read_timeout(Some(Duration::from_millis(200))).map_err(failed)?;
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 2_048];
        while Instant::now() < deadline {
            self.check().map_err(failed)?;
            while let Ok(len) = self.socket.recv(&mut buffer) {
                if stun::parse_success(&buffer[..len], &self.password).is_ok() {
                    return Ok(());
                }
            }
        }
        Err(BenchError::part("router", "no answer to STUN checks"))
    }
}

fn failed(cause: std::io::Error) -> BenchError {
    BenchError::part("bench", cause)
}
