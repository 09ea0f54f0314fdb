//! Which way everybody came, phase by phase, as people read it.

use super::meeting::Came;
use super::table::{lay_out, ms};
use client::Phase;

const HEADINGS: [&str; 10] = [
    "participant",
    "meeting",
    "zone",
    "web by",
    "zone by",
    "media by",
    "lookup ms",
    "zone ms",
    "MMR ms",
    "media ms",
];
/// Names to the left, numbers to the right.
const LEFT: usize = 6;

/// A row per participant.
pub(super) fn render(came: &[Came]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(came.iter().map(row));
    let text = "the way in: lookup at the web infrastructure, the zone by a network test, the MMR by its controller, media\n";
    text.to_owned() + &lay_out(&rows, LEFT)
}

fn row(Came { participant, meeting, way }: &Came) -> [String; 10] {
    let took = |phase| ms(way.phase(phase).map(|it| it.took_us));
    let by = |phase| way.phase(phase).map_or_else(|| "–".to_owned(), |it| it.way.to_string());
    let transport = way.media.first().map_or("–", |media| media.transport.name());
    [
        participant.clone(),
        (*meeting).to_owned(),
        way.zone.clone().unwrap_or_else(|| "–".to_owned()),
        by(Phase::Lookup),
        by(Phase::Zone),
        format!("{transport} {}", by(Phase::Media)),
        took(Phase::Lookup),
        took(Phase::Zone),
        took(Phase::Mmr),
        took(Phase::Media),
    ]
}
