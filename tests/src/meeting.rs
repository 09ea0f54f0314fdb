//! A real meeting across a wire: the router on its left end, native clients on its right.

use crate::{Wire, media};
use client::{
    Clip, IpChoice, JoinOptions, MmrAddress, PublishOptions, PublishReport, Publisher,
    RecordOptions, RecordReport, Recorder, Source, Token, TransportChoice, Trust, no_progress,
};
use mmr::dev::Dev;
use mmr::{Config, Daemon};
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;
use wire::Kind;
use wire::token::Role;

/// Streams come and end within this, or a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two hosts and a router on 8801 and 443 of the left one.
pub struct Meeting {
    /// The network.
    pub wire: Wire,
    /// The router.
    pub daemon: Daemon,
    /// Its configuration.
    pub config: Config,
    dev: Dev,
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
        Self { wire, daemon, config, dev }
    }

    /// What `name` joins with.
    pub fn join(&self, name: &str, transport: TransportChoice, ip: IpChoice) -> JoinOptions {
        let [v4, v6] = Wire::LEFT;
        let host = if ip == IpChoice::V6 { v6 } else { v4 };
        JoinOptions {
            mmr: MmrAddress { host: host.to_owned(), port: 443 },
            token: Token::new(self.dev.token("meeting", name, Role::Attendee)),
            trust: Trust::from_pem(self.dev.ca_pem().as_bytes()).unwrap(),
            transport,
            ip,
        }
    }

    /// Publishes `sources` over UDP for `duration` to everybody in `seats`; `meanwhile` runs beside it.
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
        let streams = sources.len();
        let kinds: Vec<Kind> = sources.iter().map(|source| source.kind).collect();
        let join = self.join("publisher", TransportChoice::Auto, IpChoice::V4);
        let options = PublishOptions { join, sources, repeat: false, duration: Some(duration) };
        let publisher = Publisher::join(options).await.unwrap();
        let mut recorders = Vec::new();
        for seat in seats {
            let join = self.join(&seat.name, seat.transport, seat.ip);
            let options = RecordOptions { join, kinds: kinds.clone(), max_layer: 0, folder: None };
            recorders.push(Recorder::join(options).await.unwrap());
        }
        for recorder in &recorders {
            assert!(recorder.wait_for_streams(streams, PATIENCE).await, "no streams to record");
        }
        let progress = no_progress();
        let (published, ()) = tokio::join!(publisher.run(pending(), &progress), meanwhile);
        let mut reports = Vec::new();
        for recorder in recorders {
            let ended = tokio::time::timeout(PATIENCE, recorder.ends().wait(streams)).await;
            assert!(ended.is_ok(), "streams did not end");
            reports.push(recorder.run(ready(()), None, &no_progress()).await.unwrap());
        }
        (published.unwrap(), reports)
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
