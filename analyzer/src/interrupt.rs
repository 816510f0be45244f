//! What Ctrl-C does: it ends the program and leaves nothing behind. While a pager
//! shows an answer it is the pager's, and in the shell it ends the question only.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::Notify;

use crate::{Error, Result};

static STATE: Mutex<State> = Mutex::new(State {
    mode: Mode::End,
    temporary: Vec::new(),
});

struct State {
    mode: Mode,
    /// Files and folders that are removed before the program ends.
    temporary: Vec<PathBuf>,
}

/// What an interrupt from the terminal does.
enum Mode {
    /// Ends the program.
    End,
    /// Nothing.
    Ignore,
    /// Tells who waits.
    Notify(Arc<Notify>),
}

/// Handles signals from now on, but for those that whoever started the program
/// has it ignore.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn install() -> Result<()> {
    let handled = [SIGINT, SIGTERM, SIGHUP];
    let handled = handled.into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new(handled).map_err(|source| Error::Io {
        action: "handle",
        object: "signals".into(),
        source,
    })?;
    std::thread::spawn(move || signals.forever().for_each(handle));
    Ok(())
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: without a new action, sigaction only fills the old one, which is
    // plain data.
    let action = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action);
        action
    };
    action.sa_sigaction == libc::SIG_IGN
}

fn handle(signal: i32) {
    let state = state();
    match (&state.mode, signal) {
        (Mode::Ignore, SIGINT) => {}
        (Mode::Notify(interrupted), SIGINT) => interrupted.notify_waiters(),
        _ => {
            for path in &state.temporary {
                // Nobody is left to be told that it failed.
                let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir_all(path));
            }
            let _ = emulate_default_handler(signal);
        }
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that is removed if the program is interrupted, for as long as
/// this lives.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// For what is there.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        state().temporary.push(path.to_path_buf());
        Self(path.to_path_buf())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        state().temporary.retain(|path| *path != self.0);
    }
}

/// Another meaning of Ctrl-C for as long as this lives.
pub(crate) struct Meaning(Option<Mode>);

impl Meaning {
    /// None: it is meant for another program.
    pub(crate) fn none() -> Self {
        Self::set(Mode::Ignore)
    }

    /// To tell who waits.
    pub(crate) fn notify(interrupted: &Arc<Notify>) -> Self {
        Self::set(Mode::Notify(Arc::clone(interrupted)))
    }

    fn set(mode: Mode) -> Self {
        Self(Some(std::mem::replace(&mut state().mode, mode)))
    }
}

impl Drop for Meaning {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            state().mode = before;
        }
    }
}
