//! The kernel's devices, neighbours and routes, by netlink (rtnetlink(7)), on a thread of its own: ten thousand routes
//! asked for again when one changes must not keep the control thread waiting.
//!
//! Neighbours are kept fresh by the sockets: every link's checks are answered there, every five seconds.

use super::interfaces::is_link_local;
use super::next_hop::{Book, Device, NextHop, Question, Route};
use crate::capabilities;
use futures_util::{Stream, StreamExt, TryStreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{
    InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia,
};
use rtnetlink::packet_route::rule::{RuleAttribute, RuleMessage};
use rtnetlink::{Handle, IpVersion, MulticastGroup, RouteMessageBuilder, new_multicast_connection};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

/// Routes change in bursts: all are looked at again this long after the first change.
const SETTLE: Duration = Duration::from_millis(100);
/// Everything is looked at again so often, in case the kernel had no room to tell of a change.
const REFRESH: Duration = Duration::from_secs(60);

const GROUPS: [MulticastGroup; 8] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

/// What the thread tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// An answer, new or changed.
    NextHop(Question, Option<NextHop>),
    /// This host's addresses may have changed.
    Addresses,
}

/// The thread. It ends when this is dropped.
pub(super) struct Resolver {
    /// True: asked; false: no longer.
    questions: UnboundedSender<(Question, bool)>,
    news: UnboundedReceiver<News>,
}

impl Resolver {
    /// Starts it in the calling thread's network; `sockets` are the router's, as bound.
    ///
    /// # Errors
    /// No netlink, or no thread.
    pub(super) fn start(sockets: &[SocketAddr]) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (questions, asked) = unbounded_channel();
        let (tell, news) = unbounded_channel();
        let sockets = sockets.to_vec();
        let (connection, handle, messages) = {
            let _inside = runtime.enter();
            new_multicast_connection(&GROUPS)?
        };
        thread::Builder::new().name("mmr-next-hops".to_owned()).spawn(move || {
            // Started while the program is attached, which took more than this thread needs.
            capabilities::give_up();
            runtime.block_on(async move {
                tokio::spawn(connection);
                let book = Book::new(sockets.iter().map(SocketAddr::port).collect());
                let mut task = Task { sockets, handle, book, is_routed_plainly: true, tell };
                task.run(asked, messages.map(|(message, _)| message)).await;
            });
        })?;
        Ok(Self { questions, news })
    }

    pub(super) fn ask(&self, question: Question, wanted: bool) {
        // A thread that ended answers no more: who was not on the plane stays on the sockets.
        let _ = self.questions.send((question, wanted));
    }

    /// The next news; pends for ever when there will be none.
    pub(super) async fn news(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }
}

struct Task {
    sockets: Vec<SocketAddr>,
    handle: Handle,
    book: Book,
    /// No rules but the kernel's own: which way a packet goes depends on its addresses alone.
    is_routed_plainly: bool,
    tell: UnboundedSender<News>,
}

impl Task {
    async fn run(
        &mut self,
        mut asked: UnboundedReceiver<(Question, bool)>,
        mut messages: impl Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + Unpin,
    ) {
        let mut refresh_at = Instant::now();
        let mut settle_at = None;
        loop {
            let due = settle_at.unwrap_or(refresh_at).min(refresh_at);
            tokio::select! {
                question = asked.recv() => match question {
                    None => return,
                    Some((question, true)) => {
                        self.book.ask(question);
                        self.look_up(question).await;
                    }
                    Some((question, false)) => self.book.forget(&question),
                },
                Some(message) = messages.next() => {
                    if self.hear(message.payload) {
                        settle_at.get_or_insert(Instant::now() + SETTLE);
                    }
                }
                () = sleep_until(due) => {
                    if Instant::now() >= refresh_at {
                        self.refresh().await;
                        refresh_at = Instant::now() + REFRESH;
                    }
                    settle_at = None;
                    self.look_up_all().await;
                }
            }
            while let Some((question, next_hop)) = self.book.poll_answer() {
                let _ = self.tell.send(News::NextHop(question, next_hop));
            }
        }
    }

    /// Hears of a change; answers whether routes may be others now.
    fn hear(&mut self, payload: NetlinkPayload<RouteNetlinkMessage>) -> bool {
        let NetlinkPayload::InnerMessage(message) = payload else { return false };
        match message {
            RouteNetlinkMessage::NewLink(link) => {
                self.book.note_device(link.header.index, device(&link));
                false
            }
            RouteNetlinkMessage::DelLink(link) => {
                self.book.note_device(link.header.index, None);
                false
            }
            RouteNetlinkMessage::NewNeighbour(neighbour) => {
                self.note_neighbour(&neighbour, mac(&neighbour));
                false
            }
            RouteNetlinkMessage::DelNeighbour(neighbour) => {
                self.note_neighbour(&neighbour, None);
                false
            }
            RouteNetlinkMessage::NewAddress(_) | RouteNetlinkMessage::DelAddress(_) => {
                let _ = self.tell.send(News::Addresses);
                true
            }
            _ => true,
        }
    }

