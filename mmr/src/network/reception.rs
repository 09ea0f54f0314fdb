//! From what the kernel says about a datagram to [`Heard`]: the same for every backend with real
//! sockets.

use super::inbox::Heard;
use super::{address, cmsg};
use router::{DropReason, Path};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A datagram as recvmsg tells it.
pub(super) struct Raw<'a> {
    pub(super) socket: u8,
    pub(super) name: &'a [u8],
    pub(super) control: &'a [u8],
    /// MSG_TRUNC, MSG_CTRUNC.
    pub(super) flags: i32,
    /// Where in the slot the payload begins.
    pub(super) offset: usize,
    pub(super) len: usize,
}

/// What is kept between datagrams.
pub(super) struct Reception {
    /// By socket: its SO_RXQ_OVFL count when it last told.
    lost: Box<[u32]>,
    pub(super) kernel_drops: u64,
    now: Instant,
    /// The wall clock at `now`, once a time stamp made it needed.
    wall: Option<Duration>,
}

impl Reception {
    pub(super) fn new(sockets: usize) -> Self {
        let lost = vec![0; sockets].into_boxed_slice();
        Self { lost, kernel_drops: 0, now: Instant::now(), wall: None }
    }

    /// Before the datagrams of a turn.
    pub(super) fn begin(&mut self, now: Instant) {
        self.now = now;
        self.wall = None;
    }

    /// Reads one datagram's description.
    pub(super) fn hear(&mut self, raw: &Raw<'_>) -> Result<Heard, DropReason> {
        let told = cmsg::read(raw.control);
        if let Some(lost) = told.lost {
            let before = std::mem::replace(&mut self.lost[usize::from(raw.socket)], lost);
            self.kernel_drops += u64::from(lost.wrapping_sub(before));
        }
        // Without its control messages a train would pass for one large packet.
        if raw.flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
            return Err(DropReason::Truncated);
        }
        let remote = address::parse(raw.name).ok_or(DropReason::Malformed)?;
        let number = |value: usize| u32::try_from(value).map_err(|_| DropReason::Oversized);
        Ok(Heard {
            path: Path::Udp { socket: raw.socket, remote },
            offset: number(raw.offset)?,
            len: number(raw.len)?,
            segment: told.segment.unwrap_or(0),
            mark: told.mark.unwrap_or(0),
            at: told.stamp.map_or(self.now, |stamp| self.instant(stamp)),
        })
    }

    /// A wall-clock stamp on our clock; never in the future.
    fn instant(&mut self, stamp: Duration) -> Instant {
        let wall = *self.wall.get_or_insert_with(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
        });
        self.now.checked_sub(wall.saturating_sub(stamp)).unwrap_or(self.now)
    }
}
