//! Joins plain-RTP tools (ffmpeg, GStreamer, VLC) to a meeting, in both directions.
//!
//! ```text
//!  ffmpeg ──plain RTP──▶ input ──frames──▶ link ═══ MMR ═══ link ──packets──▶ output ──plain RTP──▶ ffmpeg
//! ```
//!
//! What comes in is put together into frames and cut anew, so that its packets fit, carry the label the MMR gave and
//! tell keyframes; what goes out is passed on packet by packet. Keyframes cannot be asked of a tool that sends:
//! give it a short keyframe interval.

mod input;
mod output;
mod sdp;

pub use input::InputReport;
pub use output::OutputReport;

use crate::progress::{INTERVAL, Progress, ProgressSink};
use crate::session::{Events, Session};
use crate::{ClientError, JoinOptions, Link};
use input::Input;
use output::Output;
use serde::Serialize;
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};
use wire::Kind;
use wire::control::{Codec, ErrorCode};

/// Where a tool sends RTP to, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpInput {
    /// Published as this kind.
    pub kind: Kind,
    /// What is in the packets.
    pub codec: Codec,
    /// Bound here.
    pub address: SocketAddr,
}

impl FromStr for RtpInput {
    type Err = String;

    /// `KIND=IP:PORT`, or `KIND/CODEC=IP:PORT`; audio is Opus, anything else VP8 if not said otherwise.
    fn from_str(text: &str) -> Result<Self, String> {
        let (what, address) = text.split_once('=').ok_or("write KIND=IP:PORT")?;
        let (kind, codec) = what.split_once('/').unwrap_or((what, ""));
        let kind = Kind::ALL.into_iter().find(|one| one.name() == kind);
        let kind = kind.ok_or("KIND is audio, video or content")?;
        let codec = match (codec, kind) {
            ("opus", Kind::Audio) | ("", Kind::Audio) => Codec::Opus,
            ("vp8" | "", Kind::Video | Kind::Content) => Codec::Vp8,
            ("av1", Kind::Video | Kind::Content) => Codec::Av1,
            _ => return Err("audio carries opus, video and content carry vp8 or av1".into()),
        };
        let address = address.parse().map_err(|_| "the address is IP:PORT, as 127.0.0.1:5004")?;
        Ok(Self { kind, codec, address })
    }
}

/// Where the meeting's streams go as RTP.
#[derive(Clone, Debug)]
pub struct RtpOutput {
    /// The first stream's address; each further one's port is two higher. RTCP goes to the port above each.
    pub address: SocketAddr,
    /// Describes the streams for a player; written anew whenever they change.
    pub sdp: PathBuf,
}

/// What to bridge, and where.
#[derive(Clone, Debug)]
pub struct BridgeOptions {
    /// Where and as whom.
    pub join: JoinOptions,
    /// Into the meeting; at most one per kind.
    pub inputs: Vec<RtpInput>,
    /// Out of the meeting.
    pub output: Option<RtpOutput>,
}

/// How bridging went.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BridgeReport {
    /// Who bridged.
    pub participant: String,
    /// Into the meeting.
    pub inputs: Vec<InputReport>,
    /// Out of the meeting.
    pub outputs: Vec<OutputReport>,
}

/// A participant between a meeting and RTP tools.
pub struct Bridge {
    session: Session,
    inputs: Vec<Input>,
    output: JoinHandle<Result<Vec<OutputReport>, ClientError>>,
    stop_output: oneshot::Sender<()>,
    frames: Arc<AtomicU64>,
}

