//! Sends one layer's frames when their time has come.

use crate::media::{Clip, Frame, clock_hz, ticks_to_duration};
use crate::{ClientError, Link};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use wire::Ssrc;

/// When media began, and when it ends: the same for all layers and at every MMR.
#[derive(Clone)]
pub(super) struct Timetable {
    pub(super) started: Instant,
    pub(super) end: Option<Duration>,
    pub(super) repeat: bool,
    /// Sent so far, to every MMR.
    pub(super) frames: Arc<AtomicU64>,
}

/// One layer at one MMR.
pub(super) struct Pacer {
    pub(super) link: Link,
    pub(super) ssrc: Ssrc,
    pub(super) clip: Arc<Clip>,
    pub(super) timetable: Timetable,
    /// Frames due before are not sent here.
    pub(super) from: Duration,
}

impl Pacer {
    pub(super) async fn run(self) -> Result<(), ClientError> {
        let Self { link, ssrc, clip, timetable, from } = self;
        let Timetable { started, end, repeat, frames } = timetable;
        let clock = clock_hz(clip.codec);
        for round in 0.. {
            for frame in &clip.frames {
                let timestamp = round * clip.duration_ticks + frame.timestamp;
                let due = ticks_to_duration(timestamp, clock);
                if end.is_some_and(|end| due >= end) {
                    return Ok(());
                }
                if due < from {
                    continue;
                }
                sleep_until(started + due).await;
                link.send(ssrc, Frame { timestamp, ..frame.clone() }).await?;
                frames.fetch_add(1, Ordering::Relaxed);
            }
            if !repeat {
                // Until the last frame has been shown, so that clips of one length end together.
                sleep_until(started + clip.duration()).await;
                return Ok(());
            }
        }
        Ok(())
    }
}
