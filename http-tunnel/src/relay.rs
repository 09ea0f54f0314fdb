//! Carries bytes between a client and its target, both ways, until one of them, a limit, or time ends
//! it.
//!
//! What was read is written before more is read: who reads slowly slows the other end down, and a
//! tunnel holds no more than one buffer for each direction.

use crate::accounts::Seat;
use crate::limits::BUFFER_LEN;
use prometheus_client::metrics::counter::Counter;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until};

/// Deadlines of a tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Nothing moved for so long.
    pub idle: Duration,
    /// One end closed its direction so long ago.
    pub half_open: Duration,
}

/// Why a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both ends closed it.
    Closed,
    /// One end broke it off.
    Broken,
    /// Nothing moved for too long.
    Idle,
    /// One end had closed it, and the other went on for too long.
    HalfOpen,
    /// The participant's bytes are used up.
    Spent,
}

impl End {
    /// For metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Idle => "idle",
            Self::HalfOpen => "half_open",
            Self::Spent => "spent",
        }
    }
}

/// Bytes that were carried, by direction.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// From clients to zones.
    pub to_zone: Counter,
    /// From zones to clients.
    pub to_client: Counter,
}

/// Carries until it ends.
pub async fn relay(
    client: impl AsyncRead + AsyncWrite,
    target: impl AsyncRead + AsyncWrite,
    seat: &Seat,
    started: Instant,
    deadlines: Deadlines,
    carried: &Carried,
) -> End {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_target, to_target) = tokio::io::split(target);
    let moved = Moved { started, at_ms: AtomicU64::new(0) };
    moved.now();
    let up = pump(from_client, to_target, seat, &moved, &carried.to_zone);
    let down = pump(from_target, to_client, seat, &moved, &carried.to_client);
    tokio::pin!(up, down);
    let first = tokio::select! {
        end = &mut up => end.map(|()| true),
        end = &mut down => end.map(|()| false),
        () = moved.idle(deadlines.idle) => return End::Idle,
    };
    let up_ended = match first {
        Ok(up_ended) => up_ended,
        Err(end) => return end,
    };
    let rest = async { if up_ended { down.await } else { up.await } };
    tokio::select! {
        end = rest => end.map_or_else(|end| end, |()| End::Closed),
        () = moved.idle(deadlines.idle) => End::Idle,
        () = sleep(deadlines.half_open) => End::HalfOpen,
    }
}

/// One direction, until its end was passed on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    seat: &Seat,
    moved: &Moved,
    carried: &Counter,
) -> Result<(), End> {
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        let len = from.read(&mut buffer).await.map_err(broken)?;
        moved.now();
        if len == 0 {
            return to.shutdown().await.map_err(broken);
        }
        let wait = seat.charge(len, moved.started.elapsed()).map_err(|_| End::Spent)?;
        let mut rest = &buffer[..len];
        while !rest.is_empty() {
            let written = to.write(rest).await.map_err(broken)?;
            if written == 0 {
                return Err(End::Broken);
            }
            rest = &rest[written..];
            moved.now();
        }
        to.flush().await.map_err(broken)?;
        carried.inc_by(len as u64);
        if !wait.is_zero() {
            moved.until(wait);
            sleep(wait).await;
        }
    }
}

/// How it ended is its own affair.
fn broken(_: io::Error) -> End {
    End::Broken
}

/// When a byte last moved, in either direction.
struct Moved {
    started: Instant,
    at_ms: AtomicU64,
}

impl Moved {
    fn now(&self) {
        self.until(Duration::ZERO);
    }

    /// Who waits for its pace is not idle meanwhile.
    fn until(&self, wait: Duration) {
        let at = self.started.elapsed().saturating_add(wait);
        let ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.at_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// Returns when nothing has moved for so long.
    async fn idle(&self, limit: Duration) {
        loop {
            let at = self.started + Duration::from_millis(self.at_ms.load(Ordering::Relaxed));
            if Instant::now() >= at + limit {
                return;
            }
            sleep_until(at + limit).await;
        }
    }
}
