//! Media files: Ogg Opus and IVF (VP8, AV1), read whole and written as frames come.
//!
//! Frames are carried as they are, never decoded: what a file's packets hold is what arrives elsewhere.

pub mod bits;
pub mod ivf;
pub mod ogg;
pub mod opus;
mod video;

pub use video::{Dimensions, dimensions, is_av1_keyframe, is_vp8_keyframe};

use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::control::Codec;

/// One encoded frame (video) or packet (audio).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// In ticks of the codec's clock ([`clock_hz`]). Starts at 0 in a file, anywhere on the wire; never wraps.
    pub timestamp: u64,
    /// Whether it can be decoded alone. Every audio packet can.
    pub keyframe: bool,
    /// As it stands in the file.
    pub data: Bytes,
}

/// SHA-256 of a frame's bytes: enough to say that two frames are the same.
pub type Digest = [u8; 32];

impl Frame {
    /// Of its bytes alone, not of its time.
    pub fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.data);
        digest.copy_from_slice(hash.as_ref());
        digest
    }
}

/// The RTP clock of a codec, in Hz (RFC 7587 §4.1, RFC 7741 §4.1, AV1 RTP §4.1).
pub const fn clock_hz(codec: Codec) -> u32 {
    match codec {
        Codec::Opus => 48_000,
        Codec::Vp8 | Codec::Av1 => 90_000,
    }
}

/// A media file, in memory.
#[derive(Clone, Debug)]
pub struct Clip {
    /// What its frames are encoded with.
    pub codec: Codec,
    /// In the order of the file; timestamps never fall.
    pub frames: Vec<Frame>,
    /// From the first frame's start to the last frame's end, in ticks of the codec's clock.
    pub duration_ticks: u64,
}

impl Clip {
    /// Reads an Ogg Opus or IVF file; which one it is decides its first bytes, not its name.
    pub fn open(path: &Path) -> Result<Self, MediaError> {
        let error = |cause| MediaError::File { path: path.to_owned(), cause };
        let bytes = std::fs::read(path).map_err(|cause| error(Cause::Io(cause)))?;
        Self::parse(&bytes).map_err(error)
    }

    fn parse(bytes: &[u8]) -> Result<Self, Cause> {
        match bytes.get(..4) {
            Some(b"OggS") => ogg::read(bytes),
            Some(b"DKIF") => ivf::read(bytes),
            _ => Err(Cause::Unknown),
        }
    }

    /// How long it plays.
    pub fn duration(&self) -> Duration {
        ticks_to_duration(self.duration_ticks, clock_hz(self.codec))
    }

    /// Bits per second the whole file has on average.
    pub fn bitrate_mean(&self) -> u64 {
        let bits = self.frames.iter().map(|frame| frame.data.len() as u64 * 8).sum::<u64>();
        bits * u64::from(clock_hz(self.codec)) / self.duration_ticks.max(1)
    }
}

/// Ticks of a clock as time.
pub fn ticks_to_duration(ticks: u64, clock_hz: u32) -> Duration {
    let clock = u64::from(clock_hz);
    Duration::from_secs(ticks / clock) + Duration::from_nanos(ticks % clock * 1_000_000_000 / clock)
}

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// Which, and why.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: Cause,
    },
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The system says so.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Neither of the two containers.
    #[error(
        "neither Ogg nor IVF; make one with: ffmpeg -i INPUT -c:a libopus -vn clip.ogg, or -c:v libvpx -an clip.ivf"
    )]
    Unknown,
    /// A container whose structure is broken, and where.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// Another codec than this client carries.
    #[error("codec {0} is not carried; use VP8 or AV1 in IVF, Opus in Ogg")]
    Codec(String),
    /// Nothing to send.
    #[error("holds no frame")]
    Empty,
}

#[cfg(test)]
mod tests;