    /// All devices and neighbours anew; what can't be asked for just now stays as it was.
    async fn refresh(&mut self) -> Option<()> {
        let links: Vec<LinkMessage> =
            self.handle.link().get().execute().try_collect().await.ok()?;
        let neighbours: Vec<NeighbourMessage> =
            self.handle.neighbours().get().execute().try_collect().await.ok()?;
        let devices = links.iter().filter_map(|link| Some((link.header.index, device(link)?)));
        let neighbours = neighbours.iter().filter_map(|neighbour| {
            Some(((neighbour.header.ifindex, neighbour_address(neighbour)?), mac(neighbour)?))
        });
        self.book.replace(devices.collect(), neighbours.collect());
        Some(())
    }

    async fn look_up_all(&mut self) {
        self.is_routed_plainly = true;
        for version in [IpVersion::V4, IpVersion::V6] {
            let rules = self.handle.rule().get(version).execute();
            let rules: Vec<RuleMessage> = rules.try_collect().await.unwrap_or_default();
            self.is_routed_plainly &= rules.iter().all(is_the_kernels_own);
        }
        for question in self.book.questions() {
            self.look_up(question).await;
        }
        self.book.answer(|_| true);
    }

    async fn look_up(&mut self, question: Question) {
        let route = if self.is_routed_plainly { self.route(question).await } else { None };
        self.book.note_route(&question, route);
    }

    /// Asks the kernel, as `ip route get` does.
    async fn route(&self, Question { socket, remote }: Question) -> Option<Route> {
        if is_link_local(remote) {
            return None;
        }
        let whole = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let mut asked =
            RouteMessageBuilder::<IpAddr>::new().destination_prefix(remote, whole(remote)).ok()?;
        let from = self.sockets.get(usize::from(socket))?.ip();
        if !from.is_unspecified() {
            asked = asked.source_prefix(from, whole(from)).ok()?;
        }
        let answers = self.handle.route().get(asked.build()).execute();
        let answer = std::pin::pin!(answers).try_next().await.ok()??;
        route_of(&answer, remote, from)
    }

    fn note_neighbour(&mut self, message: &NeighbourMessage, mac: Option<[u8; 6]>) {
        if let Some(address) = neighbour_address(message) {
            self.book.note_neighbour(message.header.ifindex, address, mac);
        }
    }
}

fn neighbour_address(message: &NeighbourMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    })
}

/// A device that is up and takes plain Ethernet frames.
fn device(link: &LinkMessage) -> Option<Device> {
    let flags = link.header.flags;
    let plain = link.header.link_layer_type == LinkLayerType::Ether
        && flags.contains(LinkFlags::Up)
        && !flags.intersects(LinkFlags::Loopback | LinkFlags::Noarp | LinkFlags::Pointopoint);
    let (mut mac, mut mtu, mut usual) = (None, None, true);
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::Address(bytes) => mac = <[u8; 6]>::try_from(bytes.as_slice()).ok(),
            LinkAttribute::Mtu(bytes) => mtu = Some(*bytes),
            LinkAttribute::LinkInfo(infos) => usual = infos.iter().all(is_usual),
            _ => {}
        }
    }
    let (mac, size_max) = (mac?, mtu?);
    (plain && usual).then_some(Device { mac, size_max })
}

/// Virtual devices that hand frames on as they are. Network cards say no kind.
fn is_usual(info: &LinkInfo) -> bool {
    let LinkInfo::Kind(kind) = info else { return true };
    matches!(
        kind,
        InfoKind::Veth
            | InfoKind::Vlan
            | InfoKind::Bond
            | InfoKind::Team
            | InfoKind::Bridge
            | InfoKind::MacVlan
    )
}

/// `None` while the neighbour is not known.
fn mac(neighbour: &NeighbourMessage) -> Option<[u8; 6]> {
    let known = matches!(
        neighbour.header.state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
    );
    let mac = neighbour.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => bytes.as_slice().try_into().ok(),
        _ => None,
    });
    mac.filter(|_| known)
}

/// Tables local, main and default, as every network has them from the start (ip-rule(8)).
fn is_the_kernels_own(rule: &RuleMessage) -> bool {
    let priority = rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    matches!((priority.unwrap_or(0), rule.header.table), (0, 255) | (32_766, 254) | (32_767, 253))
}

fn route_of(answer: &RouteMessage, remote: IpAddr, from: IpAddr) -> Option<Route> {
    if answer.header.kind != RouteType::Unicast {
        return None;
    }
    let (mut device, mut via, mut source) = (None, remote, from);
    for attribute in &answer.attributes {
        match attribute {
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::Gateway(gateway) => via = address(gateway)?,
            RouteAttribute::Via(RouteVia::Inet6(gateway)) => via = IpAddr::V6(*gateway),
            RouteAttribute::PrefSource(own) if from.is_unspecified() => source = address(own)?,
            RouteAttribute::EncapType(_) | RouteAttribute::Encap(_) => return None,
            _ => {}
        }
    }
    (!source.is_unspecified()).then_some(Route { device: device?, via, source })
}

fn address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}
