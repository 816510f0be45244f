//! Where an answer is written to: how wide it is and whether it has colours.

use std::io::IsTerminal as _;

/// Columns where the width is not known.
const DEFAULT_WIDTH: usize = 100;
/// Columns of a line that nobody looks at on a terminal.
const LINE_ELSEWHERE: usize = 200;
/// Columns below which nothing is laid out any narrower.
const LEAST_WIDTH: usize = 40;

/// The standard output.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Columns.
    pub width: usize,
    /// Whether a person looks at it.
    pub is_terminal: bool,
    /// Whether it shows colours.
    pub colour: bool,
}

impl Screen {
    /// The standard output of this process. `COLUMNS` sets its width, `NO_COLOR`
    /// turns off colours.
    #[must_use]
    pub fn stdout() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            width: columns
                .or_else(terminal_width)
                .unwrap_or(DEFAULT_WIDTH)
                .max(LEAST_WIDTH),
            is_terminal,
            colour: is_terminal && !dumb && !no_colour,
        }
    }

    /// Columns of the longest line; without bound if lines are wanted whole.
    #[must_use]
    pub fn line(&self, whole: bool) -> usize {
        match (whole, self.is_terminal) {
            (true, _) => usize::MAX,
            (false, true) => self.width,
            (false, false) => LINE_ELSEWHERE,
        }
    }

    /// What matters most.
    #[must_use]
    pub fn bold(&self, text: &str) -> String {
        self.style("1", text)
    }

    /// What is only there for completeness.
    #[must_use]
    pub fn dim(&self, text: &str) -> String {
        self.style("2", text)
    }

    /// What must not be missed.
    #[must_use]
    pub fn warning(&self, text: &str) -> String {
        self.style("33", text)
    }

    fn style(&self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn terminal_width() -> Option<usize> {
    // SAFETY: TIOCGWINSZ fills a winsize, which is plain integers; a file
    // descriptor that is no terminal is an error and leaves it zeroed.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        let result = libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size);
        (result == 0).then_some(size)
    };
    size.map(|s| usize::from(s.ws_col)).filter(|w| *w > 0)
}
