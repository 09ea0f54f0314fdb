//! The express plane: native UDP media replicated in the kernel, below the sockets, in whole trains. ARCHITECTURE.md
//! draws it.
//!
//! | file | part |
//! | --- | --- |
//! | `program`, `layout` | what runs in the kernel (mmr/bpf/express.c), and its tables byte for byte |
//! | `plane`, `chunks` | what the kernel should serve, and how it comes to: pure |
//! | `next_hop`, `netlink` | where a destination's packets go, down to the MAC: pure, and the kernel's word |
//! | `tallies`, `counts` | what the kernel counted of each layer and link, and what there is to tell of it all |
//! | `interfaces` | where the program is attached, and which addresses are ours |
//!
//! The control thread owns all of it. It is *not* on a packet's way: without it the kernel goes on with what it was told
//! last, as workers do.

mod chunks;
mod counts;
mod interfaces;
pub mod layout;
pub mod limits;
mod netlink;
mod next_hop;
mod plane;
pub mod program;
mod tallies;

pub use layout::{Destination, Label, Layer};
pub use program::{Outcome, Program, Sizes, Tally};

pub(crate) use counts::{Counts, Each, LayerCount, LinkCount};

use crate::network::{offloads, sockets};
use counts::Counting;
use netlink::{News, Resolver};
use plane::{Plane, Tables};
use router::{Event, Order};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use tallies::Meters;
use wire::mark::Marks;

/// What the operator asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpressChoice {
    /// Where the kernel, the capabilities and an interface allow it.
    #[default]
    Auto,
    /// That, or an error.
    On,
    /// Everything on the sockets.
    Off,
}

/// Why the express plane can't be used, for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressError {
    /// The kernel refused the program or a table.
    #[error(
        "the kernel refuses its program: {0}. It needs Linux 6.6 or later, CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (docs/operations.md)"
    )]
    Refused(String),
    /// Packets' marks can't be received.
    #[error("packets' marks can't be received: {0}. It needs CAP_NET_ADMIN (docs/operations.md)")]
    Marks(io::Error),
    /// There is nothing to attach to.
    #[error(
        "no interface with a listen address is an Ethernet one. Listen on the address of a network card"
    )]
    NoInterface,
    /// Devices, neighbours and routes can't be asked for.
    #[error("routes can't be asked for: {0}. Allow AF_NETLINK (RestrictAddressFamilies)")]
    Netlink(io::Error),
}

/// The plane, as the control thread has it.
pub(crate) struct Express {
    program: Program,
    plane: Plane,
    counting: Counting,
    resolver: Resolver,
    /// The router's sockets.
    bound: Vec<SocketAddr>,
    /// Local addresses the program takes for them.
    listens: BTreeSet<(SocketAddr, u8)>,
    /// For people.
    interfaces: Vec<String>,
}

/// What can be had: loaded, not attached yet. Made before the sockets are, which must know.
pub(crate) struct Prepared {
    program: Program,
    sizes: Sizes,
}

impl Prepared {
    /// Loads the program and tries what sockets will need.
    ///
    /// # Errors
    /// There is no interface for these addresses, or the kernel refuses.
    pub(crate) fn new(sizes: Sizes, listen: &[SocketAddr]) -> Result<Self, ExpressError> {
        if interfaces::of(listen).is_empty() {
            return Err(ExpressError::NoInterface);
        }
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).map_err(ExpressError::Marks)?;
        sockets::receive_marks(&socket).map_err(ExpressError::Marks)?;
        Ok(Self { program: Program::load(sizes)?, sizes })
    }

    /// Attaches it for sockets that are bound.
    ///
    /// # Errors
    /// There is no interface, or routes can't be asked for.
    pub(crate) fn attach(
        mut self,
        bound: &[SocketAddr],
        marks: Marks,
    ) -> Result<Express, ExpressError> {
        let interfaces = interfaces::of(bound);
        let mut refused = ExpressError::NoInterface;
        let mut attached = Vec::new();
        for interface in interfaces {
            match self.program.attach(&interface) {
                Ok(()) => attached.push(described(interface)),
                Err(error) => refused = error,
            }
        }
        if attached.is_empty() {
            return Err(refused);
        }
        let resolver = Resolver::start(bound).map_err(ExpressError::Netlink)?;
        let chunks = limits::chunks(self.sizes.layers, self.sizes.routes);
        let mut express = Express {
            program: self.program,
            plane: Plane::new(marks, chunks),
            counting: Counting::new(),
            resolver,
            bound: bound.to_vec(),
            listens: BTreeSet::new(),
            interfaces: attached,
        };
        express.listen();
        Ok(express)
    }
}

