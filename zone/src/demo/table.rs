//! The result as people read it.

use super::Verdict;
use super::outcome::Outcome;
use client::Way;
use std::fmt::Write;

const HEADINGS: [&str; 12] = [
    "subscriber",
    "meeting",
    "MMR",
    "kind",
    "expected",
    "delivered",
    "repaired",
    "lost",
    "p50 ms",
    "p99 ms",
    "DSCP",
    "frames identical",
];
/// Names to the left, numbers to the right.
const LEFT: usize = 4;

/// A row per subscriber and kind.
pub(super) fn render(outcomes: &[Outcome]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(outcomes.iter().map(row));
    lay_out(&rows, LEFT)
}

/// Headings, a line, and rows; so many columns to the left, the others to the right.
pub(super) fn lay_out<const COLUMNS: usize>(rows: &[[String; COLUMNS]], left: usize) -> String {
    let widths: Vec<usize> = (0..COLUMNS)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = if column < left {
                write!(line, "{cell:width$}  ")
            } else {
                write!(line, "{cell:>width$}  ")
            };
        }
        text += line.trim_end();
        text.push('\n');
        if number == 0 {
            text += &"─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
            text.push('\n');
        }
    }
    text
}

fn row(outcome: &Outcome) -> [String; 12] {
    let dscp = match &outcome.dscp {
        // What comes out of a proxy or a tunnel is not what the MMR sent.
        _ if outcome.way != Way::Direct => "–".into(),
        Some(seen) => seen.iter().map(u8::to_string).collect::<Vec<_>>().join(" "),
        None => "untold".into(),
    };
    let complete = if outcome.is_complete() { "" } else { " ✗" };
    [
        outcome.subscriber.clone(),
        outcome.meeting.to_owned(),
        outcome.mmr.clone(),
        outcome.kind.to_string(),
        outcome.expected.to_string(),
        outcome.delivered.to_string(),
        outcome.repaired.to_string(),
        outcome.lost.to_string(),
        ms(outcome.latency_p50_us),
        ms(outcome.latency_p99_us),
        dscp,
        format!("{} of {}{complete}", outcome.frames_identical, outcome.frames_published),
    ]
}

/// Milliseconds of microseconds.
pub(super) fn ms(micros: Option<u64>) -> String {
    match micros {
        Some(micros) => format!("{}.{:02}", micros / 1000, micros % 1000 / 10),
        None => "–".into(),
    }
}

/// What it comes to, in a sentence or two.
pub(super) fn conclusion(outcomes: &[Outcome], verdict: Verdict) -> String {
    let mut text = match verdict {
        Verdict::Everything => {
            "Everything arrived: every frame at every subscriber is the source's, byte for byte."
                .to_owned()
        }
        Verdict::Incomplete => "Not everything arrived: see the rows with ✗.".to_owned(),
        Verdict::Interrupted => "Interrupted: what was not played could not arrive.".to_owned(),
    };
    let is_untold = |outcome: &Outcome| outcome.way == Way::Direct && outcome.dscp.is_none();
    if outcomes.iter().any(is_untold) {
        text += "\nuntold: Linux does not tell an unprivileged program the marks on IPv4 TCP; run it as root to see them.";
    }
    text
}
