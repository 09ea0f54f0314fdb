//! A run as a page: plots, then every table, in one file that needs no other.

mod plot;

use crate::document::{Document, unwritable};
use crate::error::BenchError;
use crate::results::Results;
use plot::{Bar, Bars};
use std::fmt::Write;
use std::path::Path;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1c2024;background:#fff}h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}\
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;text-align:right;\
border-bottom:1px solid #e3e6e9;font-variant-numeric:tabular-nums}td:first-child,th:first-child{text-align:left}\
.met{color:#18794e}.missed{color:#c62a2f}.caveat{background:#fff3cd;padding:.5rem 1rem}svg{width:100%;height:auto}\
.note{color:#5c6670}";

/// Writes the page.
///
/// # Errors
/// It can't be written.
pub(crate) fn write(
    file: &Path,
    document: &Document<'_>,
    results: &Results,
    table: &str,
) -> Result<(), BenchError> {
    std::fs::write(file, render(document, results, table)).map_err(|cause| unwritable(file, &cause))
}

fn render(document: &Document<'_>, results: &Results, table: &str) -> String {
    let host = &document.host;
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>packet-rate</title><style>{STYLE}</style><h1>packet-rate</h1>\
         <p class=note>mmr {} · {} · {} · {} cores<br><code>{}</code></p>",
        escape(document.version),
        escape(&host.kernel),
        escape(&host.cpu),
        host.cores,
        escape(&host.command),
    );
    if let Some(caveat) = document.caveat {
        let _ = write!(page, "<p class=caveat>{}</p>", escape(caveat));
    }
    targets(&mut page, document);
    for (title, note, bars) in plots(document, results) {
        if !bars.is_empty() {
            let _ = write!(page, "<h2>{title}</h2><p class=note>{note}</p>{}", bars.render());
        }
    }
    let _ = write!(page, "<h2>Every figure</h2><pre>{}</pre></html>", escape(table));
    page
}

fn targets(page: &mut String, document: &Document<'_>) {
    if document.targets.is_empty() {
        return;
    }
    page.push_str("<h2>Targets</h2><table><tr><th>ratio<th>least<th>median<th>most<th>at most<th>");
    for verdict in &document.targets {
        let (class, word) = if verdict.met { ("met", "met") } else { ("missed", "missed") };
        let _ = write!(
            page,
            "<tr><td>{} · {}<td>{:.3}<td><b>{:.3}</b><td>{:.3}<td>{:.2}<td class={class}>{word}",
            verdict.number,
            escape(verdict.about),
            verdict.min,
            verdict.median,
            verdict.max,
            verdict.at_most,
        );
    }
    page.push_str("</table>");
}

/// The plots there are figures for: title, note, bars.
fn plots(document: &Document<'_>, results: &Results) -> Vec<(&'static str, &'static str, Bars)> {
    let by_shape = |metrics: &[(&'static str, &'static str)], unit| {
        let mut bars = Bars::new(unit);
        for shape in &document.shapes {
            for contender in ["floor", "floor-gso", "poll", "uring"] {
                let segments: Vec<_> = metrics
                    .iter()
                    .filter_map(|(metric, name)| {
                        Some((*name, results.spread(shape.name, contender, metric)?.median))
                    })
                    .collect();
                if !segments.is_empty() {
                    let group = format!("{} (1→{})", shape.name, shape.fan_out);
                    bars.push(Bar { group, name: contender, segments });
                }
            }
        }
        bars
    };
    let stages = [
        ("stage_thread_ns", "a floor's thread, all of it"),
        ("stage_receive_ns", "receive: waking up, and the kernel's half of it"),
        ("stage_route_ns", "route: everything between receive and transmit"),
        ("stage_transmit_ns", "transmit: submissions, and the kernel's way to the device"),
        ("stage_outside_ns", "outside the thread: softirq, interrupts, others"),
    ];
    let latency = |metric| by_shape(&[(metric, "p99")], "µs");
    vec![
        (
            "Cost by shape and fan-out",
            "CPU time of the forwarding threads per delivered datagram, median of the rounds.",
            by_shape(&[("thread_ns", "thread")], "ns"),
        ),
        (
            "The core's budget by stage",
            "All of the router's core per delivered datagram.",
            by_shape(&stages, "ns"),
        ),
        (
            "Latency at half of the own loss-free rate",
            "From the time a frame should have been sent to the subscriber's kernel, 99 of 100 at most.",
            latency("latency_half_p99_us"),
        ),
        ("Latency at 90 % of the own loss-free rate", "The same.", latency("latency_most_p99_us")),
        (
            "Highest loss-free rate",
            "Delivered datagrams per second; less than one in 10,000 lost.",
            by_shape(&[("loss_free_dps", "rate")], "datagrams/s"),
        ),
    ]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
