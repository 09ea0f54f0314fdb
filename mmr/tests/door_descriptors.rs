//! A door that runs out of file descriptors waits, counts, and serves again when there are some. In
//! a process of its own, as the limit is the process's.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]
#![allow(unreachable_pub, missing_docs, reason = "shared within a test, which nobody depends on")]

#[path = "door/rig.rs"]
#[allow(dead_code, reason = "shared with the other tests of the door")]
mod rig;

use mmr::network::BackendChoice;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rig::{Plan, until};
use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::os::fd::AsRawFd;
use wire::{Kind, Transport};

/// Lets nobody in this process open anything, until dropped.
struct NoDescriptors {
    soft: u64,
    hard: u64,
}

impl NoDescriptors {
    fn new() -> Self {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        // Descriptors are given out lowest first, so every lower one is taken.
        let lowest = File::open("/dev/null").unwrap().as_raw_fd();
        setrlimit(Resource::RLIMIT_NOFILE, u64::try_from(lowest).unwrap(), hard).unwrap();
        Self { soft, hard }
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        setrlimit(Resource::RLIMIT_NOFILE, self.soft, self.hard).unwrap();
    }
}

fn check(backend: BackendChoice) {
    let Some(rig) = Plan::new(backend).open() else { return };
    let mut standing = rig.connect(Transport::Tcp);
    standing.check(Kind::Audio);
    let late = [(); 2].map(|()| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap());

    let none = NoDescriptors::new();
    for socket in &late {
        socket.connect(&rig.address(Transport::Tcp, false).into()).unwrap();
    }
    until("the door finds no descriptor, more than once", || rig.refused() > 2);
    standing.send(&rig::rtp(1, 100));
    assert_eq!(rig.packet().2, rig::rtp(1, 100), "who is in is served");
    // An accept that was in the ring already goes by the limit of when it was put there.
    assert!(rig.open_connections() <= 2);

    drop(none);
    until("those who waited are let in", || rig.open_connections() == 3);
    for socket in late {
        rig.speak(Transport::Tcp, socket.into()).check(Kind::Video);
    }
}

#[test]
fn a_door_without_descriptors_waits_and_recovers() {
    check(BackendChoice::Uring);
    check(BackendChoice::Poll);
}