impl Express {
    /// Where it is attached.
    pub(crate) fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    /// An order that goes to the workers, too.
    pub(crate) fn hear_order(&mut self, order: &Order, now: Instant) {
        self.counting.tallies.hear_order(order, &self.program);
        self.plane.hear_order(order, now, &mut self.program);
        self.ask();
    }

    /// What a worker tells.
    pub(crate) fn hear_event(&mut self, event: &Event) {
        self.counting.tallies.hear_event(event, &self.program);
        self.plane.hear_event(event, &mut self.program);
        self.ask();
    }

    /// Waits for news of the network's and takes it.
    pub(crate) async fn hear_news(&mut self) {
        match self.resolver.news().await {
            News::NextHop(question, next_hop) => {
                self.plane.hear_next_hop(&question, next_hop, &mut self.program);
            }
            News::Addresses => self.listen(),
        }
    }

    /// What every worker must have been given before [`Express::commit`].
    pub(crate) fn plan(&mut self, now: Instant) -> Vec<Order> {
        self.plane.plan(now, &mut self.program)
    }

    /// Whether [`Express::commit`] has something to do.
    pub(crate) fn has_plans(&self) -> bool {
        self.plane.has_plans()
    }

    /// Brings what was planned into effect.
    pub(crate) fn commit(&mut self, now: Instant) {
        self.plane.commit(now, &mut self.program);
    }

    /// When [`Express::plan`] has something to do.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.plane.poll_timeout(now)
    }

    /// Reads what the kernel counted, some of it at a time; once a second.
    pub(crate) fn count(&mut self) {
        self.counting.read(&self.program);
    }

    /// The counts at this moment.
    pub(crate) fn counts(&self) -> Counts {
        self.counting.counts(&self.plane, &self.program)
    }

    /// Every layer's and every link's own counts.
    pub(crate) fn each(&self) -> Each {
        self.counting.each(&self.plane)
    }

    fn ask(&mut self) {
        while let Some((question, wanted)) = self.plane.poll_question() {
            self.resolver.ask(question, wanted);
        }
    }

    /// Follows this host's addresses.
    fn listen(&mut self) {
        let now: BTreeSet<(SocketAddr, u8)> = interfaces::local_addresses(&self.bound).collect();
        for (address, _) in self.listens.difference(&now) {
            self.program.ignore(*address);
        }
        let new: Vec<_> = now.difference(&self.listens).copied().collect();
        for (address, socket) in new {
            if let Err(error) = self.program.listen(address, socket) {
                tracing::warn!(%address, %error, "media to this address stays on the sockets");
            }
        }
        self.listens = now;
    }
}

/// With what keeps the plane below what it could be.
fn described(interface: String) -> String {
    match offloads::has_gro(&interface) {
        Ok(false) => {
            tracing::warn!(
                interface,
                "GRO is off: what a card hears comes in single packets, not in trains. Switch it on: tuning/apply, or \
                 `ethtool -K {interface} gro on`"
            );
            format!("{interface} (GRO is off)")
        }
        Ok(true) | Err(_) => interface,
    }
}

impl Tables for Program {
    fn place(&mut self, number: u32, destination: &Destination) -> bool {
        self.place(number, destination).is_ok()
    }

    fn displace(&mut self, number: u32) {
        self.displace(number);
    }

    fn write_run(&mut self, chunks: &[u32], numbers: &[u32]) -> bool {
        self.write_run(chunks, numbers).is_ok()
    }

    fn serve(&mut self, label: &Label, layer: &Layer) -> bool {
        self.serve(label, layer).is_ok()
    }

    fn stop_serving(&mut self, label: &Label) {
        self.stop_serving(label);
    }
}

impl Meters for Program {
    fn layer_tally(&self, index: u32) -> Tally {
        self.layer_tally(index)
    }

    fn link_tally(&self, index: u32) -> Tally {
        self.link_tally(index)
    }
}

impl ExpressError {
    /// With every cause behind the error: the last one is the kernel's word.
    fn refused(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let cause = cause.into();
        let mut text = cause.to_string();
        let mut source = cause.source();
        while let Some(behind) = source {
            text = format!("{text}: {behind}");
            source = behind.source();
        }
        // The verifier's log is long; its reason stands at its end.
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let last = lines.rev().find(|line| !line.starts_with("processed "));
        Self::Refused(last.map_or(first.to_owned(), |last| format!("{first} … {last}")))
    }
}
