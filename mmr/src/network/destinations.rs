//! Where each link's packets go: a table by link index, filled by [`LinkChange`]s.

use super::address::Name;
use router::{LinkChange, Path};
use std::net::SocketAddr;
use wire::mark::Marks;

/// A change the network cannot carry out: a mistake of whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The table has no such place.
    #[error("link {0} is beyond the table")]
    NoSuchLink(u32),
    /// The worker has no such socket.
    #[error("socket {0} does not exist")]
    NoSuchSocket(u8),
    /// TCP and TLS links are the door's.
    #[error("only UDP paths are the network's")]
    NotUdp,
    /// An IPv4 address on an IPv6 socket, or the other way round.
    #[error("socket {socket} cannot reach {remote}")]
    OtherFamily {
        /// The socket.
        socket: u8,
        /// The address.
        remote: SocketAddr,
    },
}

/// A link's peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Destination {
    pub(super) name: Name,
    pub(super) socket: u8,
    pub(super) v6: bool,
    /// Whether trains may go out whole; cleared when the kernel refuses one.
    pub(super) gso: bool,
}

impl Destination {
    fn same(&self, other: &Self) -> bool {
        (self.socket, self.name.bytes) == (other.socket, other.name.bytes)
    }
}

/// All links' peers, and the marks of their packets. Takes its memory at start.
pub(super) struct Destinations {
    table: Box<[Option<Destination>]>,
    /// By socket: whether it is an IPv6 one.
    sockets: Box<[bool]>,
    marks: Marks,
}

impl Destinations {
    pub(super) fn new(links: u32, sockets: &[SocketAddr], marks: Marks) -> Self {
        Self {
            table: vec![None; links as usize].into_boxed_slice(),
            sockets: sockets.iter().map(SocketAddr::is_ipv6).collect(),
            marks,
        }
    }

    pub(super) fn apply(&mut self, change: LinkChange) -> Result<(), LinkError> {
        match change {
            LinkChange::Bind { link, path, .. } => {
                let mut destination = self.destination(path)?;
                let place = self.place(link)?;
                // The same path again has not learned to take trains meanwhile.
                destination.gso =
                    place.is_none_or(|before| before.gso || !before.same(&destination));
                *place = Some(destination);
            }
            LinkChange::Unbind { link } => *self.place(link)? = None,
            LinkChange::Mark(marks) => self.marks = marks,
        }
        Ok(())
    }

    /// The path refused a train: from now on packets go one by one, until the link has another
    /// path. Answers whether that is news.
    pub(super) fn refuse_trains(&mut self, link: u32) -> bool {
        match self.table.get_mut(link as usize) {
            Some(Some(destination)) => std::mem::take(&mut destination.gso),
            _ => false,
        }
    }

    pub(super) fn of(&self, link: u32) -> Option<&Destination> {
        self.table.get(link as usize)?.as_ref()
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    fn destination(&self, path: Path) -> Result<Destination, LinkError> {
        let Path::Udp { socket, remote } = path else { return Err(LinkError::NotUdp) };
        let v6 = *self.sockets.get(usize::from(socket)).ok_or(LinkError::NoSuchSocket(socket))?;
        if v6 != remote.is_ipv6() {
            return Err(LinkError::OtherFamily { socket, remote });
        }
        Ok(Destination { name: Name::of(remote), socket, v6, gso: true })
    }

    fn place(&mut self, link: u32) -> Result<&mut Option<Destination>, LinkError> {
        self.table.get_mut(link as usize).ok_or(LinkError::NoSuchLink(link))
    }
}