impl Bridge {
    /// Binds the inputs' ports, joins, publishes, subscribes.
    ///
    /// # Errors
    /// Busy ports; everything between name lookup and a refused stream.
    pub async fn join(options: BridgeOptions) -> Result<Self, ClientError> {
        let BridgeOptions { join, inputs, output } = options;
        let frames = Arc::new(AtomicU64::new(0));
        let mut bound = Vec::new();
        for input in inputs {
            bound.push((input, input::bind(input.address).await?));
        }
        let (session, events) = Session::join(join).await?;
        let links = connect(&session, bound.iter().map(|(input, _)| input.kind), &output).await?;
        let mut running = Vec::new();
        for (input, socket) in bound {
            let link = links.get(&input.kind).cloned();
            let link = link.ok_or(ClientError::LinkClosed(input.kind))?;
            running.push(Input::start(&session, link, input, socket, Arc::clone(&frames)).await?);
        }
        let (stop_output, stopped) = oneshot::channel();
        let output = start_output(output, &session, links, events, stopped, &frames);
        Ok(Self { session, inputs: running, output, stop_output, frames })
    }

    /// Its control channel.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Bridges until `stop`, then leaves.
    ///
    /// # Errors
    /// When the session is lost for good or the SDP file cannot be written.
    pub async fn run(
        mut self,
        stop: impl Future<Output = ()>,
        total: Option<Duration>,
        progress: &ProgressSink,
    ) -> Result<BridgeReport, ClientError> {
        let started = Instant::now();
        let mut tick = interval(INTERVAL);
        let mut stop = pin!(stop);
        let ended = loop {
            tokio::select! {
                () = &mut stop => break None,
                _ = tick.tick() => progress(Progress {
                    elapsed: started.elapsed(),
                    total,
                    streams: self.inputs.len(),
                    frames: self.frames.load(Ordering::Relaxed),
                }),
                ended = &mut self.output => break Some(ended),
            }
        };
        // An output that has ended already does not listen any more.
        let _ = self.stop_output.send(());
        let ended = match ended {
            Some(ended) => ended,
            None => self.output.await,
        };
        let outputs = ended.map_err(|_| ClientError::Protocol("the bridge's task failed"))??;
        let mut inputs = Vec::new();
        for input in self.inputs {
            inputs.push(input.finish(&self.session).await?);
        }
        let participant = self.session.welcome().participant.clone();
        self.session.leave().await;
        Ok(BridgeReport { participant, inputs, outputs })
    }
}

/// One link per kind: those of the inputs must be had, those of the output may be forbidden.
async fn connect(
    session: &Session,
    needed: impl Iterator<Item = Kind>,
    output: &Option<RtpOutput>,
) -> Result<HashMap<Kind, Link>, ClientError> {
    let needed: Vec<Kind> = needed.collect();
    let wanted: Vec<Kind> =
        Kind::ALL.into_iter().filter(|kind| output.is_some() || needed.contains(kind)).collect();
    let mut links = HashMap::new();
    for (kind, link) in session.connect_all(&wanted).await {
        match link {
            Ok(link) => {
                links.insert(kind, link);
            }
            Err(ClientError::Refused { code: ErrorCode::NotAllowed, .. })
                if !needed.contains(&kind) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(links)
}

fn start_output(
    output: Option<RtpOutput>,
    session: &Session,
    links: HashMap<Kind, Link>,
    events: Events,
    stopped: oneshot::Receiver<()>,
    frames: &Arc<AtomicU64>,
) -> JoinHandle<Result<Vec<OutputReport>, ClientError>> {
    let packets = Arc::clone(frames);
    tokio::spawn(Output::new(session.clone(), links, output, packets).run(events, stopped))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panic
    use super::*;

    #[test]
    fn inputs_are_written_with_kind_and_codec() {
        let address = "127.0.0.1:5004".parse().unwrap();
        for (text, kind, codec) in [
            ("video=127.0.0.1:5004", Kind::Video, Codec::Vp8),
            ("video/av1=127.0.0.1:5004", Kind::Video, Codec::Av1),
            ("audio=127.0.0.1:5004", Kind::Audio, Codec::Opus),
            ("content/vp8=127.0.0.1:5004", Kind::Content, Codec::Vp8),
        ] {
            assert_eq!(text.parse(), Ok(RtpInput { kind, codec, address }), "{text}");
        }
        for text in ["video", "speech=127.0.0.1:1", "audio/vp8=127.0.0.1:1", "video=localhost"] {
            assert!(text.parse::<RtpInput>().is_err(), "{text}");
        }
    }
}
