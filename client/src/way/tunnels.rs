//! Which HTTP tunnel answers first: all are asked at once.

use super::journal::{Journal, Place};
use super::report::Phase;
use crate::dial::Dialer;
use crate::https::{Https, Origin};
use crate::limits::{ANSWER_LEN_MAX, TUNNEL_DEADLINE};
use std::io;
use tokio::task::JoinSet;
use wire::tunnel::{PING_PATH, Pong};

/// The tunnel that answered first.
pub(super) struct First {
    pub(super) tunnel: Origin,
    /// The zones it leads to.
    pub(super) zones: Vec<String>,
}

/// The first tunnel to answer that leads to one of these zones; `None`: none does.
pub(super) async fn first(
    dialer: &Dialer,
    tunnels: &[Origin],
    zones: &[&str],
    journal: &Journal,
) -> Option<First> {
    let mut pings = JoinSet::new();
    for tunnel in tunnels {
        let (dialer, tunnel, journal) = (dialer.clone(), tunnel.clone(), journal.clone());
        pings.spawn(async move {
            let place = Place::new(Phase::Zone, dialer.way_to(&tunnel.target().host), &tunnel);
            let asked = ping(&dialer, &tunnel);
            let describe = |zones: &Vec<String>| format!("leads to {}", zones.join(", "));
            let zones = journal.step(&place, "tunnel", TUNNEL_DEADLINE, asked, describe).await;
            zones.ok().map(|zones| First { tunnel, zones })
        });
    }
    while let Some(answered) = pings.join_next().await {
        let leads = |first: &First| first.zones.iter().any(|zone| zones.contains(&zone.as_str()));
        if let Some(first) = answered.ok().flatten().filter(leads) {
            return Some(first);
        }
    }
    None
}

async fn ping(dialer: &Dialer, tunnel: &Origin) -> io::Result<Vec<String>> {
    let mut https = Https::open(dialer, tunnel).await?;
    let answer = https.get(PING_PATH, ANSWER_LEN_MAX).await?;
    let pong = serde_json::from_slice::<Pong>(&answer.body).ok();
    let pong = pong.filter(|_| answer.is_success());
    let words = format!("it answers {} to a ping; is it an HTTP tunnel?", answer.status);
    pong.map(|pong| pong.zones).ok_or_else(|| io::Error::other(words))
}
