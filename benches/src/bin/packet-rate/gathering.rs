//! Everybody who takes part: joined over real control channels and kept there, or, for a floor, just their sockets.

use crate::error::BenchError;
use crate::interrupt;
use crate::member::{Link, Member};
use crate::rig::Rig;
use crate::scene::Sockets;
use crate::shape::Shape;
use mmr::dev::Dev;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;
use wire::Kind;
use wire::token::Role;

/// Between two checks of one link (RFC 7675 §5.1).
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);
/// People who join at once.
const AT_ONCE: usize = 32;
/// Kinds of an idle participant's links: as many as there are.
const IDLE_LINKS: u32 = 3;

/// Channels and consent, kept up until dropped.
pub(crate) struct Gathering {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Somebody who is in, with what they send.
struct Joined {
    member: Member,
    /// By the shape's kinds: their label, if they publish it.
    labels: Vec<Option<u32>>,
    receives: bool,
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
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, gathered) = sync_channel(1);
        let desk = Arc::new(Desk {
            router,
            ca_pem: dev.ca_pem().to_owned(),
            ip: rig.load_ip(),
            shape: shape.clone(),
        });
        let tokens = tokens(dev, shape);
        let thread = {
            let stop = stop.clone();
            rig.spawn_at_load(move || {
                keep(&desk, tokens, &stop, |sockets| ready.send(sockets).is_ok())
            })
        };
        let gathering = Self { stop, thread: Some(thread) };
        let sockets = gathered.recv().map_err(|_| BenchError::part("bench", "nobody joined"))??;
        Ok((gathering, sockets))
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What everybody needs to know to join.
struct Desk {
    router: SocketAddr,
    ca_pem: String,
    ip: IpAddr,
    shape: Shape,
}

/// Who somebody is going to be.
#[derive(Clone)]
enum Part {
    /// Publishes the kinds it is early enough for; receives when nobody else does.
    Publisher(u32),
    Subscriber,
    Idle,
}

/// Everybody's token and part, in the order they join: meetings one behind the other, publishers first.
fn tokens(dev: &Dev, shape: &Shape) -> Vec<(Part, String)> {
    let mut people = Vec::new();
    for meeting in 0..shape.meetings {
        let publishers = (0..shape.publishers()).map(Part::Publisher);
        let subscribers = (0..shape.subscribers).map(|_| Part::Subscriber);
        for (number, part) in publishers.chain(subscribers).enumerate() {
            let token = dev.token(&format!("m{meeting}"), &format!("p{number}"), Role::Attendee);
            people.push((part, token));
        }
    }
    for number in 0..shape.idle_links.div_ceil(IDLE_LINKS) {
        // Small meetings: nobody is told of ten thousand others.
        let token =
            dev.token(&format!("idle{}", number / 8), &format!("i{number}"), Role::Attendee);
        people.push((Part::Idle, token));
    }
    people
}

/// The thread: everybody joins, subscribes, stays.
fn keep(
    desk: &Arc<Desk>,
    tokens: Vec<(Part, String)>,
    stop: &AtomicBool,
    tell: impl FnOnce(Result<Sockets, BenchError>) -> bool,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            tell(Err(BenchError::part("bench", cause)));
            return;
        }
    };
    runtime.block_on(async {
        let joined = match gather(desk, tokens).await {
            Ok(joined) => joined,
            Err(error) => {
                tell(Err(error));
                return;
            }
        };
        match settle(desk, joined) {
            Ok((sockets, links, members)) => {
                if tell(Ok(sockets)) {
                    stay(links, members, stop).await;
                }
            }
            Err(error) => {
                tell(Err(error));
            }
        }
    });
}

async fn gather(desk: &Arc<Desk>, tokens: Vec<(Part, String)>) -> Result<Vec<Joined>, BenchError> {
    let joining = tokens.into_iter().map(|(part, token)| enter(desk.clone(), part, token));
    let joined = in_turns(joining).await?;
    // Only now has everybody published.
    in_turns(joined.into_iter().map(|joined| subscribe(desk.clone(), joined))).await
}

/// Runs all, some at a time, and answers in their order.
async fn in_turns<T, F>(futures: impl Iterator<Item = F>) -> Result<Vec<T>, BenchError>
where
    F: Future<Output = Result<T, BenchError>>,
{
    use futures_util::{StreamExt, TryStreamExt};
    futures_util::stream::iter(futures).buffered(AT_ONCE).try_collect().await
}

