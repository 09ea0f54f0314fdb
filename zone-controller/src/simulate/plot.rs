//! Outcomes as one HTML page with its plots in it: nothing is loaded from elsewhere.

use super::{Outcome, Sample, Scenario};
use std::fmt::Write;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 180.0;
/// The largest load drawn, so that strategies can be compared by eye; what is above is drawn there.
const TOP: f64 = 1.5;
/// Left of and below the plot, for the axes' words.
const MARGIN: f64 = 40.0;
/// Bars of a distribution.
const BARS: usize = 60;

/// The page.
pub fn page(scenario: &Scenario, outcomes: &[Outcome]) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Placement simulated</title><style>\
         :root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}body{margin:2rem auto;max-width:86rem;padding:0 1rem}\
         svg{max-width:100%;overflow:visible}section{display:flex;flex-wrap:wrap;gap:2rem}\
         text{font-size:11px;fill:currentColor}.axis{stroke:currentColor;opacity:.4}.full{stroke:#c33;stroke-dasharray:4}\
         .mean{stroke:#37a}.p99{stroke:#b80}.most{stroke:#c33}polyline{fill:none;stroke-width:1.5}rect{fill:#37a}</style>\
         <h1>Placement simulated</h1>",
    );
    let _ = write!(
        page,
        "<p>{} MMRs, {} people within {} s, {} MMRs die, seed {}. Load as it is, not as it is reported; 1 is full. \
         Lines: <span style=\"color:#37a\">mean</span>, <span style=\"color:#b80\">99th percentile</span>, \
         <span style=\"color:#c33\">fullest MMR</span>. Bars: MMRs by their load in the end. \
         What is above {TOP} is drawn at {TOP}.</p>",
        scenario.mmrs,
        scenario.joins,
        scenario.burst.as_secs_f64(),
        scenario.deaths,
        scenario.seed,
    );
    for outcome in outcomes {
        let _ = write!(
            page,
            "<h2>{}</h2><p>spread {:.3}, fullest {:.2}, {} overloaded at once, {} told to come back</p><section>",
            outcome.strategy.name(),
            outcome.spread(),
            outcome.peak(),
            outcome.overloaded(),
            outcome.refusals,
        );
        course(&mut page, &outcome.course);
        distribution(&mut page, &outcome.loads);
        page.push_str("</section>");
    }
    page + "</html>\n"
}

fn begin(page: &mut String) {
    let _ = write!(
        page,
        "<svg width=\"{w}\" height=\"{h}\" viewBox=\"-{MARGIN} -10 {w} {h}\" role=\"img\">\
         <line class=\"axis\" x1=\"0\" y1=\"{HEIGHT}\" x2=\"{WIDTH}\" y2=\"{HEIGHT}\"/>\
         <line class=\"axis\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"{HEIGHT}\"/>",
        w = WIDTH + 2.0 * MARGIN,
        h = HEIGHT + MARGIN,
    );
}

fn course(page: &mut String, course: &[Sample]) {
    let end = course.last().map_or(1.0, |sample| sample.at.as_secs_f64()).max(1.0);
    let y = |load: f64| HEIGHT * (1.0 - load.min(TOP) / TOP);
    begin(page);
    let _ = write!(
        page,
        "<line class=\"full\" x1=\"0\" y1=\"{full:.1}\" x2=\"{WIDTH}\" y2=\"{full:.1}\"/>\
         <text x=\"-12\" y=\"{full:.1}\">1</text><text x=\"-12\" y=\"{HEIGHT}\">0</text>\
         <text x=\"{x}\" y=\"{below}\">{end:.0} s</text>",
        full = y(1.0),
        x = WIDTH - 20.0,
        below = HEIGHT + 16.0,
    );
    for (at, class) in ["mean", "p99", "most"].into_iter().enumerate() {
        let _ = write!(page, "<polyline class=\"{class}\" points=\"");
        for sample in course {
            let x = sample.at.as_secs_f64() / end * WIDTH;
            let load = [sample.mean, sample.p99, sample.most][at];
            let _ = write!(page, "{x:.1},{:.1} ", y(load));
        }
        page.push_str("\"/>");
    }
    page.push_str("</svg>");
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of the bars is one of them"
)]
fn distribution(page: &mut String, loads: &[f64]) {
    let mut bars = [0_usize; BARS];
    for load in loads {
        bars[((load / TOP * BARS as f64) as usize).min(BARS - 1)] += 1;
    }
    let most = bars.iter().copied().max().unwrap_or(1).max(1) as f64;
    let width = WIDTH / BARS as f64;
    begin(page);
    for (at, count) in bars.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = *count as f64 / most * HEIGHT;
        let _ = write!(
            page,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            at as f64 * width,
            HEIGHT - height,
            width - 1.0,
        );
    }
    let _ = write!(
        page,
        "<line class=\"full\" x1=\"{full:.1}\" y1=\"0\" x2=\"{full:.1}\" y2=\"{HEIGHT}\"/>\
         <text x=\"{full:.1}\" y=\"{below}\">1</text><text x=\"0\" y=\"{below}\">0</text></svg>",
        full = WIDTH / TOP,
        below = HEIGHT + 16.0,
    );
}
