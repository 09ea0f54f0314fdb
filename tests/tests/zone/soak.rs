//! Ten minutes of joins and leaves: what controllers, MMRs and agents hold must not grow.

use crate::alone;
use crate::meeting::{Meeting, PARTICIPANTS};
use crate::site::{CONTROLLERS, Site};
use futures_util::future::join_all;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tests::is_root;
use tests::service::Service;
use tokio::time::sleep;

const LASTS: Duration = Duration::from_secs(600);
/// Until then tables grow to the size they need, and the allocator keeps what it once had.
const WARM_AFTER: Duration = Duration::from_secs(180);
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// Meetings at once; each ends soon, and another begins.
const AT_ONCE: usize = 6;
/// How long those who came stay.
const STAY: Duration = Duration::from_secs(3);
/// Newcomers who only ask, besides: each controller gets one every so often.
const ASK_INTERVAL: Duration = Duration::from_millis(50);
/// What memory may grow by once it is warm: pages that were not touched before, no leak of a byte per join.
const GROWTH_PERCENT: u64 = 5;
const GROWTH_BYTES: u64 = 512 * 1024;

/// An MMR's tables and its ring of packets take their memory at the start, but have it only where they were written to:
/// small ones were everywhere before it is warm.
const SMALL: &str = "[limits]\nlinks = 512\nlayers = 512\nroutes = 4096\nhistory_packets = 512\nchannels = 256\nconnections = 256\n";

/// One look at every process.
struct Look {
    at: Duration,
    /// Name, bytes, descriptors.
    processes: Vec<(String, u64, usize)>,
}

#[test]
#[ignore = "takes ten minutes: cargo test -p tests --test zone -- --ignored --nocapture ten_minutes"]
fn memory_is_flat_over_ten_minutes_of_joins_and_leaves() {
    if !is_root() {
        return;
    }
    let _alone = alone();
    let site = Site::start_with(3, SMALL);
    let (joined, asked) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let started = Instant::now();
    let looks = site.block_on(async || {
        for controller in 0..CONTROLLERS {
            site.all_fit(controller).await;
        }
        let rooms = join_all((0..AT_ONCE).map(|room| meet(&site, room, started, &joined)));
        let asks = join_all((0..CONTROLLERS).map(|at| ask(&site, at, started, &asked)));
        let (looks, _, _) = tokio::join!(look(&site, started, &joined), rooms, asks);
        looks
    });
    println!(
        "{} participants joined and left, {} more asked",
        joined.into_inner(),
        asked.into_inner()
    );
    assert_flat(&looks);
}

async fn meet(site: &Site, room: usize, started: Instant, joined: &AtomicUsize) {
    for number in 0.. {
        if started.elapsed() > LASTS {
            return;
        }
        let meeting = Meeting::begin(site, format!("meeting-{room}-{number}")).await;
        sleep(STAY).await;
        meeting.end().await.assert_whole();
        joined.fetch_add(PARTICIPANTS, Ordering::Relaxed);
    }
}

async fn ask(site: &Site, controller: usize, started: Instant, asked: &AtomicUsize) {
    for number in 0.. {
        if started.elapsed() > LASTS {
            return;
        }
        let told = site.assign(controller, &format!("asked-{controller}-{number}")).await;
        match told.map_err(|refusal| refusal.retry_after_ms) {
            Ok(_) => drop(asked.fetch_add(1, Ordering::Relaxed)),
            Err(wait_ms) => sleep(Duration::from_millis(wait_ms.unwrap())).await,
        }
        sleep(ASK_INTERVAL).await;
    }
}

async fn look(site: &Site, started: Instant, joined: &AtomicUsize) -> Vec<Look> {
    let mut looks = Vec::new();
    while started.elapsed() < LASTS {
        sleep(LOOK_INTERVAL).await;
        let look = Look { at: started.elapsed(), processes: processes(site) };
        let kib: Vec<_> = look.processes.iter().map(|it| (it.1 / 1024).to_string()).collect();
        let joined = joined.load(Ordering::Relaxed);
        println!("| {:>3} s | {joined} | {} |", look.at.as_secs(), kib.join(" | "));
        looks.push(look);
    }
    looks
}

fn processes(site: &Site) -> Vec<(String, u64, usize)> {
    let controllers =
        site.controllers.iter().enumerate().map(|(at, it)| (format!("controller {at}"), it));
    let mmrs = site.mmrs.iter().map(|it| (it.id.clone(), &it.mmr));
    let agents = site.mmrs.iter().map(|it| (format!("agent of {}", it.id), &it.agent));
    let look = |(name, it): (String, &Service)| (name, it.memory(), it.descriptors());
    controllers.chain(mmrs).chain(agents).map(look).collect()
}

fn assert_flat(looks: &[Look]) {
    let warm = looks.iter().find(|look| look.at >= WARM_AFTER).unwrap();
    let last = looks.last().unwrap();
    for (warm, last) in warm.processes.iter().zip(&last.processes) {
        let most = warm.1 + warm.1 * GROWTH_PERCENT / 100 + GROWTH_BYTES;
        println!("{}: {} KiB, then {} KiB", warm.0, warm.1 / 1024, last.1 / 1024);
        assert!(last.1 <= most, "{} grew from {} to {} bytes", warm.0, warm.1, last.1);
        assert!(last.2 <= warm.2 + 64, "{} had {} descriptors, then {}", warm.0, warm.2, last.2);
    }
}
