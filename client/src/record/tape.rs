//! What is kept of one stream's layer: digests and a file, of frames from one MMR after the other.

use super::sink::FileSink;
use super::splice::{Source, Splice};
use crate::ClientError;
use crate::media::{Digest, Frame, clock_hz};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::control::Codec;

pub(super) struct Tape {
    splice: Splice,
    sink: Option<FileSink>,
    /// Of all tapes.
    total: Arc<AtomicU64>,
    taken: Taken,
    error: Option<ClientError>,
}

/// What is on a tape.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) frames: u64,
    pub(super) digests: Vec<Digest>,
    pub(super) file: Option<PathBuf>,
}

impl Tape {
    pub(super) fn new(
        codec: Codec,
        path: Option<PathBuf>,
        source: Source,
        total: Arc<AtomicU64>,
    ) -> Self {
        let sink = path.map(|path| FileSink::new(codec, path));
        let splice = Splice::new(clock_hz(codec), source);
        Self { splice, sink, total, taken: Taken::default(), error: None }
    }

    /// The same stream comes from there, too, and soon from there alone.
    pub(super) fn expect(&mut self, source: Source) {
        self.splice.expect(source);
    }

    pub(super) fn receive(&mut self, source: Source, frame: Frame) {
        let out = self.splice.receive(source, frame);
        self.write(out);
    }

    /// Nothing more comes of this source.
    pub(super) fn end(&mut self, source: Source) {
        let out = self.splice.end(source);
        self.write(out);
    }

    pub(super) fn is_past(&self, source: Source) -> bool {
        self.splice.is_past(source)
    }

    pub(super) fn is_holding(&self) -> bool {
        self.splice.is_holding()
    }

    /// Finishes the file, also after an error.
    pub(super) fn finish(&mut self) -> Result<Taken, ClientError> {
        let file = self.sink.take().map(FileSink::finish).transpose();
        let mut taken = std::mem::take(&mut self.taken);
        match self.error.take() {
            Some(error) => return Err(error),
            None => taken.file = file?.flatten(),
        }
        Ok(taken)
    }

    fn write(&mut self, frames: Vec<Frame>) {
        for frame in frames {
            self.taken.frames += 1;
            self.taken.digests.push(frame.digest());
            self.total.fetch_add(1, Ordering::Relaxed);
            if let Some(sink) = &mut self.sink
                && let Err(error) = sink.write(frame)
            {
                self.error.get_or_insert(error);
            }
        }
    }
}
