//! A real MMR on free ports of loopback, and clients of it.

use client::media::Digest;
use client::{
    Clip, Destination, IpChoice, JoinOptions, MmrAddress, PublishOptions, Publisher, RecordOptions,
    RecordReport, Recorder, Source, Token, TransportChoice, Trust, no_progress,
};
use mmr::Daemon;
use mmr::config::Config;
use mmr::dev::Dev;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use wire::token::Role;
use wire::{Kind, Transport};

/// How long a test waits for what must come. Generous: only a failing test ever waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const MEETING: &str = "standup";

pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) dev: Dev,
}

impl Stage {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    /// With a configuration that is a little different.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dev = Dev::temporary().unwrap();
        let mut config = dev.config();
        change(&mut config);
        let daemon = Daemon::start(config).unwrap();
        Self { daemon, dev }
    }

    /// A token for another participant of the same meeting.
    pub(crate) fn token(&self, participant: &str) -> String {
        self.dev.token(MEETING, participant, Role::Attendee)
    }

    pub(crate) fn join(
        &self,
        participant: &str,
        transport: TransportChoice,
        ip: IpChoice,
    ) -> JoinOptions {
        let tls = &self.daemon.addresses().tls;
        let at = tls.iter().find(|address| ip.allows(address.ip())).unwrap();
        let at = MmrAddress { host: at.ip().to_string(), port: at.port() };
        let token = Token::new(self.token(participant));
        let trust = Trust::from_pem(self.dev.ca_pem().as_bytes()).unwrap();
        let at = Destination::Mmr { at, token };
        JoinOptions { transport, ip, ..JoinOptions::new(at, trust) }
    }

    pub(crate) fn udp(&self, participant: &str) -> JoinOptions {
        self.join(participant, TransportChoice::Only(Transport::Udp), IpChoice::Any)
    }

    pub(crate) async fn publisher(&self, sources: Vec<Source>, duration: Duration) -> Publisher {
        let (join, duration) = (self.udp("publisher"), Some(duration));
        Publisher::join(PublishOptions { join, sources, repeat: false, duration }).await.unwrap()
    }
}

pub(crate) fn clip(name: &str) -> Arc<Clip> {
    Arc::new(Clip::open(&media(name)).unwrap())
}

/// A clip's file.
pub(crate) fn media(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/media").join(name)
}

pub(crate) fn source(kind: Kind, name: &str) -> Source {
    Source { kind, layers: vec![clip(name)] }
}

/// Voice and camera.
pub(crate) fn call() -> Vec<Source> {
    vec![source(Kind::Audio, "clip.ogg"), source(Kind::Video, "clip.ivf")]
}

/// The first frames of a clip, up to `duration`.
pub(crate) fn digests(clip: &Clip, duration: Duration) -> Vec<Digest> {
    let clock = f64::from(client::media::clock_hz(clip.codec));
    let sent = |timestamp: u64| Duration::from_secs_f64(timestamp as f64 / clock) < duration;
    let frames = clip.frames.iter().filter(|frame| sent(frame.timestamp));
    frames.map(client::media::Frame::digest).collect()
}

/// Subscribes to everything, in memory.
pub(crate) async fn recorder(join: JoinOptions) -> Recorder {
    let options =
        RecordOptions { join, kinds: Kind::ALL.to_vec(), max_layer: u8::MAX, folder: None };
    Recorder::join(options).await.unwrap()
}

/// Records in the background until `streams` streams have ended.
pub(crate) async fn record(recorder: Recorder, streams: usize) -> JoinHandle<RecordReport> {
    assert!(recorder.wait_for_streams(streams, PATIENCE).await, "not all streams were announced");
    let ends = recorder.ends();
    tokio::spawn(async move {
        let ended = async {
            let _ = tokio::time::timeout(PATIENCE, ends.wait(streams)).await;
        };
        recorder.run(ended, None, &no_progress()).await.unwrap()
    })
}

/// Every frame that was published arrived, byte for byte and in order, and no packet is missing.
pub(crate) fn assert_complete(report: &RecordReport, sources: &[Source], duration: Duration) {
    assert_eq!(report.streams.len(), sources.len());
    for source in sources {
        let stream = report.streams.iter().find(|stream| stream.kind == source.kind).unwrap();
        let context = format!("{}: {stream:?}", report.participant);
        assert!(stream.packets.expected > 0, "{context}");
        assert_eq!(stream.packets.lost, 0, "{context}");
        assert_eq!(stream.frames_incomplete, 0, "{context}");
        let top = source.layers.last().unwrap();
        assert!(stream.digests == digests(top, duration), "frames differ: {context}");
    }
}
