//! The wire that everything is measured on: two hosts, a cable, and a counter at its far end.
//!
//! ```text
//!   CPU 0                                      CPU 1
//!   ┌ router's network ┐        veth        ┌ load's network ───────────────────────┐
//!   │ router or floor  │ wire0 ────── wire0 │ NAPI thread: counter │ load │ sampled  │
//!   └──────────────────┘                    └───────────────────────────────────────┘
//! ```
//!
//! On a veth pair whoever sends also does the receiving work of the other end. A real cable does not do that, so the
//! load's end has a NAPI thread of its own on CPU 1, and RPS moves the receiving work of the router's end to CPU 0,
//! where it belongs. Networks have no names and go with this process, however it ends.

mod counter;
mod device;
#[cfg(test)]
mod tests;

pub(crate) use counter::{Counts, Tally};
pub(crate) use device::DeviceDrops;

use crate::error::BenchError;
use ::tests::{Wire, is_root};
use counter::Counter;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::net::{IpAddr, Ipv4Addr};
use std::thread::JoinHandle;

/// Where routers and floors run.
pub(crate) const ROUTER_CPU: usize = 0;
/// Where load and counting run.
pub(crate) const LOAD_CPU: usize = 1;

/// What the router sends into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    /// A device that takes single packets: trains are split in software before, and counted as on a cable.
    Split,
    /// A device that takes whole trains, as a network card that segments UDP does.
    Whole,
    /// No wire at all: loopback, for who is not root.
    Loopback,
}

impl Device {
    /// What stands in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Split => "trains split in software",
            Self::Whole => "trains whole to the device",
            Self::Loopback => "loopback: not a wire number",
        }
    }
}

/// Two hosts on a wire, or loopback.
pub(crate) struct Rig {
    wire: Option<Wired>,
}

struct Wired {
    hosts: Wire,
    counter: Counter,
}

impl Rig {
    /// Builds the networks; `sample_every`: one packet (or train) in so many reaches its socket, to be timed.
    ///
    /// # Errors
    /// Not root, fewer than two cores, a tool is missing, or the kernel refuses the counter.
    pub(crate) fn new(device: Device, sample_every: u64) -> Result<Self, BenchError> {
        if device == Device::Loopback {
            return Ok(Self { wire: None });
        }
        if !is_root() {
            return Err(BenchError::NotRoot);
        }
        device::check_host()?;
        let hosts = Wire::new();
        let counter = on(LOAD_CPU, || {
            hosts.right.run(|| Counter::attach(device, Wire::INTERFACE, sample_every))
        })?;
        device::set_up(&hosts, device)?;
        Ok(Self { wire: Some(Wired { hosts, counter }) })
    }

    /// Where the router listens.
    pub(crate) fn router_ip(&self) -> IpAddr {
        match &self.wire {
            Some(_) => Wire::left_addresses()[0],
            None => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Where load and subscribers are.
    pub(crate) fn load_ip(&self) -> IpAddr {
        match &self.wire {
            Some(_) => "10.77.0.2".parse().expect("an address"),
            None => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Runs `body` in the router's network on the router's core; what it starts stays there.
    pub(crate) fn at_router<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let pinned = || {
            pin(ROUTER_CPU);
            body()
        };
        match &self.wire {
            Some(wired) => wired.hosts.left.run(pinned),
            None => on_thread(pinned),
        }
    }

    /// Runs `body` in the load's network on the load's core; what it starts stays there.
    pub(crate) fn at_load<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let pinned = || {
            pin(LOAD_CPU);
            body()
        };
        match &self.wire {
            Some(wired) => wired.hosts.right.run(pinned),
            None => on_thread(pinned),
        }
    }

    /// As [`Rig::at_router`], on a thread that goes on.
    #[cfg(test)]
    pub(crate) fn spawn_at_router<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let pinned = || {
            pin(ROUTER_CPU);
            body()
        };
        match &self.wire {
            Some(wired) => wired.hosts.left.spawn(pinned),
            None => std::thread::spawn(pinned),
        }
    }

    /// As [`Rig::at_load`], on a thread that goes on.
    pub(crate) fn spawn_at_load<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let pinned = || {
            pin(LOAD_CPU);
            body()
        };
        match &self.wire {
            Some(wired) => wired.hosts.right.spawn(pinned),
            None => std::thread::spawn(pinned),
        }
    }

    /// Whether answers to STUN checks end at the far end of the wire, unread.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn drop_answers(&self, drop: bool) -> Result<(), BenchError> {
        self.wire.as_ref().map_or(Ok(()), |wired| wired.counter.drop_answers(drop))
    }

    /// What came through since the rig was made; `None` on loopback, where only sockets count.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn counts(&self) -> Result<Option<Counts>, BenchError> {
        self.wire.as_ref().map(|wired| wired.counter.counts()).transpose()
    }

    /// What came to one port since the rig was made.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn port(&self, port: u16) -> Result<Option<Tally>, BenchError> {
        self.wire.as_ref().map(|wired| wired.counter.port(port)).transpose()
    }

    /// What was lost on the way since the rig was made, by place.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn drops(&self) -> Result<DeviceDrops, BenchError> {
        match &self.wire {
            Some(wired) => DeviceDrops::read(&wired.hosts),
            None => Ok(DeviceDrops::default()),
        }
    }
}

/// Keeps the calling thread on one core; on a host that lacks it, wherever it is.
pub(crate) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    let pinned = set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(cause) = pinned {
        eprintln!("core {cpu} can't be used ({cause}): cores are shared, figures are worse");
    }
}

fn on<T: Send>(cpu: usize, body: impl FnOnce() -> T + Send) -> T {
    on_thread(|| {
        pin(cpu);
        body()
    })
}

fn on_thread<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = scope.spawn(body);
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
