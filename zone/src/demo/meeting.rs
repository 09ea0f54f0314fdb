//! One meeting: its publisher and its subscribers, each by its own way from the meeting's link to where the controller sent it.

use super::PATIENCE;
use super::clips::Clips;
use super::site::Site;
use client::{
    ClientError, IpChoice, Progress, ProgressSink, PublishOptions, Publisher, RecordOptions,
    RecordReport, Recorder, TransportChoice, WayReport, no_progress,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeSet;
use std::error::Error;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wire::Kind;

/// How one participant takes part.
#[derive(Clone, Copy)]
pub(super) struct Seat {
    pub(super) network: Network,
    pub(super) transport: TransportChoice,
    pub(super) ip: IpChoice,
}

/// What the network of a seat lets out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// Everything.
    Open,
    /// TLS, by an HTTP proxy.
    Office,
    /// The same, to the web infrastructure and the tunnel alone.
    Hotel,
}

impl Seat {
    pub(super) const fn new(network: Network, ip: IpChoice) -> Self {
        Self { network, transport: TransportChoice::Auto, ip }
    }

    pub(super) fn name(self) -> String {
        match (self.network, self.transport) {
            (Network::Office, _) => "behind-proxy".to_owned(),
            (Network::Hotel, _) => "by-tunnel".to_owned(),
            (Network::Open, TransportChoice::Only(transport)) => {
                format!("{transport}-{}", self.ip_name())
            }
            (Network::Open, _) => self.ip_name().to_owned(),
        }
    }

    pub(super) fn is_ipv6(self) -> bool {
        self.ip == IpChoice::V6
    }

    pub(super) fn ip_name(self) -> &'static str {
        if self.is_ipv6() { "ipv6" } else { "ipv4" }
    }
}

/// Everybody in the meeting, nothing sent yet.
pub(super) struct Meeting {
    name: &'static str,
    /// What the publisher's way is told as.
    host: Seat,
    publisher: Publisher,
    recorders: Vec<(Seat, Recorder)>,
}

/// What one subscriber received.
pub(super) struct Received {
    pub(super) meeting: &'static str,
    pub(super) seat: Seat,
    pub(super) report: RecordReport,
}

/// Which way one participant came.
pub(super) struct Came {
    pub(super) participant: String,
    pub(super) meeting: &'static str,
    pub(super) way: WayReport,
}

impl Meeting {
    pub(super) async fn gather(
        site: &Site,
        name: &'static str,
        clips: &Clips,
        seats: impl Iterator<Item = Seat>,
    ) -> Result<Self, Box<dyn Error>> {
        let sources = clips.sources();
        let streams = sources.len();
        let links = site.meeting(name).await?;
        let host = Seat::new(Network::Open, IpChoice::V4);
        let join = site.join_options(&links, "alice", host)?;
        let publisher =
            Publisher::join(PublishOptions { join, sources, repeat: false, duration: None })
                .await?;
        let mut recorders = Vec::new();
        for seat in seats {
            let join = site.join_options(&links, &seat.name(), seat)?;
            let kinds = Kind::ALL.to_vec();
            let options = RecordOptions { join, kinds, max_layer: 0, folder: None };
            recorders.push((seat, Recorder::join(options).await?));
        }
        for (seat, recorder) in &recorders {
            if !recorder.wait_for_streams(streams, PATIENCE).await {
                return Err(format!("{} saw no streams to subscribe to", seat.name()).into());
            }
        }
        Ok(Self { name, host, publisher, recorders })
    }

    /// Where everybody is: one zone and one MMR, or somebody erred.
    pub(super) fn places(&self) -> String {
        let recorders = self.recorders.iter().map(|(_, it)| place(it.way(), it.mmr()));
        let publisher = place(self.publisher.way(), self.publisher.mmr());
        let all: BTreeSet<String> = recorders.chain([publisher]).collect();
        all.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// Which way everybody came.
    pub(super) fn ways(&self) -> Vec<Came> {
        let came = |participant: String, way: &WayReport| Came {
            participant,
            meeting: self.name,
            way: way.clone(),
        };
        let publisher = came(format!("alice ({})", self.host.name()), self.publisher.way());
        let recorders = self.recorders.iter().map(|(seat, it)| came(seat.name(), it.way()));
        [publisher].into_iter().chain(recorders).collect()
    }

    /// Plays the clips to the end, or until interrupted. Recorders record from the moment they joined.
    async fn play(
        self,
        mut interrupted: watch::Receiver<bool>,
        progress: ProgressSink,
    ) -> Result<Vec<Received>, ClientError> {
        let interruption = async move {
            if interrupted.wait_for(|interrupted| *interrupted).await.is_err() {
                pending::<()>().await;
            }
        };
        let streams = self.publisher.run(interruption, &progress).await?.streams.len();
        let mut all = Vec::new();
        for (seat, recorder) in self.recorders {
            // What did not end in time shows as missing in the report.
            let all_ended = recorder.ends();
            let _ = tokio::time::timeout(PATIENCE, all_ended.wait(streams)).await;
            let report = recorder.run(ready(()), None, &no_progress()).await?;
            all.push(Received { meeting: self.name, seat, report });
        }
        Ok(all)
    }
}

/// A zone and an MMR of it.
pub(super) fn place(way: &WayReport, mmr: Option<String>) -> String {
    format!("{}/{}", way.zone.as_deref().unwrap_or("?"), mmr.as_deref().unwrap_or("?"))
}

/// Plays all meetings at once; what everybody received, and whether Ctrl-C came first.
pub(super) async fn play(
    meetings: Vec<Meeting>,
    total: Duration,
    show: bool,
) -> Result<(Vec<Received>, bool), ClientError> {
    let (interrupt, interrupted) = watch::channel(false);
    let listening = tokio::spawn(async move {
        // Without a handler for Ctrl-C there is nothing to wait for.
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupt.send_replace(true);
        }
        interrupt.closed().await;
    });
    let bar = if show { progress_bar(total) } else { ProgressBar::hidden() };
    let mut playing = JoinSet::new();
    for (index, meeting) in meetings.into_iter().enumerate() {
        let sink = if index == 0 { progress_sink(&bar) } else { no_progress() };
        let interrupted = interrupted.clone();
        playing.spawn(async move { (index, meeting.play(interrupted, sink).await) });
    }
    let mut played = playing.join_all().await;
    bar.finish_and_clear();
    played.sort_by_key(|(index, _)| *index);
    let mut received = Vec::new();
    for (_, one) in played {
        received.extend(one?);
    }
    let was_interrupted = *interrupted.borrow();
    listening.abort();
    Ok((received, was_interrupted))
}

fn progress_bar(total: Duration) -> ProgressBar {
    let template = "{spinner} playing {bar:30} {msg}";
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    let length = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
    ProgressBar::new(length).with_style(style)
}

fn progress_sink(bar: &ProgressBar) -> ProgressSink {
    let bar = bar.clone();
    Arc::new(move |Progress { elapsed, frames, .. }| {
        bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        bar.set_message(format!("{} s, {frames} frames sent", elapsed.as_secs()));
    })
}
