//! What is played: three clips, part of the program so that there is nothing to find or to configure.

use client::{Clip, Source};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use wire::Kind;

/// One clip per kind, made by tests/media/make.
const CLIPS: [(Kind, &str, &[u8]); 3] = [
    (Kind::Audio, "clip.ogg", include_bytes!("../../../tests/media/clip.ogg")),
    (Kind::Video, "clip.ivf", include_bytes!("../../../tests/media/clip.ivf")),
    (Kind::Content, "slides.ivf", include_bytes!("../../../tests/media/slides.ivf")),
];

/// The clips, read.
pub(super) struct Clips([(Kind, Arc<Clip>); 3]);

impl Clips {
    /// The client reads files, so files they become for a moment.
    pub(super) fn embedded() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let open = |(kind, name, bytes): (Kind, &str, &[u8])| -> Result<_, Box<dyn Error>> {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes)?;
            Ok((kind, Arc::new(Clip::open(&path)?)))
        };
        let [audio, video, content] = CLIPS;
        Ok(Self([open(audio)?, open(video)?, open(content)?]))
    }

    pub(super) fn sources(&self) -> Vec<Source> {
        self.0
            .iter()
            .map(|(kind, clip)| Source { kind: *kind, layers: vec![clip.clone()] })
            .collect()
    }

    pub(super) fn of(&self, kind: Kind) -> &Clip {
        let (_, clip) = &self.0[kind.index()];
        clip
    }

    /// Of the longest.
    pub(super) fn duration(&self) -> Duration {
        self.0.iter().map(|(_, clip)| clip.duration()).max().unwrap_or_default()
    }
}
