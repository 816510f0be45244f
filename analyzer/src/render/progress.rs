//! What a long command is at, on a terminal.

use std::io::{IsTerminal as _, Write as _};

/// A line on the standard error that says what is being done, and that goes
/// away with it.
#[derive(Debug)]
pub struct Progress {
    is_terminal: bool,
}

impl Progress {
    /// Says it where a person looks, else nothing.
    #[must_use]
    pub fn stderr() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Replaces the line; `what` is printable.
    pub fn step(&mut self, what: &str) {
        self.put(&format!("{what} …"));
    }

    fn put(&self, text: &str) {
        if self.is_terminal {
            let mut out = std::io::stderr();
            // Whether it is seen does not matter to the command.
            let _ = write!(out, "\r\x1b[K{text}");
            let _ = out.flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.put("");
    }
}
