//! Participants of a meeting: one who publishes audio and video for as long as the meeting lasts, and those who record.

use crate::PATIENCE;
use crate::site::Site;
use client::media::{Digest, Frame, clock_hz};
use client::{
    PublishOptions, PublishReport, Publisher, RecordOptions, RecordReport, Recorder, Source,
    no_progress,
};
use std::time::Duration;
use tests::meeting::source;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wire::{Kind, Transport};

/// How each of those who record gets its media.
const SEATS: [Transport; 4] = [Transport::Udp, Transport::Udp, Transport::Tcp, Transport::Tls];
/// With the one who publishes.
pub const PARTICIPANTS: usize = SEATS.len() + 1;

/// A meeting that has begun.
pub struct Meeting {
    pub name: String,
    pub recorders: Vec<Recorder>,
    publishing: JoinHandle<Result<PublishReport, client::ClientError>>,
    stop: watch::Sender<bool>,
}

/// What came of a meeting.
pub struct Outcome {
    pub name: String,
    pub published: PublishReport,
    pub recorded: Vec<RecordReport>,
}

fn sources() -> Vec<Source> {
    vec![source(Kind::Audio, "clip.ogg"), source(Kind::Video, "clip.ivf")]
}

impl Meeting {
    /// Everybody joins; nothing is sent before all are there.
    pub async fn begin(site: &Site, name: String) -> Self {
        let join = site.join(&name, "publisher", Transport::Udp);
        let options = PublishOptions { join, sources: sources(), repeat: true, duration: None };
        let publisher = Publisher::join(options).await.unwrap();
        let mut recorders = Vec::new();
        for (seat, transport) in SEATS.into_iter().enumerate() {
            let join = site.join(&name, &format!("seat-{seat}"), transport);
            let kinds = vec![Kind::Audio, Kind::Video];
            let options = RecordOptions { join, kinds, max_layer: 0, folder: None };
            let recorder = Recorder::join(options).await.unwrap();
            assert_eq!(recorder.mmr(), publisher.mmr(), "a meeting is at one MMR");
            assert!(recorder.wait_for_streams(2, PATIENCE).await, "not all streams were announced");
            recorders.push(recorder);
        }
        let (stop, mut stopped) = watch::channel(false);
        let publishing = tokio::spawn(async move {
            let stopped = async move { drop(stopped.wait_for(|stop| *stop).await) };
            publisher.run(stopped, &no_progress()).await
        });
        Self { name, recorders, publishing, stop }
    }

    /// Where it is: where the first of those who record is.
    pub fn mmr(&self) -> String {
        self.recorders[0].mmr().unwrap()
    }

    /// The publisher leaves, then everybody.
    pub async fn end(self) -> Outcome {
        self.stop.send_replace(true);
        let published = self.publishing.await.unwrap().unwrap();
        let mut recorded = Vec::new();
        for recorder in self.recorders {
            let all_ended = recorder.ends();
            let ended = async { drop(tokio::time::timeout(PATIENCE, all_ended.wait(2)).await) };
            recorded.push(recorder.run(ended, None, &no_progress()).await.unwrap());
        }
        Outcome { name: self.name, published, recorded }
    }
}

impl Outcome {
    /// Every frame from the first to the last is in every recording, and no packet is missing.
    pub fn assert_whole(&self) {
        for report in &self.recorded {
            for source in sources() {
                let stream = report.streams.iter().find(|one| one.kind == source.kind).unwrap();
                let packets = &stream.packets;
                let who = format!("{} of {}: {packets:?}", report.participant, self.name);
                assert_eq!(report.streams.len(), 2, "{who}");
                assert_eq!(stream.packets.lost, 0, "{who}");
                assert_eq!(unbroken(&source, &stream.digests), stream.digests.len(), "{who}");
                let due = self.frames_due(&source, Duration::ZERO);
                assert!(stream.digests.len() >= due, "{due} frames were due: {who}");
            }
        }
    }

    /// So many frames from the first one on are in every recording without a gap: all that were due until `before` the
    /// end.
    pub fn assert_whole_until(&self, before: Duration) {
        for report in &self.recorded {
            for source in sources() {
                let stream = report.streams.iter().find(|one| one.kind == source.kind).unwrap();
                let (whole, due) =
                    (unbroken(&source, &stream.digests), self.frames_due(&source, before));
                assert!(whole >= due, "{} of {}: {whole} of {due}", report.participant, self.name);
            }
        }
    }

    /// How many frames of a source had been sent `before` the publisher stopped, but for the last few.
    fn frames_due(&self, source: &Source, before: Duration) -> usize {
        const LAST_FEW: Duration = Duration::from_millis(500);
        let lasted = Duration::from_millis(self.published.duration_ms);
        let lasted = lasted.saturating_sub(before + LAST_FEW);
        let clip = &source.layers[0];
        let ticks = lasted.as_millis() * u128::from(clock_hz(clip.codec)) / 1_000;
        let ticks = u64::try_from(ticks).unwrap();
        let (rounds, rest) = (ticks / clip.duration_ticks, ticks % clip.duration_ticks);
        let of_rest = clip.frames.iter().filter(|frame| frame.timestamp < rest).count();
        usize::try_from(rounds).unwrap() * clip.frames.len() + of_rest
    }
}

/// How many frames, from the first, are those of the source, played again and again.
fn unbroken(source: &Source, recorded: &[Digest]) -> usize {
    let once: Vec<Digest> = source.layers[0].frames.iter().map(Frame::digest).collect();
    once.iter().cycle().zip(recorded).take_while(|(sent, came)| sent == came).count()
}
