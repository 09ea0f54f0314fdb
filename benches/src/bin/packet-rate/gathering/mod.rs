//! Everybody who takes part: joined over real control channels, and kept there.
//!
//! ```text
//!   slice of meetings ─▶ thread: joins, stays; channels and links in a table of its own
//!                             └── sockets ──▶ the bench: sends from them, hears samples on them
//! ```
//!
//! Ten thousand participants have more sockets than one table of descriptors may hold on many hosts, so each slice has
//! its own table, and passes on what the bench needs.

mod consent;
mod passing;
mod people;

use crate::error::BenchError;
use crate::rig::Rig;
use crate::scene::Sockets;
use crate::shape::Shape;
use consent::Keeper;
use mmr::dev::Dev;
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit};
use people::{Desk, Joined, Meeting};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A slice's thread looks this often whether all is over. It can't be woken: what wakes a runtime is a descriptor, and
/// other threads' tables do not have it.
const OVER_INTERVAL: Duration = Duration::from_millis(50);
/// Descriptors of a participant, at most: a channel, and a link of each kind.
const DESCRIPTORS: usize = 4;

/// Channels and consent, kept up until dropped.
pub(crate) struct Gathering {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What a slice tells of itself, by the shape's kinds. Its publishers' sockets follow, kind by kind, then, if they are
/// wanted, its receivers'.
struct Roll {
    labels: Vec<Vec<u32>>,
    ports: Vec<Vec<u16>>,
}

impl Gathering {
    /// Brings everybody in.
    ///
    /// # Errors
    /// The router turns somebody away.
    pub(crate) fn join(
        rig: &Rig,
        dev: &Dev,
        router: SocketAddr,
        shape: &Shape,
    ) -> Result<(Self, Sockets), BenchError> {
        rig.drop_answers(false)?;
        let desk = Arc::new(Desk {
            router,
            ca_pem: dev.ca_pem().to_owned(),
            ip: rig.load_ip(),
            shape: shape.clone(),
        });
        let room = descriptors_max() * 3 / 4;
        let all = (shape.participants() as usize) * shape.media.len();
        let wants_receivers = all < room;
        // A process's first runtime makes a pipe for signals that all later ones copy: it must be in every table.
        drop(runtime().map_err(failed)?);
        let mut gathering = Self { over: Arc::default(), threads: Vec::new() };
        let mut slices = Vec::new();
        for meetings in slices_of(people::meetings(dev, shape), room / DESCRIPTORS) {
            let (tell, told) = sync_channel(1);
            let (ours, theirs) = passing::pair().map_err(failed)?;
            let (desk, over) = (desk.clone(), gathering.over.clone());
            let slice = Slice { desk, over, tell, wants_receivers };
            let number = theirs.as_raw_fd();
            gathering.threads.push(rig.spawn_at_load(move || slice.live(meetings, number)));
            slices.push((told, ours, theirs));
        }
        let mut sockets = Sockets::none(shape.media.len());
        for (told, ours, theirs) in slices {
            let roll: Roll =
                told.recv().map_err(|_| BenchError::part("bench", "nobody joined"))??;
            // The slice has a table of its own by now; with ours closed, its end tells us when it is gone.
            drop(theirs);
            roll.call(&ours, wants_receivers, &mut sockets).map_err(failed)?;
        }
        // Everybody is bound; what keeps consent up is the question.
        rig.drop_answers(true)?;
        Ok((gathering, sockets))
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Roll {
    /// Takes in the sockets that follow.
    fn call(self, end: &OwnedFd, receivers: bool, sockets: &mut Sockets) -> std::io::Result<()> {
        let publishers: usize = self.labels.iter().map(Vec::len).sum();
        let ports: usize = self.ports.iter().map(Vec::len).sum();
        let count = publishers + if receivers { ports } else { 0 };
        let mut passed = passing::receive(end, count)?.into_iter();
        for (all, labels) in sockets.publishers.iter_mut().zip(self.labels) {
            let labelled = labels.into_iter().zip(passed.by_ref());
            all.extend(labelled.map(|(label, socket)| (socket, label)));
        }
        for (index, ports) in self.ports.into_iter().enumerate() {
            if receivers {
                sockets.subscribers[index].extend(passed.by_ref().take(ports.len()));
            }
            sockets.ports[index].extend(ports);
        }
        Ok(())
    }
}

/// Meetings by slices of at most so many people, but of one meeting at least.
fn slices_of(meetings: Vec<Meeting>, most: usize) -> Vec<Vec<Meeting>> {
    let mut slices = Vec::<Vec<Meeting>>::new();
    let mut people = 0;
    for meeting in meetings {
        people += meeting.len();
        match slices.last_mut() {
            Some(slice) if people <= most => slice.push(meeting),
            _ => {
                people = meeting.len();
                slices.push(vec![meeting]);
            }
        }
    }
    slices
}

/// How many descriptors a table may hold.
fn descriptors_max() -> usize {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1_024, 1_024));
    usize::try_from(soft).unwrap_or(usize::MAX / 4)
}

/// One thread's part of the people.
struct Slice {
    desk: Arc<Desk>,
    over: Arc<AtomicBool>,
    tell: SyncSender<Result<Roll, BenchError>>,
    wants_receivers: bool,
}

impl Slice {
    /// The thread: everybody joins, subscribes, stays. `end`: the number of what sockets are passed through.
    fn live(self, meetings: Vec<Meeting>, end: RawFd) {
        if let Err(cause) = unshare(CloneFlags::CLONE_FILES) {
            return self.fail(failed(cause.into()));
        }
        // SAFETY: it is open in the table this one was just copied from, and nobody else knows it here.
        let end = unsafe { OwnedFd::from_raw_fd(end) };
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(cause) => return self.fail(failed(cause)),
        };
        let keeper = Keeper::start();
        runtime.block_on(async {
            match people::gather(&self.desk, &keeper, meetings).await {
                Ok(joined) => self.settle(joined, end).await,
                Err(error) => self.fail(error),
            }
        });
    }

