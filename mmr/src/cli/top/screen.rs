//! The picture: a headline, the workers, the kinds, the express plane, the drops.

mod express;

use super::rates::{Flow, Rates, WorkerRates};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table};
use wire::Kind;

/// Reasons shown, at most.
const DROPS_SHOWN: usize = 12;
/// Cells of a busy bar.
const BAR: usize = 20;

/// Rows the picture takes.
pub(super) fn height(rates: &Rates) -> u16 {
    let tables = rates.workers.len() + Kind::ALL.len() + drop_rows(rates) + express_rows(rates);
    let rows = HEADLINES + 3 * 2 + tables;
    u16::try_from(rows).unwrap_or(u16::MAX)
}

const HEADLINES: usize = 3;

pub(super) fn draw(frame: &mut Frame<'_>, rates: &Rates) {
    let rows = |rows: usize| Constraint::Length(u16::try_from(rows).unwrap_or(u16::MAX));
    let [head, workers, kinds, express, drops] = Layout::vertical([
        rows(HEADLINES),
        rows(2 + rates.workers.len()),
        rows(2 + Kind::ALL.len()),
        rows(express_rows(rates)),
        Constraint::Min(2),
    ])
    .areas(frame.area());
    frame.render_widget(headlines(rates), head);
    draw_workers(frame, workers, rates);
    draw_kinds(frame, kinds, rates);
    if rates.now.express.on {
        express::draw(frame, express, rates);
    }
    draw_drops(frame, drops, rates);
}

fn headlines(rates: &Rates) -> Paragraph<'_> {
    let now = &rates.now;
    let state = match now.draining_s {
        Some(left) => format!("draining, {left} s left").yellow(),
        None => "taking newcomers".green(),
    };
    let links: Vec<String> =
        now.links.iter().map(|(transport, count)| format!("{count} {transport}")).collect();
    Paragraph::new(Text::from(vec![
        Line::from(vec![
            format!("mmr {}  zone {}  up {}  ", now.version, now.zone, uptime(now.uptime_s)).into(),
            state,
        ]),
        Line::from(format!(
            "{} meetings  {} participants  {} streams  links: {}",
            now.meetings,
            now.participants,
            now.streams,
            links.join(", ")
        )),
        Line::from(format!(
            "{} control channels  {} orders waiting  door on {}  {}",
            now.control.channels,
            now.control.orders_waiting,
            now.door_backend,
            match now.express.on {
                true => format!("express: {} routes", now.express.routes),
                false => "express off".to_owned(),
            }
        )),
    ]))
}

fn titled(title: &'static str) -> Block<'static> {
    Block::new().borders(Borders::TOP).title(title)
}

fn header<const N: usize>(names: [&'static str; N]) -> Row<'static> {
    Row::new(names).style(Style::new().bold())
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, rates: &Rates) {
    let widths = [6, 7, 28, 9, 9, 10, 10, 10].map(Constraint::Length);
    let table = Table::new(rates.workers.iter().map(worker_row), widths)
        .header(header([
            "worker", "backend", "busy", "in /s", "out /s", "p50 µs", "p99 µs", "max µs",
        ]))
        .block(titled(" workers: forward latency of the last second "));
    frame.render_widget(table, area);
}

fn worker_row(worker: &WorkerRates) -> Row<'static> {
    let latency = |value: u64| match worker.latency_us.count {
        0 => "-".to_owned(),
        _ => value.to_string(),
    };
    let row = Row::new([
        worker.worker.to_string(),
        worker.backend.clone(),
        busy(worker.busy),
        short(worker.flow.packets_in),
        short(worker.flow.packets_out),
        latency(worker.latency_us.p50),
        latency(worker.latency_us.p99),
        latency(worker.latency_us.max),
    ]);
    match worker {
        worker if worker.heartbeat_age_ms > 5_000 => row.style(Style::new().fg(Color::Red)),
        worker if worker.busy > 0.8 => row.style(Style::new().fg(Color::Yellow)),
        _ => row,
    }
}

fn draw_kinds(frame: &mut Frame<'_>, area: Rect, rates: &Rates) {
    let widths = [10, 14, 14, 14, 14].map(Constraint::Length);
    let rows = Kind::ALL.into_iter().zip(&rates.kinds).map(|(kind, flow)| {
        let Flow { packets_in, bits_in, packets_out, bits_out } = *flow;
        Row::new([
            kind.name().to_owned(),
            short(packets_in),
            format!("{}bit/s", short(bits_in)),
            short(packets_out),
            format!("{}bit/s", short(bits_out)),
        ])
    });
    let table = Table::new(rows, widths)
        .header(header(["kind", "packets in /s", "in", "packets out /s", "out"]))
        .block(titled(" media in, everything out "));
    frame.render_widget(table, area);
}

fn draw_drops(frame: &mut Frame<'_>, area: Rect, rates: &Rates) {
    if rates.drops.is_empty() {
        let nothing = Paragraph::new("none since start").block(titled(" drops "));
        return frame.render_widget(nothing, area);
    }
    let widths = [22, 14, 16].map(Constraint::Length);
    let rows = rates.drops.iter().take(DROPS_SHOWN).map(|(reason, rate, count)| {
        let row = Row::new([reason.clone(), short(*rate), count.to_string()]);
        if *rate > 0.0 { row.style(Style::new().fg(Color::Yellow)) } else { row }
    });
    let table = Table::new(rows, widths)
        .header(header(["reason", "packets /s", "since start"]))
        .block(titled(" drops "));
    frame.render_widget(table, area);
}

fn express_rows(rates: &Rates) -> usize {
    if rates.now.express.on { express::rows(rates) } else { 0 }
}

fn drop_rows(rates: &Rates) -> usize {
    rates.drops.len().clamp(1, DROPS_SHOWN)
}

/// A bar and its percentage.
fn busy(share: f64) -> String {
    let share = share.clamp(0.0, 1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 20")]
    let full = (share * BAR as f64).round() as usize;
    format!("{}{} {:3.0} %", "█".repeat(full), "·".repeat(BAR - full), share * 100.0)
}

/// Three digits and a unit prefix.
fn short(value: f64) -> String {
    match value {
        value if value < 1_000.0 => format!("{value:.0} "),
        value if value < 1e6 => format!("{:.1} k", value / 1e3),
        value if value < 1e9 => format!("{:.1} M", value / 1e6),
        value => format!("{:.1} G", value / 1e9),
    }
}

fn uptime(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}
