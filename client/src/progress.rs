//! How far long work has come.

use std::sync::Arc;
use std::time::Duration;

/// A state of long work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Since media started.
    pub elapsed: Duration,
    /// How long it will take, if that is known.
    pub total: Option<Duration>,
    /// Streams in work.
    pub streams: usize,
    /// Frames sent or received, all streams together.
    pub frames: u64,
}

/// Hears of progress a few times a second. Must not block.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// How often progress is told.
pub(crate) const INTERVAL: Duration = Duration::from_millis(200);

/// For those who do not care.
pub fn no_progress() -> ProgressSink {
    Arc::new(|_| {})
}
