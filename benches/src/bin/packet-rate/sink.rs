//! The subscribers' sockets: they time the packets that the counter lets through. On loopback, where nothing else
//! counts, they get and count every one.

use crate::error::BenchError;
use crate::stamp;
use hdrhistogram::Histogram;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the thread looks whether it should end.
const PATIENCE: Duration = Duration::from_millis(50);
/// The longest packet of the bench.
const PACKET_LEN_MAX: usize = 2_048;

/// What the sockets saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Packets of the bench, all of them on loopback, samples on a wire.
    pub(crate) packets: u64,
    /// From intended time to the kernel's receive time, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Seen {
    fn new() -> Self {
        Self { packets: 0, latency: stamp::histogram() }
    }
}

/// Reads the sockets of one class of subscribers (one histogram each) until dropped.
pub(crate) struct Sink {
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Starts reading. `classes[c]` are the sockets whose latencies belong together (a kind, say). `spawn` starts the
    /// thread where it should run: [`crate::rig::Rig::spawn_at_load`].
    ///
    /// # Errors
    /// A socket can't be watched.
    pub(crate) fn start(
        classes: Vec<Vec<UdpSocket>>,
        spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> JoinHandle<()>,
    ) -> Result<Self, BenchError> {
        let count = classes.len();
        let sockets: Vec<_> = classes
            .into_iter()
            .enumerate()
            .flat_map(|(class, sockets)| sockets.into_iter().map(move |socket| (class, socket)))
            .collect();
        let poll = watch(&sockets).map_err(|cause| BenchError::part("sink", cause))?;
        let seen = Arc::new(Mutex::new(vec![Seen::new(); count]));
        let stop = Arc::new(AtomicBool::new(false));
        let reader = Reader { poll, sockets, seen: seen.clone(), stop: stop.clone() };
        let thread = Some(spawn(Box::new(move || reader.read_until_stopped())));
        Ok(Self { seen, stop, thread })
    }

    /// By class, since the last call.
    pub(crate) fn take(&self) -> Vec<Seen> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = vec![Seen::new(); seen.len()];
        std::mem::replace(&mut *seen, fresh)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(sockets: &[(usize, UdpSocket)]) -> io::Result<Poll> {
    let poll = Poll::new()?;
    for (index, (_, socket)) in sockets.iter().enumerate() {
        socket.set_nonblocking(true)?;
        setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
        let fd = socket.as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
    }
    Ok(poll)
}

struct Reader {
    poll: Poll,
    /// With their class.
    sockets: Vec<(usize, UdpSocket)>,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    fn read_until_stopped(mut self) {
        let mut events = Events::with_capacity(1_024);
        let mut buffer = [0; PACKET_LEN_MAX];
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        while !self.stop.load(Ordering::Relaxed) {
            if self.poll.poll(&mut events, Some(PATIENCE)).is_err() {
                continue;
            }
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            for event in &events {
                let (class, socket) = &self.sockets[event.token().0];
                while let Some(latency) = receive(socket, &mut buffer, &mut control) {
                    let Some(latency) = latency else { continue };
                    seen[*class].packets += 1;
                    let latency = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
                    seen[*class].latency.saturating_record(latency);
                }
            }
        }
    }
}

/// The next packet's latency; `Some(None)` for a packet that is not of the bench, `None` when there is no more.
fn receive(socket: &UdpSocket, buffer: &mut [u8], control: &mut [u8]) -> Option<Option<Duration>> {
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(control), flags).ok()?;
    let heard = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    });
    let len = message.bytes;
    let intended = stamp::read(&buffer[..len]);
    let heard = heard.unwrap_or_else(stamp::now);
    Some(intended.map(|intended| heard.saturating_sub(intended)))
}
