//! One layer's file. Video waits for its first keyframe: nothing before it can be decoded.

use crate::ClientError;
use crate::media::{Frame, dimensions, ivf, ogg};
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use wire::control::Codec;

/// The file appears with its first frame, so that a stream that never sends leaves none.
pub(super) struct FileSink {
    codec: Codec,
    path: PathBuf,
    writer: Option<Writer>,
}

enum Writer {
    Ogg(ogg::Writer<BufWriter<File>>),
    Ivf(ivf::Writer<BufWriter<File>>),
}

impl FileSink {
    pub(super) fn new(codec: Codec, path: PathBuf) -> Self {
        Self { codec, path, writer: None }
    }

    pub(super) fn write(&mut self, frame: Frame) -> Result<(), ClientError> {
        let written = self.try_write(frame);
        written.map_err(|cause| ClientError::Write { path: self.path.clone(), cause })
    }

    fn try_write(&mut self, frame: Frame) -> io::Result<()> {
        if self.writer.is_none() {
            if !frame.keyframe {
                return Ok(());
            }
            self.writer = Some(self.open(&frame)?);
        }
        match &mut self.writer {
            Some(Writer::Ogg(writer)) => writer.write(frame),
            Some(Writer::Ivf(writer)) => writer.write(&frame),
            None => Ok(()),
        }
    }

    fn open(&self, first: &Frame) -> io::Result<Writer> {
        let file = BufWriter::new(File::create(&self.path)?);
        Ok(match self.codec {
            Codec::Opus => Writer::Ogg(ogg::Writer::new(file, rand::random())),
            codec => {
                let dimensions = dimensions(codec, &first.data).unwrap_or_default();
                Writer::Ivf(ivf::Writer::new(file, codec, dimensions)?)
            }
        })
    }

    /// The file, if there is one.
    pub(super) fn finish(self) -> Result<Option<PathBuf>, ClientError> {
        let finished = match self.writer {
            None => return Ok(None),
            Some(Writer::Ogg(writer)) => writer.finish().map(|_| ()),
            Some(Writer::Ivf(writer)) => writer.finish().map(|_| ()),
        };
        finished.map_err(|cause| ClientError::Write { path: self.path.clone(), cause })?;
        Ok(Some(self.path))
    }
}