    fn fail(&self, error: BenchError) {
        // Nobody waits for it any more when another slice failed first.
        let _ = self.tell.send(Err(error));
    }

    /// Tells who is there, passes their sockets on, and stays.
    async fn settle(self, joined: Vec<Joined>, end: OwnedFd) {
        let mut roll = Roll { labels: Vec::new(), ports: Vec::new() };
        let (mut publishers, mut receivers) = (Vec::new(), Vec::new());
        for kind in 0..self.desk.shape.media.len() {
            let (mut labels, mut ports) = (Vec::new(), Vec::new());
            for Joined { sockets, labels: own, receives } in &joined {
                let Some(socket) = sockets.get(kind).and_then(Option::as_ref) else { continue };
                if let Some(label) = own.get(kind).copied().flatten() {
                    labels.push(label);
                    publishers.push(socket.clone());
                }
                if *receives {
                    ports.push(socket.local_addr().map_or(0, |address| address.port()));
                    receivers.push(socket.clone());
                }
            }
            roll.labels.push(labels);
            roll.ports.push(ports);
        }
        if !self.wants_receivers {
            receivers.clear();
        }
        let sockets: Vec<_> = publishers.into_iter().chain(receivers).collect();
        if self.tell.send(Ok(roll)).is_err() {
            return;
        }
        // Blocks until they are taken in: on a thread that has this one's table, while everybody stays.
        let passing = tokio::task::spawn_blocking(move || passing::pass(&end, &sockets));
        if !matches!(passing.await, Ok(Ok(()))) {
            return;
        }
        while !self.over.load(Ordering::Relaxed) {
            tokio::time::sleep(OVER_INTERVAL).await;
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn failed(cause: std::io::Error) -> BenchError {
    BenchError::part("bench", cause)
}

#[cfg(test)]
mod tests {
    use super::people::Part;
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_meeting_is_never_in_two_slices() {
        let people = |count| (0..count).map(|_| (Part::Subscriber, String::new())).collect();
        let sizes = |most| {
            let slices = slices_of([10, 10, 3, 10, 70].map(people).into(), most);
            let sizes = |slice: &Vec<Meeting>| slice.iter().map(Vec::len).collect::<Vec<_>>();
            slices.iter().map(sizes).collect::<Vec<_>>()
        };
        assert_eq!(sizes(1_000), [vec![10, 10, 3, 10, 70]]);
        assert_eq!(sizes(23), [vec![10, 10, 3], vec![10], vec![70]]);
        assert_eq!(sizes(1), [[10], [10], [3], [10], [70]]);
    }

    #[test]
    fn sockets_are_passed_to_another_table() {
        let (ours, theirs) = passing::pair().expect("a pair");
        let number = theirs.as_raw_fd();
        let (separate, is_separate) = sync_channel(0);
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_FILES).expect("a table of its own");
            // SAFETY: copied from the test's table just now, and owned nowhere in this one.
            let end = unsafe { OwnedFd::from_raw_fd(number) };
            let bind = |_| UdpSocket::bind("127.0.0.1:0").expect("a free port");
            let sockets: Vec<_> = (0..600).map(bind).map(Arc::new).collect();
            separate.send(()).expect("the test waits");
            passing::pass(&end, &sockets).expect("passed");
            sockets.iter().map(|socket| socket.local_addr().expect("bound")).collect::<Vec<_>>()
        });
        is_separate.recv().expect("the thread has its table");
        drop(theirs);
        let sockets = passing::receive(&ours, 600).expect("received");
        let addresses = thread.join().expect("no panic");
        let got: Vec<_> =
            sockets.iter().map(|socket| socket.local_addr().expect("bound")).collect();
        assert_eq!(got, addresses);
        assert!(passing::receive(&ours, 1).is_err(), "there are no more");
    }
}