async fn enter(desk: Arc<Desk>, part: Part, token: String) -> Result<Joined, BenchError> {
    if interrupt::is_asked() {
        return Err(BenchError::Interrupted);
    }
    let mut member = Member::join(desk.router, &desk.ca_pem, token).await?;
    let mut labels = Vec::new();
    let receives = match part {
        Part::Publisher(_) => desk.shape.subscribers == 0,
        Part::Subscriber => true,
        Part::Idle => {
            for kind in Kind::ALL {
                member.connect(kind, desk.ip).await?;
            }
            return Ok(Joined { member, labels, receives: false });
        }
    };
    for media in &desk.shape.media {
        let publishes = matches!(part, Part::Publisher(number) if number < media.publishers);
        if publishes || receives {
            member.connect(media.kind, desk.ip).await?;
        }
        labels.push(match publishes {
            true => Some(member.publish(media.kind).await?.0),
            false => None,
        });
    }
    Ok(Joined { member, labels, receives })
}

async fn subscribe(desk: Arc<Desk>, mut joined: Joined) -> Result<Joined, BenchError> {
    if joined.receives {
        for (media, label) in desk.shape.media.iter().zip(&joined.labels) {
            let own = u32::from(label.is_some());
            joined.member.subscribe(media.kind, (media.publishers - own) as usize).await?;
        }
    }
    Ok(joined)
}

/// Sorts everybody's sockets by what they are for.
fn settle(
    desk: &Desk,
    joined: Vec<Joined>,
) -> Result<(Sockets, Vec<Link>, Vec<Member>), BenchError> {
    let kinds = desk.shape.media.len();
    let mut sockets = Sockets {
        publishers: (0..kinds).map(|_| Vec::new()).collect(),
        subscribers: (0..kinds).map(|_| Vec::new()).collect(),
    };
    let (mut links, mut members) = (Vec::new(), Vec::new());
    let failed = |cause| BenchError::part("bench", cause);
    for Joined { mut member, labels, receives } in joined {
        for (index, (media, label)) in desk.shape.media.iter().zip(labels).enumerate() {
            let Some(link) = member.links().get(&media.kind) else { continue };
            if let Some(label) = label {
                sockets.publishers[index].push((link.twin().map_err(failed)?.socket, label));
            }
            if receives {
                sockets.subscribers[index].push(link.twin().map_err(failed)?.socket);
            }
        }
        links.extend(std::mem::take(member.links()).into_values());
        members.push(member);
    }
    Ok((sockets, links, members))
}

/// Keeps every channel open and every link's consent up, evenly over time.
async fn stay(mut links: Vec<Link>, members: Vec<Member>, stop: &AtomicBool) {
    let mut channels = tokio::task::JoinSet::new();
    for member in members {
        channels.spawn(member.stay());
    }
    let ticks = 100;
    let share = links.len().div_ceil(ticks).max(1);
    let mut interval = tokio::time::interval(CONSENT_INTERVAL / u32::try_from(ticks).unwrap_or(1));
    loop {
        for links in links.chunks_mut(share) {
            interval.tick().await;
            if stop.load(Ordering::Relaxed) {
                return;
            }
            for link in links {
                let _ = link.check();
            }
        }
        for _ in links.len().div_ceil(share)..ticks {
            interval.tick().await;
        }
    }
}

/// By a publisher's port: where a floor sends what comes from there.
pub(crate) type Routes = Vec<(u16, Vec<SocketAddr>)>;

/// The same people without a router: sockets, and where a floor sends what comes from each.
///
/// # Errors
/// No file descriptor is left.
pub(crate) fn strangers(ip: IpAddr, shape: &Shape) -> Result<(Sockets, Routes), BenchError> {
    let failed = |cause| BenchError::part("bench", cause);
    let bind = || UdpSocket::bind((ip, 0)).map_err(failed);
    let address = |socket: &UdpSocket| socket.local_addr().map_err(failed);
    let mut sockets = Sockets { publishers: Vec::new(), subscribers: Vec::new() };
    let mut routes = Vec::new();
    for media in &shape.media {
        let (mut publishers, mut subscribers) = (Vec::new(), Vec::new());
        for _ in 0..shape.meetings {
            let everybody = if shape.subscribers == 0 { shape.publishers() } else { 0 };
            let receivers = (0..shape.subscribers.max(everybody))
                .map(|_| bind())
                .collect::<Result<Vec<_>, _>>()?;
            let there = receivers.iter().map(address).collect::<Result<Vec<_>, _>>()?;
            for number in 0..media.publishers {
                let own = receivers.get(number as usize).filter(|_| everybody > 0);
                let socket = match own {
                    Some(socket) => socket.try_clone().map_err(failed)?,
                    None => bind()?,
                };
                let here = address(&socket)?;
                let others = there.iter().filter(|there| **there != here).copied().collect();
                routes.push((here.port(), others));
                publishers.push((socket, number));
            }
            subscribers.extend(receivers);
        }
        sockets.publishers.push(publishers);
        sockets.subscribers.push(subscribers);
    }
    Ok((sockets, routes))
}
