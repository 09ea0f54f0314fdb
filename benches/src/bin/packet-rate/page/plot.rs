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
const LEGEND: f64 = 22.0;
const COLOURS: [&str; 5] = ["#889096", "#8da4ef", "#30a46c", "#3e63dd", "#d9a514"];
/// Of bars in one piece: ours, and what they are held against.
const OURS: usize = 3;
const THEIRS: usize = 0;

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
        for (segment, value) in &bar.segments {
            let width = value * scale;
            let colour = self.colour(bar, segment);
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
    fn colour(&self, bar: &Bar, segment: &str) -> &'static str {
        let segments = self.segments();
        if segments.is_empty() {
            return COLOURS[if bar.name.starts_with("floor") { THEIRS } else { OURS }];
        }
        let index = segments.iter().position(|name| *name == segment).unwrap_or(0);
        COLOURS[index % COLOURS.len()]
    }

    /// The names of all segments, as they come; none when all bars are in one piece.
    fn segments(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if self.bars.iter().all(|bar| bar.segments.len() == 1) {
            return names;
        }
        for (name, _) in self.bars.iter().flat_map(|bar| &bar.segments) {
            if !names.contains(name) {
                names.push(*name);
            }
        }
        names
    }

    fn legend_height(&self) -> f64 {
        LEGEND * self.segments().len() as f64
    }

    /// A line for each segment.
    fn legend(&self) -> String {
        let mut legend = String::new();
        for (index, name) in self.segments().into_iter().enumerate() {
            let (top, colour) = (LEGEND * index as f64, COLOURS[index % COLOURS.len()]);
            let _ = write!(
                legend,
                "<rect x=0 y={top} width=14 height=14 fill='{colour}'/><text x=20 y={}>{name}</text>",
                top + 12.0
            );
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

    #[test]
    fn a_segment_has_one_colour_in_every_bar_and_a_line_in_the_legend() {
        let mut bars = Bars::new("ns");
        let group = || "a".to_owned();
        let floor = vec![("thread", 10.0), ("outside", 10.0)];
        bars.push(Bar { group: group(), name: "floor", segments: floor });
        let uring = vec![("route", 10.0), ("outside", 10.0)];
        bars.push(Bar { group: group(), name: "uring", segments: uring });
        let svg = bars.render();
        let drawn = |colour: &str| svg.matches(&format!("fill='{colour}'")).count();
        // Each once in the legend; what lies outside in both bars.
        assert_eq!(COLOURS.map(drawn), [2, 3, 2, 0, 0], "{svg}");
        assert!(["thread", "outside", "route"].iter().all(|name| svg.contains(name)), "{svg}");
    }
}
