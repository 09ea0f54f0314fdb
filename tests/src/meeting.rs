//! A real meeting across a wire: the router on its left end, native clients on its right.

use crate::venue::Venue;
use crate::{Wire, media};
use client::{Clip, IpChoice, PublishReport, RecordReport, Source, TransportChoice};
use mmr::dev::Dev;
use mmr::{Config, Daemon};
use std::sync::Arc;
use std::time::Duration;
use wire::Kind;

/// Two hosts and a router on 8801 and 443 of the left one.
pub struct Meeting {
    /// The network.
    pub wire: Wire,
    /// The router.
    pub daemon: Daemon,
    /// Its configuration.
    pub config: Config,
    /// Where clients meet.
    pub venue: Venue,
}

/// Who records, and how.
pub struct Seat {
    /// Its name.
    pub name: String,
    /// Its transport.
    pub transport: TransportChoice,
    /// Its IP version.
    pub ip: IpChoice,
}

impl Meeting {
    /// Starts the router; `adjust` may change its configuration.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(adjust: impl FnOnce(&mut Config) + Send) -> Self {
        let wire = Wire::new();
        let (dev, config, daemon) = wire.left.run(|| {
            let dev = Dev::temporary().unwrap();
            let mut config = dev.config();
            config.listen.addresses = Wire::left_addresses().to_vec();
            config.listen.media_port = 8801;
            config.listen.tls_port = 443;
            adjust(&mut config);
            let daemon = Daemon::start(config.clone()).unwrap();
            (dev, config, daemon)
        });
        let venue = Venue { dev, tls: daemon.addresses().tls.clone() };
        Self { wire, daemon, config, venue }
    }

    /// Publishes to everybody in `seats`: [`Venue::play`].
    ///
    /// # Panics
    /// When anybody can't take part, or a stream does not end.
    pub async fn play(
        &self,
        sources: Vec<Source>,
        duration: Duration,
        seats: &[Seat],
        meanwhile: impl Future<Output = ()>,
    ) -> (PublishReport, Vec<RecordReport>) {
        self.venue.play(sources, duration, seats, meanwhile).await
    }
}

/// A clip of tests/media as the only layer of a kind.
///
/// # Panics
/// When it can't be read.
pub fn source(kind: Kind, name: &str) -> Source {
    Source { kind, layers: vec![Arc::new(Clip::open(&media(name)).unwrap())] }
}

/// Audio, video and content.
pub fn sources() -> Vec<Source> {
    vec![
        source(Kind::Audio, "clip.ogg"),
        source(Kind::Video, "clip.ivf"),
        source(Kind::Content, "slides.ivf"),
    ]
}

/// Every stream of `sent` was recorded to the last byte: as many frames as were sent, each the source's.
///
/// # Panics
/// When not.
pub fn assert_complete(sent: &PublishReport, sources: &[Source], recorded: &RecordReport) {
    assert_eq!(recorded.streams.len(), sent.streams.len());
    for stream in &recorded.streams {
        let source = sources.iter().find(|source| source.kind == stream.kind).unwrap();
        let published = sent.streams.iter().find(|sent| sent.kind == stream.kind).unwrap();
        let clip = &source.layers[0].frames;
        let identical = clip.iter().zip(&stream.digests);
        let identical = identical.take_while(|(frame, seen)| frame.digest() == **seen).count();
        let who = format!(
            "{} at {}: the first {identical} of {} frames are the source's, {:?}",
            stream.kind, recorded.participant, published.statistics.frames, stream.packets
        );
        assert_eq!(stream.packets.lost, 0, "{who}");
        assert_eq!(stream.digests.len() as u64, published.statistics.frames, "{who}");
        assert_eq!(identical, stream.digests.len(), "{who}");
    }
}
