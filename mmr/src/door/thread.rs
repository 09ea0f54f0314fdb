//! The stream thread: accepts, takes packets from the workers and orders from control, and ends in
//! good order.

use super::hall::Hall;
use super::limits::{ACCEPT_PAUSE, DISPATCH_MAX, GOODBYE, UNSENT_LEN, WARN_INTERVAL};
use super::marking::mark;
use super::reader;
use super::socket::{Listener, Socket};
use super::{DoorConfig, DoorError, plain, uring};
use crate::exchange::{DoorOrder, Exchange};
use crate::network::BackendChoice;
use crate::network::borrow::readable;
use socket2::SockRef;
use std::io;
use std::net::{Shutdown, TcpListener};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use wire::Transport;

/// A bound listener and what speaks on it.
pub(super) struct Opened {
    pub(super) transport: Transport,
    pub(super) listener: TcpListener,
}

/// What the thread runs on, and why not on io_uring if that was tried in vain.
pub(super) struct Running {
    pub(super) backend: &'static str,
    pub(super) fallback: Option<io::Error>,
}

/// Where the thread tells how it started.
pub(super) type Ready = SyncSender<Result<Running, DoorError>>;

/// The thread's body.
pub(super) fn run(config: &DoorConfig, opened: &[Opened], exchange: Arc<Exchange>, ready: &Ready) {
    let fallback = match config.backend {
        BackendChoice::Poll => None,
        BackendChoice::Uring | BackendChoice::Auto => match uring::runtime() {
            Ok(runtime) => {
                let running = Running { backend: "uring", fallback: None };
                let hall = Rc::new(Hall::new(config, exchange));
                let door = open::<tokio_uring::net::TcpListener>(hall, opened, running, ready);
                return runtime.block_on(door);
            }
            Err(error) if config.backend == BackendChoice::Uring => {
                // Nobody listens only when the starter is gone.
                let _ = ready.send(Err(DoorError::Uring(error)));
                return;
            }
            Err(error) => Some(error),
        },
    };
    match plain::runtime() {
        Ok(runtime) => {
            let running = Running { backend: "tokio", fallback };
            let hall = Rc::new(Hall::new(config, exchange));
            let door = open::<tokio::net::TcpListener>(hall, opened, running, ready);
            tokio::task::LocalSet::new().block_on(&runtime, door);
        }
        Err(error) => {
            let _ = ready.send(Err(DoorError::Thread(error)));
        }
    }
}

/// Serves until told to stop.
async fn open<L: Listener>(
    hall: Rc<Hall<L::Socket>>,
    opened: &[Opened],
    running: Running,
    ready: &Ready,
) {
    let event = match prepare::<L>(opened) {
        Ok(listeners) => {
            for (transport, listener) in listeners {
                tokio::task::spawn_local(accept_all(Rc::clone(&hall), listener, transport));
            }
            readable(hall.exchange.door.waker.fd())
        }
        Err(error) => Err(error),
    };
    match event {
        Ok(event) => {
            let _ = ready.send(Ok(running));
            dispatch(&hall, opened, &event).await;
        }
        Err(error) => {
            let _ = ready.send(Err(DoorError::Thread(error)));
        }
    }
    close(&hall, opened).await;
}

fn prepare<L: Listener>(opened: &[Opened]) -> io::Result<Vec<(Transport, L)>> {
    opened
        .iter()
        .map(|door| Ok((door.transport, L::from_std(door.listener.try_clone()?)?)))
        .collect()
}

async fn accept_all<L: Listener>(hall: Rc<Hall<L::Socket>>, listener: L, transport: Transport) {
    let mut warned = None;
    while !hall.is_stopping() {
        match listener.accept().await {
            Ok((socket, remote)) => {
                let Some(place) = hall.admit(remote.ip()) else { continue };
                prepare_socket(&socket);
                let connection = hall.enter(socket, transport, remote, place);
                tokio::task::spawn_local(reader::serve(Rc::clone(&hall), connection));
            }
            Err(error) if is_scarcity(&error) => {
                // Counted at each try, whether somebody knocks or not: the ring takes a descriptor
                // first.
                hall.refuse();
                warn_of_scarcity(&error, &mut warned);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            // The peer went before it was accepted, or the listener was shut down. Neither lasts;
            // should it be something else, others still get their turn.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn prepare_socket(socket: &impl Socket) {
    let fd = socket.fd();
    let options = SockRef::from(&fd);
    // Both only save time: a connection without them still serves.
    let _ = options.set_tcp_nodelay(true);
    let _ = options.set_tcp_notsent_lowat(UNSENT_LEN);
}

fn is_scarcity(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// This is ours to mend, not a peer's doing: the operator hears of it, now and then.
fn warn_of_scarcity(error: &io::Error, warned: &mut Option<Instant>) {
    let now = Instant::now();
    if warned.is_none_or(|last| now.duration_since(last) >= WARN_INTERVAL) {
        *warned = Some(now);
        tracing::warn!(
            "no TCP or TLS connection can be accepted: {error}; raise the limit on open files \
             (LimitNOFILE in the systemd unit, ulimit -n) or give the host more memory"
        );
    }
}

/// Takes packets and orders until told to stop.
async fn dispatch<S: Socket>(hall: &Hall<S>, opened: &[Opened], event: &AsyncFd<BorrowedFd<'_>>) {
    let port = &hall.exchange.door;
    loop {
        take_work(hall, opened);
        if hall.is_stopping() {
            return;
        }
        port.waker.fall_asleep();
        if !port.outgoing.is_empty() || !port.orders.is_empty() {
            // Ring for ourselves. Going through the kernel makes the thread park, which gives every
            // connection its turn, and is when tokio-uring submits what they began.
            port.waker.wake();
        }
        match event.readable().await {
            Ok(mut guard) => guard.clear_ready(),
            // Only while the runtime shuts down.
            Err(_) => return,
        }
        port.waker.awake();
    }
}

fn take_work<S: Socket>(hall: &Hall<S>, opened: &[Opened]) {
    let now = Instant::now();
    while let Some(order) = hall.exchange.door.orders.pop() {
        if let DoorOrder::Mark(marks) = order {
            for door in opened {
                if let Ok(address) = door.listener.local_addr() {
                    // As for connections: a refusal would be a kernel without DSCP.
                    let _ = mark(&door.listener, address.ip(), marks.control);
                }
            }
        }
        hall.obey(order, now);
    }
    for _ in 0..DISPATCH_MAX {
        let Some(transmit) = hall.exchange.door.outgoing.pop() else { return };
        hall.transmit(transmit, now);
    }
}

/// Lets nobody in any more, gives everyone the time of a goodbye, and cuts the rest.
async fn close<S: Socket>(hall: &Hall<S>, opened: &[Opened]) {
    hall.obey(DoorOrder::Stop, Instant::now());
    for door in opened {
        // Ends the accept under way: the runtime must not be left with one.
        let _ = SockRef::from(&door.listener).shutdown(Shutdown::Both);
    }
    let deadline = Instant::now() + GOODBYE;
    while !hall.is_empty() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    hall.cut_all();
    // Lets the tasks that were cut see it.
    tokio::time::sleep(Duration::from_millis(1)).await;
}
