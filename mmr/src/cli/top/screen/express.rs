//! The express plane's part of the picture: its busiest layers and links, side by side.

use super::super::rates::{LayerRates, LinkRates, Rates};
use super::{header, short};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::widgets::{Block, Borders, Row, Table};

/// Layers and links shown, at most.
const SHOWN: usize = 8;

/// Rows it takes.
pub(super) fn rows(rates: &Rates) -> usize {
    2 + rates.layers.len().max(rates.links.len()).clamp(1, SHOWN)
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, rates: &Rates) {
    let halves = [Constraint::Percentage(58), Constraint::Percentage(42)];
    let [left, right] = Layout::horizontal(halves).areas(area);
    let columns = [8, 9, 12, 9, 9, 9].map(Constraint::Length);
    let layers = rates.layers.iter().take(SHOWN).map(layer_row);
    let table = Table::new(layers, columns)
        .header(header(["layer", "ssrc", "destinations", "in /s", "copies /s", "over rate"]))
        .block(Block::new().borders(Borders::TOP).title(title(rates)));
    frame.render_widget(table, left);
    let links = rates.links.iter().take(SHOWN).map(link_row);
    let table = Table::new(links, [8, 7, 10, 10].map(Constraint::Length))
        .header(header(["link", "number", "copies /s", "refused /s"]))
        .block(Block::new().borders(Borders::TOP));
    frame.render_widget(table, right);
}

fn title(rates: &Rates) -> String {
    let express = &rates.now.express;
    let latency = express.latency_recent_ns;
    let copied = match latency.count {
        0 => String::new(),
        _ => format!(": last copy after {} µs, p99 {} µs", us(latency.p50), us(latency.p99)),
    };
    format!(" express on {}{copied} ", express.why)
}

fn us(ns: u64) -> u64 {
    ns.div_ceil(1_000)
}

fn layer_row(layer: &LayerRates) -> Row<'static> {
    let destinations = u32::try_from(layer.destinations).unwrap_or(u32::MAX);
    let row = Row::new([
        layer.kind.clone(),
        format!("{:08x}", layer.ssrc),
        layer.destinations.to_string(),
        short(layer.heard),
        short(layer.heard * f64::from(destinations)),
        short(layer.over_rate),
    ]);
    if layer.over_rate > 0.0 { row.style(Style::new().fg(Color::Yellow)) } else { row }
}

fn link_row(link: &LinkRates) -> Row<'static> {
    let row =
        Row::new([link.kind.clone(), link.link.to_string(), short(link.sent), short(link.refused)]);
    if link.refused > 0.0 { row.style(Style::new().fg(Color::Yellow)) } else { row }
}
