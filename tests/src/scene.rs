//! A real daemon in the test's own process, with one meeting of two participants made by hand.

use crate::pair::Pair;
use crate::raw::PATIENCE;
use mmr::Daemon;
use mmr::dev::Dev;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::stats::Stats;

/// A daemon and who meets on it.
pub struct Scene {
    /// The daemon.
    pub daemon: Daemon,
    /// Its certificate and signer.
    pub dev: Dev,
    /// Who meets.
    pub pair: Pair,
}

impl Scene {
    /// Starts it all; the layer may take `max_bitrate` bits per second.
    ///
    /// # Panics
    /// When anything does not come up.
    pub async fn new(max_bitrate: u32) -> Self {
        let dev = Dev::temporary().unwrap();
        let daemon = Daemon::start(dev.config()).unwrap();
        let pair = Pair::join(daemon.addresses().tls[0], &dev, max_bitrate).await;
        Self { daemon, dev, pair }
    }

    /// Where datagrams go.
    pub fn udp(&self) -> SocketAddr {
        self.daemon.addresses().udp[0]
    }

    /// The daemon's view when `enough` of it is true.
    ///
    /// # Panics
    /// When it does not come true.
    pub async fn stats_when(&self, what: &str, enough: impl Fn(&Stats) -> bool) -> Stats {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.daemon.stats().await.unwrap();
            if enough(&stats) {
                return stats;
            }
            assert!(Instant::now() < deadline, "{what} did not come true: {stats:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until `count` more packets than `before` were dropped for `reason`.
    pub async fn dropped(&self, reason: &str, before: u64, count: u64) {
        let what = format!("{count} drops for {reason}");
        self.stats_when(&what, |stats| drops(stats, reason) >= before + count).await;
    }
}

/// Packets dropped for a reason, all workers.
pub fn drops(stats: &Stats, reason: &str) -> u64 {
    stats.workers.iter().filter_map(|worker| worker.drops.get(reason)).sum()
}
