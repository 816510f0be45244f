//! How far something is, on the standard error of a person who waits.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::text;

/// For as long as this, nothing is said.
const QUIET: Duration = Duration::from_secs(1);
/// Time between two looks.
const STEP: Duration = Duration::from_millis(200);

/// How often all were silenced.
static SILENCED: AtomicU64 = AtomicU64::new(0);

/// Tells how far something is until it is dropped.
#[derive(Debug)]
pub struct Watch(Option<(Sender<()>, JoinHandle<()>)>);

impl Watch {
    /// Tells what `state` says, with the time that it has taken; nothing if
    /// nobody looks.
    #[must_use]
    pub fn new(state: impl Fn() -> String + Send + 'static) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let (sender, end) = mpsc::channel();
        let began = Instant::now();
        let silenced = SILENCED.load(Ordering::Relaxed);
        let thread = std::thread::spawn(move || {
            let mut wait = QUIET;
            while end.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                if SILENCED.load(Ordering::Relaxed) != silenced {
                    return;
                }
                wait = STEP;
                let took = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX);
                eprint!("\r\x1b[Kwhence: {}, {}", state(), text::duration(took));
                let _ = io::stderr().flush();
            }
            if wait == STEP {
                eprint!("\r\x1b[K");
            }
        });
        Self(Some((sender, thread)))
    }

    /// Ends what all have to say: nobody waits any more.
    pub fn silence() {
        SILENCED.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.0.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}
