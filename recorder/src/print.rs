//! Events as lines on stdout, while they come.

use std::io::Write as _;

/// Prints events as they come.
#[derive(Debug, Default)]
pub struct Printer {
    enabled: bool,
    closed: bool,
}

impl Printer {
    /// Prints if `enabled`.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self {
            enabled,
            closed: false,
        }
    }

    /// Prints a line, made only if it is wanted.
    pub fn print(&mut self, line: impl FnOnce() -> String) {
        if self.enabled && !self.closed {
            self.closed = writeln!(std::io::stdout(), "{}", line()).is_err();
        }
    }

    /// Whether whoever read the lines has gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}
