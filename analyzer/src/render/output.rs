//! The standard output. What is longer than the screen goes through a pager.

use std::io::{self, BufWriter, Stdout, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::Screen;
use super::text::width;
use crate::interrupt::Meaning;

/// What the default pager does: it leaves what fits on the screen there, passes
/// colours, and cuts no lines off for good.
const LESS: &str = "FRSX";

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 128 << 10;

/// Where an answer goes.
#[expect(missing_debug_implementations, reason = "holds a writer")]
pub struct Output(State);

enum State {
    /// To where it is wanted, at once.
    Direct(BufWriter<Stdout>),
    /// Held back for as long as it fits on the screen.
    Held { bytes: Vec<u8>, screen: Screen },
    /// To a pager.
    Paged(Pager),
}

struct Pager {
    child: Child,
    /// Until all is written.
    pipe: Option<BufWriter<ChildStdin>>,
    /// Ctrl-C is meant for the pager.
    _meaning: Meaning,
}

impl Output {
    /// Written as it comes.
    #[must_use]
    pub fn direct() -> Self {
        Self(direct())
    }

    /// Through a pager if it is longer than the screen, and a person looks at
    /// it. `PAGER` names another pager than `less`; if it is empty or `cat`,
    /// there is none.
    #[must_use]
    pub fn paged(screen: Screen) -> Self {
        let pager = std::env::var("PAGER");
        let is_unwanted = matches!(pager.as_deref().map(str::trim), Ok("" | "cat"));
        if !screen.is_terminal || is_unwanted {
            return Self::direct();
        }
        let bytes = Vec::new();
        Self(State::Held { bytes, screen })
    }

    /// Writes what is held back, and waits until the reader has seen it.
    ///
    /// # Errors
    /// What writing gives.
    pub fn finish(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.0, direct()) {
            State::Direct(mut out) => out.flush(),
            State::Held { bytes, .. } => {
                let mut out = io::stdout().lock();
                out.write_all(&bytes)?;
                out.flush()
            }
            State::Paged(mut pager) => {
                let written = pager.pipe.take().map_or(Ok(()), |mut pipe| pipe.flush());
                pager.child.wait()?;
                written
            }
        }
    }
}

fn direct() -> State {
    State::Direct(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()))
}

impl Drop for Output {
    fn drop(&mut self) {
        // An answer that failed halfway is shown as far as it went.
        let _ = self.end();
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            State::Direct(out) => out.write(buf),
            State::Held { bytes, screen } => {
                bytes.extend_from_slice(buf);
                if !fits(bytes, screen) {
                    let bytes = std::mem::take(bytes);
                    let mut next = match Pager::start() {
                        Some(pager) => State::Paged(pager),
                        None => direct(),
                    };
                    match &mut next {
                        State::Paged(pager) => pager.write_all(&bytes)?,
                        State::Direct(out) => out.write_all(&bytes)?,
                        State::Held { .. } => {}
                    }
                    self.0 = next;
                }
                Ok(buf.len())
            }
            State::Paged(pager) => {
                pager.write_all(buf)?;
                Ok(buf.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            State::Direct(out) => out.flush(),
            State::Held { .. } => Ok(()),
            State::Paged(pager) => pager.pipe.as_mut().map_or(Ok(()), Write::flush),
        }
    }
}

impl Pager {
    /// Starts the pager; `None` if there is none.
    fn start() -> Option<Self> {
        let mut command = match std::env::var("PAGER") {
            Ok(pager) => {
                let mut command = Command::new("sh");
                command.args(["-c", &pager]);
                command
            }
            Err(_) => Command::new("less"),
        };
        if std::env::var_os("LESS").is_none() {
            command.env("LESS", LESS);
        }
        let mut child = command.stdin(Stdio::piped()).spawn().ok()?;
        let pipe = child.stdin.take().map(BufWriter::new);
        Some(Self {
            child,
            pipe,
            _meaning: Meaning::none(),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => pipe.write_all(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// Whether lines, broken where the screen ends, are all on it at once.
fn fits(bytes: &[u8], screen: &Screen) -> bool {
    // A line of the prompt stays free.
    let rows = screen.height.saturating_sub(1);
    let newlines = bytes.iter().filter(|byte| **byte == b'\n').count();
    if newlines > rows || bytes.len() > 16 * screen.width * screen.height {
        return false;
    }
    let text = String::from_utf8_lossy(bytes);
    let taken = |line: &str| width(line).div_ceil(screen.width).max(1);
    text.lines().map(taken).sum::<usize>() <= rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_on_the_screen_is_not_paged() {
        let screen = Screen {
            width: 40,
            height: 4,
            is_terminal: true,
            colour: false,
        };
        assert!(fits(b"a\nb\nc\n", &screen));
        assert!(!fits(b"a\nb\nc\nd\n", &screen));
        let wide = format!("{}\nb\n", "a".repeat(81));
        assert!(!fits(wide.as_bytes(), &screen));
    }
}
