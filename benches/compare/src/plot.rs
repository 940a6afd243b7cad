//! Drawings as SVG, readable on light and dark pages. Knows nothing of what the figures mean.

use std::fmt::Write as _;

use crate::targets::digits;

/// What every drawing begins with: colours by the reader's scheme, one for each series.
const STYLE: &str = "<style>\
text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:14px}.note{fill:#59636e}\
.axis{stroke:#d1d9e0}.f0{fill:#0969da}.f1{fill:#bc4c00}.f2{fill:#1a7f37}.f3{fill:#8250df}\
.l0,.l1,.l2,.l3{fill:none;stroke-width:2}.l0{stroke:#0969da}.l1{stroke:#bc4c00}.l2{stroke:#1a7f37}.l3{stroke:#8250df}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.note{fill:#9198a1}.axis{stroke:#3d444d}\
.f0{fill:#4493f8}.f1{fill:#f0883e}.f2{fill:#3fb950}.f3{fill:#ab7df8}\
.l0{stroke:#4493f8}.l1{stroke:#f0883e}.l2{stroke:#3fb950}.l3{stroke:#ab7df8}}</style>\n";

/// Series that have a colour. A drawing of more is a programming error.
const SERIES_MAX: usize = 4;

/// Groups of bars below each other.
pub(crate) struct Bars<'a> {
    pub(crate) title: &'a str,
    /// What the length of a bar is in.
    pub(crate) unit: &'a str,
    /// What the bars of a group stand for.
    pub(crate) series: &'a [&'a str],
    /// The name of each group, and a bar for each series that has one.
    pub(crate) groups: Vec<(&'a str, Vec<Option<f64>>)>,
}

impl Bars<'_> {
    /// The drawing. Lengths are in proportion, from zero.
    pub(crate) fn svg(&self) -> String {
        const WIDTH: f64 = 860.0;
        const LEFT: f64 = 300.0;
        const RIGHT: f64 = 70.0;
        const TOP: f64 = 64.0;
        const BAR: f64 = 13.0;
        const GAP: f64 = 11.0;
        let values = self.groups.iter().flat_map(|(_, values)| values.iter().flatten().copied());
        let most = values.fold(f64::MIN_POSITIVE, f64::max);
        let group_height = BAR * self.series.len() as f64 + GAP;
        let height = TOP + group_height * self.groups.len() as f64 + GAP;
        let mut svg = Svg::new(WIDTH, height, self.title);
        svg.legend(LEFT, 47.0, self.series);
        svg.text(WIDTH - RIGHT, 47.0, "note", "end", self.unit);
        svg.axis(LEFT, TOP - 6.0, LEFT, height - GAP);
        for (group, (name, values)) in self.groups.iter().enumerate() {
            let top = TOP + group_height * group as f64;
            svg.text(LEFT - 8.0, top + (group_height - GAP) / 2.0 + 4.0, "", "end", name);
            for (series, value) in values.iter().enumerate() {
                let Some(value) = value else { continue };
                let (y, width) = (top + BAR * series as f64, (WIDTH - LEFT - RIGHT) * value / most);
                svg.rectangle((LEFT, y), (width, BAR - 2.0), series);
                svg.text(LEFT + width + 5.0, y + BAR - 3.0, "", "start", &digits(*value));
            }
        }
        svg.finish()
    }
}

/// How something grows: lines over one axis.
pub(crate) struct Curve<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// Points in ascending order of x, which is above 0 and drawn by its logarithm.
    pub(crate) series: Vec<(&'a str, Vec<(f64, f64)>)>,
}

