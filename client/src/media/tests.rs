#![allow(clippy::unwrap_used)] // a test may fail by panic

use super::*;
use crate::payload::{Depacketizer, Packetizer, Piece};
use std::io::Cursor;

fn clip(name: &str) -> Clip {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/media");
    Clip::open(&folder.join(name)).unwrap()
}

/// Over RTP payloads and back into a file of the same kind: what a recording of it would hold.
fn rewrite(clip: &Clip) -> Clip {
    let mut packetizer = Packetizer::new(clip.codec);
    let mut depacketizer = Depacketizer::new(clip.codec);
    let mut index = 0;
    let mut frames = Vec::new();
    for frame in &clip.frames {
        for payload in packetizer.cut(frame, 1_156).unwrap() {
            index += 1;
            let (timestamp, marker, payload) = (frame.timestamp, payload.marker, &payload.bytes);
            let piece = Piece { index, timestamp, marker, start: None, payload };
            frames.extend(depacketizer.receive(piece));
        }
    }
    match clip.codec {
        Codec::Opus => {
            let mut writer = ogg::Writer::new(Vec::new(), 1);
            frames.into_iter().for_each(|frame| writer.write(frame).unwrap());
            Clip::parse(&writer.finish().unwrap()).unwrap()
        }
        codec => {
            let dimensions = dimensions(codec, &frames[0].data).unwrap();
            assert_eq!((dimensions.width % 2, dimensions.height % 2), (0, 0));
            let mut writer = ivf::Writer::new(Cursor::new(Vec::new()), codec, dimensions).unwrap();
            frames.iter().for_each(|frame| writer.write(frame).unwrap());
            Clip::parse(writer.finish().unwrap().get_ref()).unwrap()
        }
    }
}

#[test]
fn real_clips_survive_the_wire_frame_by_frame() {
    for name in ["clip.ogg", "clip.ivf", "clip-low.ivf", "clip-av1.ivf", "slides.ivf"] {
        let clip = clip(name);
        assert!(clip.frames.len() > 4, "{name}");
        assert!(clip.frames[0].keyframe, "{name}");
        assert_eq!(rewrite(&clip).frames, clip.frames, "{name}");
    }
}

#[test]
fn a_file_that_is_no_media_says_what_would_be() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let message = Clip::open(&file).unwrap_err().to_string();
    assert!(message.contains("Cargo.toml: neither Ogg nor IVF"), "{message}");
}
