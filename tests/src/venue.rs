//! Where native clients meet: a router's addresses and the keys to it, whether it runs in this process or another.

use crate::meeting::Seat;
use client::{
    Destination, IpChoice, JoinOptions, MmrAddress, PublishOptions, PublishReport, Publisher,
    RecordOptions, RecordReport, Recorder, Source, Token, TransportChoice, Trust, no_progress,
};
use mmr::dev::Dev;
use std::future::{pending, ready};
use std::net::SocketAddr;
use std::time::Duration;
use wire::Kind;
use wire::token::Role;

/// Streams come and end within this, or a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A router as its clients know it.
pub struct Venue {
    /// Its certificate and signer.
    pub dev: Dev,
    /// Where control channels and media over TLS go, IPv4 and IPv6.
    pub tls: Vec<SocketAddr>,
}

impl Venue {
    /// What `name` joins with.
    pub fn join(&self, name: &str, transport: TransportChoice, ip: IpChoice) -> JoinOptions {
        let address = self.tls[usize::from(ip == IpChoice::V6)];
        let at = MmrAddress { host: address.ip().to_string(), port: address.port() };
        let token = Token::new(self.dev.token("meeting", name, Role::Attendee));
        let trust = Trust::from_pem(self.dev.ca_pem().as_bytes()).unwrap();
        let at = Destination::Mmr { at, token };
        JoinOptions { transport, ip, ..JoinOptions::new(at, trust) }
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
