//! Where an answer is written to: how large it is and whether it has colours.

use std::io::IsTerminal as _;

/// Columns where the width is not known.
const DEFAULT_WIDTH: usize = 100;
/// Rows where the height is not known.
const DEFAULT_HEIGHT: usize = 24;
/// Columns of a line that nobody looks at on a terminal.
const LINE_ELSEWHERE: usize = 200;
/// Columns below which nothing is laid out any narrower.
const LEAST_WIDTH: usize = 40;

/// The standard output.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
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
        let number = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
        let (columns, rows) = terminal_size();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            width: number("COLUMNS")
                .or(columns)
                .unwrap_or(DEFAULT_WIDTH)
                .max(LEAST_WIDTH),
            height: number("LINES").or(rows).unwrap_or(DEFAULT_HEIGHT),
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

/// Columns and rows, where they are known.
fn terminal_size() -> (Option<usize>, Option<usize>) {
    // SAFETY: TIOCGWINSZ fills a winsize, which is plain integers; a file
    // descriptor that is no terminal is an error and leaves it zeroed.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        let result = libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size);
        (result == 0).then_some(size)
    };
    let known = |n: u16| Some(usize::from(n)).filter(|n| *n > 0);
    match size {
        Some(size) => (known(size.ws_col), known(size.ws_row)),
        None => (None, None),
    }
}
