//! Real RTP tools on both sides of a meeting: ffmpeg sends, ffmpeg records, ffprobe counts.

use crate::command::{command, file, interrupt, output};
use crate::stage::Stage;
use std::net::UdpSocket;
use std::process::Stdio;
use tokio::process::Command;

/// A port with a free one above it: RTP and RTCP.
fn free_pair() -> u16 {
    loop {
        let rtp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = rtp.local_addr().unwrap().port();
        // Streams go to every other port from the first on; RTCP lies between.
        let free = |port: u16| UdpSocket::bind(("127.0.0.1", port)).is_ok();
        if port.is_multiple_of(2)
            && port < 65_530
            && free(port + 1)
            && free(port + 2)
            && free(port + 3)
        {
            return port;
        }
    }
}

fn ffmpeg(arguments: &str) -> Command {
    let mut line = Command::new("ffmpeg");
    line.args(["-hide_banner", "-loglevel", "error", "-y"]).args(arguments.split(' '));
    line.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_is_heard_and_seen_by_another_ffmpeg_through_two_bridges() {
    let stage = Stage::start();
    let folder = tempfile::tempdir().unwrap();
    let (sdp, recording) = (folder.path().join("out.sdp"), folder.path().join("out.mkv"));
    let (video_in, audio_in, out) = (free_pair(), free_pair(), free_pair());

    let mut line = command(&stage, "in", "bridge");
    line.args(["--rtp-in", &format!("video=127.0.0.1:{video_in}")]);
    let inward = line.args(["--rtp-in", &format!("audio=127.0.0.1:{audio_in}")]).spawn().unwrap();
    let mut line = command(&stage, "out", "bridge");
    line.args(["--rtp-out", &format!("127.0.0.1:{out}"), "--sdp"]);
    let outward = line.arg(&sdp).spawn().unwrap();
    let _camera = ffmpeg(&format!(
        "-re -f lavfi -i testsrc2=s=320x240:r=15 -c:v libvpx -deadline realtime -g 15 -b:v 300k \
         -f rtp rtp://127.0.0.1:{video_in}"
    ))
    .spawn()
    .unwrap();
    let _voice = ffmpeg(&format!(
        "-re -f lavfi -i sine=frequency=440:sample_rate=48000 -c:a libopus -b:a 32k \
         -f rtp rtp://127.0.0.1:{audio_in}"
    ))
    .spawn()
    .unwrap();

    file(&sdp).await;
    while std::fs::read_to_string(&sdp).unwrap().matches("m=").count() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let player = ffmpeg(&format!(
        "-protocol_whitelist file,udp,rtp -i {} -t 4 -c copy {}",
        sdp.display(),
        recording.display()
    ));
    let played = output({ player }.spawn().unwrap()).await;
    assert!(played.status.success(), "{}", String::from_utf8_lossy(&played.stderr));

    for (selector, at_least) in [("v", 30), ("a", 100)] {
        let frames = count_frames(&recording, selector).await;
        assert!(frames >= at_least, "{frames} frames of {selector}");
    }
    for bridge in [inward, outward] {
        interrupt(&bridge);
        let ended = output(bridge).await;
        assert!(ended.status.success(), "{ended:?}");
    }
}

/// Frames that decode.
async fn count_frames(recording: &std::path::Path, selector: &str) -> u64 {
    let mut line = Command::new("ffprobe");
    line.args(["-v", "error", "-count_frames", "-select_streams", selector]);
    line.args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]).arg(recording);
    let probed = line.output().await.unwrap();
    let text = String::from_utf8_lossy(&probed.stdout).trim().to_owned();
    text.trim_end_matches(',').parse().unwrap_or_else(|_| panic!("{text:?} {probed:?}"))
}
