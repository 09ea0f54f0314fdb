//! A zone controller under load: MMRs that report once a second over a connection each, and clients
//! that ask where to go, against the real daemon, pinned to one core, over TLS.
//!
//!     cargo build --release -p zone-controller -p benches && target/release/zone-load
//!
//! Answers are timed from the moment they were due to be asked, so that a controller that falls
//! behind is not spared. Client connections are kept: a client's own TLS handshake comes on top.

mod connection;
mod zone;

use clap::Parser;
use connection::Connection;
use futures_util::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use zone::Zone;

/// A zone controller under load.
#[derive(Parser)]
struct Args {
    /// MMRs that report once a second
    #[arg(long, default_value_t = 10_000)]
    mmrs: usize,
    /// Assignments a second
    #[arg(long, default_value_t = 5_000)]
    assigns: usize,
    /// Connections the assignments come over
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// People of a meeting
    #[arg(long, default_value_t = 10)]
    meeting: usize,
    /// For how many seconds
    #[arg(long, default_value_t = 15)]
    seconds: usize,
    /// The controller's core; everything else runs on the others
    #[arg(long, default_value_t = 0)]
    core: usize,
}

/// What was measured of one kind of request.
struct Timed {
    start: Instant,
    micros: Histogram<u64>,
    /// The same of what was due within each second.
    seconds: Vec<Histogram<u64>>,
    refused: u64,
    first_refusal: Option<String>,
}

impl Timed {
    fn new(start: Instant) -> Arc<Mutex<Self>> {
        let (refused, first_refusal) = (0, None);
        let (micros, seconds) = (histogram(), Vec::new());
        Arc::new(Mutex::new(Self { start, micros, seconds, refused, first_refusal }))
    }

    fn record(&mut self, due: Instant) {
        let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.micros.saturating_record(micros);
        let second = usize::try_from((due - self.start).as_secs()).unwrap_or(usize::MAX);
        if second >= self.seconds.len() {
            self.seconds.resize_with(second + 1, histogram);
        }
        self.seconds[second].saturating_record(micros);
    }

    fn show(&self, name: &str, seconds: f64) {
        let at = |quantile| Duration::from_micros(self.micros.value_at_quantile(quantile));
        let per_s = f64::from(u32::try_from(self.micros.len()).unwrap_or(u32::MAX)) / seconds;
        println!(
            "{name:<8} {per_s:>8.0}/s  p50 {:?}  p99 {:?}  p99.9 {:?}  refused {} {}",
            at(0.5),
            at(0.99),
            at(0.999),
            self.refused,
            self.first_refusal.as_deref().unwrap_or(""),
        );
        let p99_ms = |second: &Histogram<u64>| (second.value_at_quantile(0.99) / 1_000).to_string();
        let each: Vec<_> = self.seconds.iter().map(p99_ms).collect();
        println!("         p99 of each second, ms: {}", each.join(" "));
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000, 3).expect("the bounds fit")
}

/// Handshakes under way at once.
const CONNECTING_AT_ONCE: usize = 64;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let zone = Arc::new(Zone::start(args.core)?);
    let before = zone.memory()?;
    println!("signing {} tokens", args.assigns * args.seconds);
    let mut asks = zone.asks(args.assigns * args.seconds, args.meeting, args.assigns);
    println!("connecting {} MMRs and {} clients", args.mmrs, args.clients);
    // Many at once: the controller ends connections that are idle for ten seconds.
    let mmrs: Vec<_> = stream::iter((0..args.mmrs).map(|mmr| {
        let zone = &zone;
        async move {
            let mut connection = zone.connect().await?;
            // Everybody is known before it begins.
            connection.ask(&zone.report(mmr, 1)).await?;
            Ok::<_, Failure>(connection)
        }
    }))
    .buffered(CONNECTING_AT_ONCE)
    .try_collect()
    .await?;
    let with_mmrs = zone.memory()?;
    let clients = stream::iter((0..args.clients).map(|_| zone.connect()));
    let clients: Vec<_> = clients.buffered(CONNECTING_AT_ONCE).try_collect().await?;

    // Never sleeps: to wake this process up would be work of the controller's core.
    let awake = tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let cpu_before = zone.cpu()?;
    let start = Instant::now() + Duration::from_millis(200);
    let (reports, assigns) = (Timed::new(start), Timed::new(start));
    let second = Duration::from_secs(1);
    let mut tasks = Vec::new();
    let mmr_count = u32::try_from(args.mmrs)?;
    for (mmr, connection) in mmrs.into_iter().enumerate() {
        let first = start + second * u32::try_from(mmr)? / mmr_count;
        let zone = Arc::clone(&zone);
        let bytes = move |round: usize| zone.report(mmr, round as u64 + 2);
        let timed = Arc::clone(&reports);
        tasks.push(tokio::spawn(repeat(connection, first, second, args.seconds, bytes, timed)));
    }
    let client_count = u32::try_from(args.clients)?;
    let each = second * client_count / u32::try_from(args.assigns)?;
    for (client, connection) in clients.into_iter().enumerate() {
        let first = start + each * u32::try_from(client)? / client_count;
        let rounds = args.assigns * args.seconds / args.clients;
        let mine: Vec<_> = asks.drain(..rounds.min(asks.len())).collect();
        let timed = Arc::clone(&assigns);
        let bytes = move |round: usize| mine[round].clone();
        tasks.push(tokio::spawn(repeat(connection, first, each, rounds, bytes, timed)));
    }
    for task in tasks {
        task.await??;
    }
    let took = start.elapsed().as_secs_f64();
    awake.abort();
    println!("{:.1} s, the controller on core {} alone", took, args.core);
    reports.lock().await.show("reports", took);
    assigns.lock().await.show("assigns", took);
    println!("controller: {:.0} % of its core", (zone.cpu()? - cpu_before) / took * 100.0);
    let of_mmrs = with_mmrs.saturating_sub(before) / args.mmrs.max(1) as u64;
    println!(
        "memory: {} KiB at first, {of_mmrs} bytes more for each MMR, its connection included, {} KiB in the end",
        before / 1024,
        zone.memory()? / 1024
    );
    Ok(())
}

/// Asks once an interval, and times each answer from when it was due to be asked.
async fn repeat(
    mut connection: Connection,
    first: Instant,
    every: Duration,
    rounds: usize,
    bytes: impl Fn(usize) -> Vec<u8>,
    timed: Arc<Mutex<Timed>>,
) -> Result<(), Failure> {
    let mut due = first;
    for round in 0..rounds {
        let request = bytes(round);
        tokio::time::sleep_until(due.into()).await;
        let (status, body) = connection.ask(&request).await?;
        let mut timed = timed.lock().await;
        timed.record(due);
        if status != 200 {
            timed.refused += 1;
            timed.first_refusal.get_or_insert(body);
        }
        due += every;
    }
    Ok(())
}
