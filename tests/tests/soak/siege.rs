//! A daemon under attack: its memory, its descriptors and its counts are watched, and so is a
//! meeting on it.

use nix::sys::socket::{setsockopt, sockopt::Linger};
use std::net::TcpStream;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tests::pair::Pair;
use tests::process::Process;
use wire::stats::Stats;

/// Nothing takes this long unless it failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Portions an attack comes in; memory is looked at after each.
const PORTIONS: u64 = 20;
/// How much higher memory may stand in the second half of an attack than it stood in the first:
/// what the allocator moves by. A leak of three bytes for each of a million passes it.
const GROWTH_MAX: u64 = 1 << 20;
/// The meeting's publisher and subscriber.
const BYSTANDERS: u64 = 2;

/// Few enough connections for an ordinary user's limit on open files, and a history that is soon
/// all written: its memory is taken at start, but the kernel gives a page only when it is first
/// written, which would look like growth.
const LIMITS: &str = "[limits]\nchannels = 256\nconnections = 384\nhistory_packets = 64\n";

/// A daemon and a meeting on it that an attack must not disturb.
pub(crate) struct Siege {
    pub(crate) process: Process,
    bystanders: JoinHandle<u64>,
    over: Arc<AtomicBool>,
}

/// Consent is renewed this often.
const BIND_INTERVAL: Duration = Duration::from_secs(5);

impl Siege {
    pub(crate) fn lay() -> Self {
        let process = Process::start(LIMITS);
        let over = Arc::new(AtomicBool::new(false));
        let (done, runtime) = (Arc::clone(&over), runtime());
        let dev = &process.venue.dev;
        let pair = runtime.block_on(Pair::join(process.tls(), dev, 256_000));
        let bystanders = std::thread::spawn(move || runtime.block_on(meet(pair, &done)));
        Self { process, bystanders, over }
    }

    /// Bears `count` strikes: `strike` makes as many as it is told, then all are counted, and all
    /// is at rest, and in the end nothing has grown. `counted` says how many of them the daemon has
    /// counted.
    pub(crate) fn bear(
        self,
        name: &str,
        count: u64,
        mut strike: impl FnMut(&Process, u64),
        counted: impl Fn(&Stats) -> u64,
    ) {
        let begun = Instant::now();
        let before = counted(&self.process.stats());
        let (descriptors, memory_before) = (self.process.descriptors(), self.process.memory());
        let (mut struck, mut memory) = (0, Vec::new());
        for portion in 1..=PORTIONS {
            let until = count * portion / PORTIONS;
            strike(&self.process, until - struck);
            struck = until;
            self.rests(|stats| counted(stats) - before, struck);
            assert!(!self.bystanders.is_finished(), "the bystanders' meeting broke off");
            memory.push(self.process.memory());
        }
        // A descriptor is closed a moment after its connection is gone.
        let deadline = Instant::now() + PATIENCE;
        while self.process.descriptors() > descriptors {
            assert!(Instant::now() < deadline, "descriptors are left open");
            std::thread::sleep(Duration::from_millis(10));
        }
        self.over.store(true, Ordering::Relaxed);
        let packets = self.bystanders.join().unwrap_or_else(|panic| resume_unwind(panic));
        let (first, second) = memory.split_at(memory.len() / 2);
        let [first, second] = [first, second].map(|half| *half.iter().max().unwrap());
        let took = begun.elapsed().as_secs_f64();
        let [from, half, whole] = [memory_before, first, second].map(|bytes| bytes / 1024);
        println!(
            "{name}: {count} in {took:.1} s; {from} KiB before, at most {half} KiB in the first half, \
             {whole} KiB in the second; {packets} packets of bystanders, none lost; {}",
            tally(&self.process.stats())
        );
        assert!(second.saturating_sub(first) < GROWTH_MAX, "memory grows: {memory:?}");
    }

    /// Waits until every strike is counted, and only the bystanders are there.
    fn rests(&self, counted: impl Fn(&Stats) -> u64, struck: u64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.process.stats();
            let at_rest = stats.door.connections.values().all(|open| *open == 0)
                && (stats.control.channels, stats.participants) == (BYSTANDERS, BYSTANDERS);
            let heard = counted(&stats);
            assert!(heard <= struck, "{heard} counted, {struck} struck: {stats:#?}");
            if at_rest && heard == struck {
                return;
            }
            assert!(Instant::now() < deadline, "{heard} of {struck} counted: {stats:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Everything it has counted, for the reader.
fn tally(stats: &Stats) -> String {
    let Stats { door, control, workers, .. } = stats;
    let drops: Vec<_> = workers.iter().map(|worker| &worker.drops).collect();
    format!(
        "door: {} refused, {} abandoned, drops {:?}; control: refused {:?}, closed {:?}, errors {:?}; \
         workers' drops {drops:?}",
        door.refused, door.abandoned, door.drops, control.refused, control.closed, control.errors
    )
}

/// The connection is reset when dropped: nothing of it lingers in TIME_WAIT.
pub(crate) fn reset_in_the_end(connection: &TcpStream) {
    let reset = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(connection, Linger, &reset).unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Sends fifty packets a second, each after the one before arrived; how many. Panics if one does
/// not.
async fn meet(mut pair: Pair, over: &AtomicBool) -> u64 {
    let (mut packets, mut bound_at) = (0, Instant::now());
    while !over.load(Ordering::Relaxed) {
        if bound_at.elapsed() > BIND_INTERVAL {
            pair.bind();
            bound_at = Instant::now();
        }
        let packet = pair.next_packet();
        pair.publisher.socket.send(&packet).unwrap();
        let sent_at = Instant::now();
        while pair.subscriber.receive_rtp().as_ref() != Some(&packet) {
            assert!(sent_at.elapsed() < PATIENCE, "a bystander's packet was lost");
        }
        packets += 1;
        listen(&mut pair, Duration::from_millis(20)).await;
    }
    packets
}

/// Answers the control channels' pings for so long.
async fn listen(pair: &mut Pair, time: Duration) {
    let [publisher, subscriber] = &mut pair.channels;
    let heard = async {
        loop {
            let message = tokio::select! {
                message = publisher.next() => message,
                message = subscriber.next() => message,
            };
            assert!(message.is_some(), "a bystander's channel was closed");
        }
    };
    let _ = tokio::time::timeout(time, heard).await;
}
