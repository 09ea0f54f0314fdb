//! Who takes part, and how they come in.

use super::consent::Keeper;
use crate::error::BenchError;
use crate::interrupt;
use crate::member::{Link, Member};
use crate::shape::Shape;
use futures_util::{StreamExt, TryStreamExt, stream};
use mmr::dev::Dev;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use wire::Kind;
use wire::token::Role;

/// Meetings that gather at once.
const MEETINGS_AT_ONCE: usize = 4;
/// People of a meeting who join at once.
const PEOPLE_AT_ONCE: usize = 8;
/// Kinds of an idle participant's links: as many as there are.
const IDLE_LINKS: u32 = 3;
/// Idle people of a meeting: nobody is told of ten thousand others.
const IDLE_MEETING: usize = 8;

/// A meeting's people, in the order they join, with their tokens.
pub(super) type Meeting = Vec<(Part, String)>;

/// Somebody who is in, and stays.
pub(super) struct Joined {
    /// By the shape's kinds: what they send from and hear on.
    pub(super) sockets: Vec<Option<Arc<UdpSocket>>>,
    /// By the shape's kinds: their label, if they publish it.
    pub(super) labels: Vec<Option<u32>>,
    pub(super) receives: bool,
}

/// What everybody needs to know to join.
pub(super) struct Desk {
    pub(super) router: SocketAddr,
    pub(super) ca_pem: String,
    pub(super) ip: IpAddr,
    pub(super) shape: Shape,
}

/// Who somebody is going to be.
pub(super) enum Part {
    /// Publishes the kinds it is early enough for; receives when nobody else does.
    Publisher(u32),
    Subscriber,
    Idle,
}

/// Everybody: publishers first, idle people last.
pub(super) fn meetings(dev: &Dev, shape: &Shape) -> Vec<Meeting> {
    let invite = |meeting: &str, number, part| {
        (part, dev.token(meeting, &format!("p{number}"), Role::Attendee))
    };
    let mut meetings = Vec::new();
    for meeting in 0..shape.meetings {
        let publishers = (0..shape.publishers()).map(Part::Publisher);
        let subscribers = (0..shape.subscribers).map(|_| Part::Subscriber);
        let parts = publishers.chain(subscribers).enumerate();
        let name = format!("m{meeting}");
        meetings.push(parts.map(|(number, part)| invite(&name, number, part)).collect());
    }
    let idle: Vec<_> = (0..shape.idle_links.div_ceil(IDLE_LINKS)).collect();
    for (meeting, numbers) in idle.chunks(IDLE_MEETING).enumerate() {
        let name = format!("idle{meeting}");
        meetings.push(
            numbers.iter().map(|number| invite(&name, *number as usize, Part::Idle)).collect(),
        );
    }
    meetings
}

/// Everybody joins and subscribes, and stays for as long as runtime and keeper do.
///
/// # Errors
/// The router turns somebody away.
pub(super) async fn gather(
    desk: &Desk,
    keeper: &Keeper,
    meetings: Vec<Meeting>,
) -> Result<Vec<Joined>, BenchError> {
    let meetings = meetings.into_iter().map(|people| meet(desk, keeper, people));
    let joined: Vec<_> = stream::iter(meetings).buffered(MEETINGS_AT_ONCE).try_collect().await?;
    Ok(joined.into_iter().flatten().collect())
}

/// First who publishes. Who does not, settles at once: nobody sits there and hears nothing while thousands join.
async fn meet(desk: &Desk, keeper: &Keeper, people: Meeting) -> Result<Vec<Joined>, BenchError> {
    let (publishers, others): (Vec<_>, Vec<_>) =
        people.into_iter().partition(|(part, _)| matches!(part, Part::Publisher(_)));
    let entering = publishers.into_iter().map(|(part, token)| enter(desk, part, token));
    let entered: Vec<_> = stream::iter(entering).buffered(PEOPLE_AT_ONCE).try_collect().await?;
    // Only now has everybody published.
    let settling = entered.into_iter().map(|entered| subscribe(desk, keeper, entered));
    let mut joined: Vec<_> = stream::iter(settling).buffered(PEOPLE_AT_ONCE).try_collect().await?;
    let coming = others.into_iter().map(async |(part, token)| {
        let entered = enter(desk, part, token).await?;
        subscribe(desk, keeper, entered).await
    });
    let came: Vec<_> = stream::iter(coming).buffered(PEOPLE_AT_ONCE).try_collect().await?;
    joined.extend(came);
    Ok(joined)
}

/// Somebody who has joined, with their labels by the shape's kinds.
struct Entered {
    member: Member,
    labels: Vec<Option<u32>>,
    receives: bool,
}

async fn enter(desk: &Desk, part: Part, token: String) -> Result<Entered, BenchError> {
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
            return Ok(Entered { member, labels, receives: false });
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
    Ok(Entered { member, labels, receives })
}

async fn subscribe(desk: &Desk, keeper: &Keeper, entered: Entered) -> Result<Joined, BenchError> {
    let Entered { mut member, labels, receives } = entered;
    if receives {
        for (media, label) in desk.shape.media.iter().zip(&labels) {
            let own = u32::from(label.is_some());
            member.subscribe(media.kind, (media.publishers - own) as usize).await?;
        }
    }
    let socket = |kind| member.links.get(&kind).map(|link: &Link| link.socket.clone());
    let sockets = desk.shape.media.iter().map(|media| socket(media.kind)).collect();
    member.links.into_values().for_each(|link| keeper.keep(link));
    tokio::spawn(member.channel.drain());
    Ok(Joined { sockets, labels, receives })
}