/// Curves beside and below each other in one drawing.
pub(crate) fn curves(title: &str, curves: &[Curve<'_>]) -> String {
    const COLUMNS: usize = 2;
    const WIDTH: f64 = 430.0;
    const HEIGHT: f64 = 270.0;
    const TOP: f64 = 36.0;
    let rows = curves.len().div_ceil(COLUMNS);
    let mut svg = Svg::new(WIDTH * COLUMNS as f64, TOP + HEIGHT * rows as f64, title);
    for (index, curve) in curves.iter().enumerate() {
        let (column, row) = (index % COLUMNS, index / COLUMNS);
        svg.curve(curve, (WIDTH * column as f64, TOP + HEIGHT * row as f64), (WIDTH, HEIGHT));
    }
    svg.finish()
}

/// A drawing that grows.
struct Svg(String);

impl Svg {
    fn new(width: f64, height: f64, title: &str) -> Self {
        let title = escaped(title);
        let mut svg = Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n\
             <title>{title}</title>\n{STYLE}"
        ));
        svg.text(width / 2.0, 20.0, "title", "middle", &title);
        svg
    }

    fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.0.write_fmt(element).expect("text grows without error");
        self.0.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        let text = escaped(text);
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn axis(&mut self, x1: f64, y1: f64, x2: f64, y2: f64) {
        self.push(format_args!(
            "<line class=\"axis\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), series: usize) {
        assert!(series < SERIES_MAX, "there are {SERIES_MAX} colours");
        self.push(format_args!(
            "<rect class=\"f{series}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        ));
    }

    fn legend(&mut self, x: f64, y: f64, names: &[&str]) {
        let mut x = x;
        for (series, name) in names.iter().enumerate() {
            self.rectangle((x, y - 10.0), (11.0, 11.0), series);
            self.text(x + 16.0, y, "", "start", name);
            // Wide enough for most letters at this size.
            x += 26.0 + 6.4 * name.chars().count() as f64;
        }
    }

    fn curve(&mut self, curve: &Curve<'_>, (x, y): (f64, f64), (width, height): (f64, f64)) {
        const LEFT: f64 = 56.0;
        const RIGHT: f64 = 24.0;
        const TOP: f64 = 52.0;
        const BOTTOM: f64 = 48.0;
        const LINES: u32 = 4;
        let points = || curve.series.iter().flat_map(|(_, points)| points.iter().copied());
        let most = rounded_up(points().map(|(_, y)| y).fold(f64::MIN_POSITIVE, f64::max));
        let first = points().map(|(x, _)| x.ln()).fold(f64::INFINITY, f64::min);
        let last = points().map(|(x, _)| x.ln()).fold(f64::NEG_INFINITY, f64::max);
        let (inner_width, inner_height) = (width - LEFT - RIGHT, height - TOP - BOTTOM);
        let across = |value: f64| x + LEFT + inner_width * (value.ln() - first) / (last - first).max(1e-9);
        let down = |value: f64| y + TOP + inner_height * (1.0 - value / most);
        self.text(x + LEFT, y + 18.0, "", "start", &format!("{} ({})", curve.title, curve.y));
        let names: Vec<&str> = curve.series.iter().map(|(name, _)| *name).collect();
        self.legend(x + LEFT, y + 38.0, &names);
        for line in 0..=LINES {
            let value = most * f64::from(line) / f64::from(LINES);
            self.axis(x + LEFT, down(value), x + width - RIGHT, down(value));
            self.text(x + LEFT - 6.0, down(value) + 4.0, "note", "end", &short(value));
        }
        let longest = curve.series.iter().map(|(_, points)| points).max_by_key(|points| points.len());
        for (at, _) in longest.into_iter().flatten() {
            self.text(across(*at), y + height - BOTTOM + 16.0, "note", "middle", &short(*at));
        }
        self.text(x + LEFT + inner_width / 2.0, y + height - BOTTOM + 34.0, "note", "middle", curve.x);
        for (series, (_, points)) in curve.series.iter().enumerate() {
            let mut path = String::new();
            for &(at, value) in points {
                write!(path, "{:.1},{:.1} ", across(at), down(value)).expect("text grows without error");
                self.push(format_args!(
                    "<circle class=\"f{series}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>",
                    across(at),
                    down(value)
                ));
            }
            self.push(format_args!("<polyline class=\"l{series}\" points=\"{}\"/>", path.trim_end()));
        }
    }
}

/// The next larger of 1, 2, 4, 6, 8 or 10 times a power of ten: its quarters are short numbers.
fn rounded_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0]
        .into_iter()
        .map(|step| step * power)
        .find(|&it| it >= value)
        .unwrap_or(10.0 * power)
}

/// A number in few signs: 15000 as 15k.
fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        1e6.. => (value / 1e6, "M"),
        1e4.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    // Two digits behind the point at most, and none for show.
    format!("{}{unit}", (scaled * 100.0).round() / 100.0)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_value_and_says_it() {
        let groups = vec![("a < b", vec![Some(8.0), None]), ("c", vec![Some(2.0), Some(4.0)])];
        let svg = Bars { title: "t", unit: "u", series: &["one", "two"], groups }.svg();
        let lengths: Vec<f64> = svg
            .lines()
            .filter(|line| {
                line.starts_with("<rect") && line.contains("height=\"11.0\"") && line.contains("x=\"300")
            })
            .map(|line| {
                line.split("width=\"")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next())
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .filter(|&width: &f64| width > 11.0)
            .collect();
        assert_eq!(lengths, [490.0, 122.5, 245.0]);
        assert!(svg.contains(">8.00</text>") && svg.contains(">a &lt; b</text>"));
    }

    #[test]
    fn the_ends_of_a_curve_lie_at_the_ends_of_its_axis() {
        let series = vec![("s", vec![(1e3, 0.0), (1e5, 50.0), (1e7, 100.0)])];
        let svg = curves("t", &[Curve { title: "c", x: "x", y: "y", series }]);
        // The axis goes from 56 to 406, its middle is 231; 100 of 100 at the top, 88, and 0 at the bottom, 258.
        assert!(svg.contains("points=\"56.0,258.0 231.0,173.0 406.0,88.0\""), "{svg}");
    }

    #[test]
    fn an_axis_ends_at_a_round_number_above_the_largest_value() {
        for (value, expected) in [(0.7, 0.8), (1.0, 1.0), (1.1, 2.0), (95.0, 100.0), (310.0, 400.0)] {
            assert!((rounded_up(value) - expected).abs() < 1e-9, "{value}: {}", rounded_up(value));
        }
    }
}
