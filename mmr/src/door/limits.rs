//! Every limit of the doors, with its reason.

use crate::exchange::STREAM_INBOX_MAX;
use router::limits::CONSENT_TIMEOUT;
use std::time::Duration;
use wire::Kind;
use wire::limits::PACKET_LEN_MAX;

/// What a host or a test may choose; the rest of this file is fixed.
#[derive(Clone, Copy, Debug)]
pub struct DoorLimits {
    /// Connections at once, TCP and TLS together. Each costs a file descriptor and about 8 KiB of
    /// memory.
    pub connections: usize,
    /// Connections that have proved nothing yet: before their first answered STUN check, or before
    /// their ClientHello went to control.
    pub half_open: usize,
    /// The same, per source: an IPv4 address or an IPv6 /64 (what one subscriber line has, RFC
    /// 6177). Large enough for an office behind one address joining at once, small enough that one
    /// host can't take all of `half_open`.
    pub half_open_per_source: usize,
    /// From accept to the end of the TLS handshake. A client gives its TLS step 5 s before it gives
    /// up.
    pub handshake: Duration,
    /// From there (TCP: from accept) to the first answered STUN check.
    pub first_message: Duration,
    /// An authenticated connection nothing is heard from for this long is closed. Consent is lost
    /// after `CONSENT_TIMEOUT`; the slack leaves that decision to the router.
    pub silence: Duration,
    /// What a queue holds of audio at most. Over 200 ms behind, speech is better cut than played
    /// late: a jitter buffer would have given up on it (ITU-T G.114 asks for 150 ms mouth to ear,
    /// 400 ms at most).
    pub audio_age: Duration,
    /// What a queue holds of video and content at most: a little over the round trip a keyframe
    /// request takes.
    pub video_age: Duration,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            half_open: 1_024,
            half_open_per_source: 128,
            handshake: Duration::from_secs(5),
            first_message: Duration::from_secs(5),
            silence: CONSENT_TIMEOUT.saturating_add(Duration::from_secs(5)),
            audio_age: Duration::from_millis(200),
            video_age: Duration::from_millis(300),
        }
    }
}

impl DoorLimits {
    /// How old a media packet of this kind may get in a queue.
    pub fn age(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Audio => self.audio_age,
            Kind::Video | Kind::Content => self.video_age,
        }
    }
}

/// Bytes one read takes: several packets at once, and little enough that thousands of idle
/// connections can each have one waiting in the kernel.
pub(super) const READ_LEN: usize = 8 * 1024;
/// Bytes one write takes, whole frames. What is handed to the kernel can't be taken back when it
/// gets old, so this is small: two or three video packets, or 200 ms of several speakers.
pub(super) const WRITE_LEN: usize = 4 * 1024;
/// Bytes the kernel may hold of a connection beyond what the network has in flight
/// (TCP_NOTSENT_LOWAT): a slow reader makes the queue here long, where old media is dropped, and
/// not the kernel's. The send buffer itself is left to autotuning, so that a long round trip still
/// carries video.
pub(super) const UNSENT_LEN: u32 = 16 * 1024;
/// STUN and RTCP frames one connection has waiting; they are not dropped for age.
pub(super) const CONTROL_FRAMES_MAX: usize = 64;
/// Media bytes one connection has waiting, whatever their age: 300 ms at 27 Mbit/s.
pub(super) const QUEUE_LEN_MAX: usize = 1024 * 1024;
/// Media bytes all connections have waiting together.
pub(super) const QUEUES_LEN_MAX: usize = 512 * 1024 * 1024;
/// Bytes read of a connection before its ClientHello is complete. Real ones, post-quantum key
/// shares and encrypted hello included, stay below 4 KiB.
pub(super) const HELLO_LEN_MAX: usize = 16 * 1024;
/// STUN checks passed to a worker before it answered one. A client sends one every 200 ms or slower
/// until it is answered.
pub(super) const CHECKS_MAX: usize = 64;
/// The shortest packet there is, in bytes: an RTP header (RFC 3550 §5.1). Shorter frames go to no
/// worker.
pub(super) const PACKET_LEN_MIN: usize = 12;
/// Bytes one read can bring to an end: those it took, and those of a TLS record (RFC 8446 §5.2) it
/// completes.
const COMPLETED_LEN_MAX: usize = READ_LEN + 5 + 16 * 1024 + 256;
/// Packets one read can bring: as many of the shortest as there are bytes for, and the one begun
/// before.
pub(super) const FRAMES_PER_READ_MAX: usize = COMPLETED_LEN_MAX / (PACKET_LEN_MIN + 2) + 1;
/// Pause before a worker without room for these is looked at again: the timer's resolution. It
/// routes thousands of packets meanwhile.
pub(super) const ROOM_PAUSE: Duration = Duration::from_millis(1);
/// A worker that finished no turn for so long is not waited for. Idle ones finish four a second.
pub(super) const WORKER_STUCK: Duration = Duration::from_secs(2);
/// Connections the kernel holds ready to be accepted, per listener.
pub(super) const BACKLOG: i32 = 1_024;
/// Packets taken from the workers between two looks at everything else.
pub(super) const DISPATCH_MAX: usize = 256;
/// How long a connection has to take a goodbye (TLS close_notify) before it is cut.
pub(super) const GOODBYE: Duration = Duration::from_millis(500);
/// Pause after accept failed for want of descriptors or memory: both come back only when something
/// closes.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Least time between two warnings of that.
pub(super) const WARN_INTERVAL: Duration = Duration::from_secs(60);
/// Pause before a `Closed` that found its worker's inbox full is offered again.
pub(super) const CLOSED_PAUSE: Duration = Duration::from_millis(5);
/// Entries of the submission ring.
pub(super) const RING_ENTRIES: u32 = 1_024;
/// Entries of the completion ring: most connections at once have one read in flight.
pub(super) const RING_COMPLETIONS: u32 = 16_384;

const _: () = assert!(WRITE_LEN >= PACKET_LEN_MAX + 2, "a batch holds any frame");
const _: () = assert!(QUEUE_LEN_MAX >= WRITE_LEN);
const _: () = assert!(STREAM_INBOX_MAX >= 2 * FRAMES_PER_READ_MAX, "a read seldom waits for room");
const _: () = assert!(QUEUES_LEN_MAX >= 100 * QUEUE_LEN_MAX, "one queue is a small part of all");
const _: () = assert!(RING_COMPLETIONS >= 2 * RING_ENTRIES);
