//! Horizontal bars as SVG: groups of bars, each of one or more segments.

use std::fmt::Write;

const WIDTH: f64 = 900.0;
/// Where bars begin; their names stand before.
const LEFT: f64 = 90.0;
/// Left free behind the longest bar, for its figure.
const RIGHT: f64 = 130.0;
const BAR: f64 = 18.0;
const GAP: f64 = 4.0;
const GROUP: f64 = 30.0;
const LEGEND: f64 = 26.0;
const COLOURS: [&str; 4] = ["#3e63dd", "#8da4ef", "#d9a514", "#889096"];

/// One bar.
pub(super) struct Bar {
    pub(super) group: String,
    pub(super) name: &'static str,
    /// Name and length of each.
    pub(super) segments: Vec<(&'static str, f64)>,
}

/// Bars of one unit.
pub(super) struct Bars {
    unit: &'static str,
    bars: Vec<Bar>,
}

impl Bars {
    pub(super) fn new(unit: &'static str) -> Self {
        Self { unit, bars: Vec::new() }
    }

    /// Bars of one group follow each other.
    pub(super) fn push(&mut self, bar: Bar) {
        self.bars.push(bar);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bars.is_empty()
    }

    pub(super) fn render(&self) -> String {
        let longest = self.bars.iter().map(Bar::len).fold(f64::MIN_POSITIVE, f64::max);
        let scale = (WIDTH - LEFT - RIGHT) / longest;
        let (mut body, mut top, mut group) = (String::new(), self.legend_height(), "");
        for bar in &self.bars {
            if bar.group != group {
                group = &bar.group;
                top += GROUP;
                let _ = write!(body, "<text x=0 y={:.0} font-weight=600>{group}</text>", top - 8.0);
            }
            self.draw(&mut body, bar, top, scale);
            top += BAR + GAP;
        }
        let legend = self.legend();
        format!("<svg viewBox='0 0 {WIDTH} {top:.0}' font-size=13 role=img>{legend}{body}</svg>")
    }

    fn draw(&self, body: &mut String, bar: &Bar, top: f64, scale: f64) {
        let (middle, mut x) = (top + 13.0, LEFT);
        let _ = write!(body, "<text x=8 y={middle:.0}>{}</text>", bar.name);
        for (index, (_, value)) in bar.segments.iter().enumerate() {
            let width = value * scale;
            let colour = self.colour(bar, index);
            let _ = write!(
                body,
                "<rect x={x:.1} y={top:.0} width={width:.1} height={BAR} fill='{colour}'/>"
            );
            x += width;
        }
        let len = bar.len();
        let digits = usize::from(len < 100.0);
        let _ = write!(
            body,
            "<text x={:.1} y={middle:.0}>{len:.digits$} {}</text>",
            x + 6.0,
            self.unit
        );
    }

    /// Segments are told apart by colour; whole bars by whether they are ours.
    fn colour(&self, bar: &Bar, index: usize) -> &'static str {
        match (bar.segments.len(), bar.name.starts_with("floor")) {
            (1, true) => COLOURS[3],
            (1, false) => COLOURS[0],
            _ => COLOURS[index % COLOURS.len()],
        }
    }

    fn legend_height(&self) -> f64 {
        if self.bars.iter().any(|bar| bar.segments.len() > 1) { LEGEND } else { 0.0 }
    }

    fn legend(&self) -> String {
        let mut legend = String::new();
        let Some(bar) = self.bars.iter().find(|bar| bar.segments.len() > 1) else { return legend };
        let mut x = 0.0;
        for (index, (name, _)) in bar.segments.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let _ = write!(
                legend,
                "<rect x={x} y=4 width=14 height=14 fill='{colour}'/><text x={} y=16>{name}</text>",
                x + 20.0
            );
            x += 40.0 + 7.5 * name.len() as f64;
        }
        legend
    }
}

impl Bar {
    fn len(&self) -> f64 {
        self.segments.iter().map(|(_, value)| value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_leaves_room_for_its_figure() {
        let mut bars = Bars::new("ns");
        for value in [100.0, 400.0] {
            bars.push(Bar { group: "a".to_owned(), name: "uring", segments: vec![("x", value)] });
        }
        let svg = bars.render();
        assert!(svg.contains("width=680.0") && svg.contains("width=170.0"), "{svg}");
        assert!(svg.contains("400 ns"));
    }
}
