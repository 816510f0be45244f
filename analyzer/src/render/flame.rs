//! Flame graphs as SVG, roots on top. It is complete as it lies; where scripts
//! run it also fits the window, zooms and searches.

use std::fmt::Write as _;

use super::text;

/// Pixels that it is wide where no script runs.
const WIDTH: f64 = 1200.0;
/// Pixels of a frame's height.
const ROW: usize = 18;
/// Pixels of a letter.
const LETTER: f64 = 6.7;
/// Pixels above the frames, without the notes.
const HEAD: usize = 44;
/// Pixels of a note.
const NOTE: usize = 16;

const STYLE: &str = include_str!("../../report/flame_svg.css");
const SCRIPT: &str = include_str!("../../report/flame_svg.js");

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Code of a program.
    Program,
    /// Code of the kernel.
    Kernel,
    /// A place without a name.
    Unnamed,
    /// The name of a thread, a context, or what is said about the path.
    Mark,
}

/// A frame and its place, in weights from the left.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Printable.
    pub name: &'a str,
    /// What it is.
    pub kind: Kind,
    /// Weight of all to its left.
    pub at: i64,
    /// Weight of all paths through it.
    pub weight: i64,
    /// Frames above it.
    pub depth: usize,
}

/// A graph to draw.
#[derive(Debug)]
pub struct Graph<'a> {
    /// What is drawn; printable.
    pub title: String,
    /// What must be said of it; printable.
    pub notes: Vec<String>,
    /// What weights count: `ns` or else.
    pub unit: &'static str,
    /// Weight of all frames without one above.
    pub whole: i64,
    /// The frames.
    pub frames: Vec<Frame<'a>>,
}

impl Graph<'_> {
    /// Draws it.
    #[must_use]
    pub fn svg(&self) -> String {
        let top = HEAD + NOTE * self.notes.len();
        let depth = self.frames.iter().map(|f| f.depth + 1).max().unwrap_or(0);
        let height = top + depth * ROW + 12;
        let mut out = format!(
            "<?xml version=\"1.0\" standalone=\"no\"?>\n\
             <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             data-top=\"{top}\" data-whole=\"{}\">\n<style>{STYLE}</style>\n\
             <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n\
             <text class=\"title\" x=\"10\" y=\"24\">{}</text>\n",
            self.whole,
            escaped(&self.title)
        );
        for (i, note) in self.notes.iter().enumerate() {
            let y = HEAD + NOTE * i;
            let note = escaped(note);
            let _ = writeln!(out, "<text class=\"note\" x=\"10\" y=\"{y}\">{note}</text>");
        }
        out.push_str("<g id=\"frames\">\n");
        for frame in &self.frames {
            self.push(&mut out, frame, top);
        }
        let _ = write!(
            out,
            "</g>\n<script><![CDATA[\n{SCRIPT}]]></script>\n</svg>\n"
        );
        out
    }

    fn push(&self, out: &mut String, frame: &Frame<'_>, top: usize) {
        let scale = (WIDTH - 20.0) / self.whole.max(1) as f64;
        let (x, width) = (frame.at as f64 * scale, frame.weight as f64 * scale);
        let y = top + frame.depth * ROW;
        let class = match frame.kind {
            Kind::Program => "program",
            Kind::Kernel => "kernel",
            Kind::Unnamed => "unnamed",
            Kind::Mark => "mark",
        };
        let amount = match self.unit {
            "ns" => text::duration(frame.weight),
            unit => format!("{} {unit}", text::count(frame.weight)),
        };
        let shown = match ((width - 6.0) / LETTER) as usize {
            0..3 => String::new(),
            letters => text::fit(frame.name, letters),
        };
        let _ = writeln!(
            out,
            "<g class=\"{class}\" data-of=\"{} {} {}\"><title>{} ({amount}, {})</title>\
             <rect x=\"{:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text></g>",
            frame.at,
            frame.weight,
            frame.depth,
            escaped(frame.name),
            text::share(frame.weight, self.whole),
            x + 10.0,
            (width - 0.5).max(0.2),
            ROW - 1,
            x + 13.0,
            y + 13,
            escaped(&shown),
        );
    }
}

/// Text as XML takes it. Control characters are gone already; of the rest XML
/// refuses two.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_markup() {
        assert_eq!(escaped("</title>&]]>"), "&lt;/title&gt;&amp;]]&gt;");
        assert_eq!(escaped("a\u{ffff}b"), "a\u{fffd}b");
        assert!(!SCRIPT.contains("]]>"));
    }

    #[test]
    fn a_frame_is_as_wide_as_its_share() {
        let frame = |name, at, weight, depth| Frame {
            name,
            kind: Kind::Kernel,
            at,
            weight,
            depth,
        };
        let graph = Graph {
            title: "t".into(),
            notes: vec![],
            unit: "hits",
            whole: 4,
            frames: vec![frame("all", 0, 4, 0), frame("part", 1, 1, 1)],
        };
        let svg = graph.svg();
        assert!(
            svg.contains(
                "<title>part (1 hits, 25.0%)</title><rect x=\"305.0\" y=\"62\" width=\"294.5\""
            ),
            "{svg}"
        );
    }
}
