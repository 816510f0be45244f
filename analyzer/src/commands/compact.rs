//! `whence compact`: rewrites a recording as few large segments.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use whence_schemas::TableDef;
use whence_schemas::compact::{compact, is_compact};
use whence_schemas::lock::Lock;
use whence_schemas::manifest::{Manifest, State};
use whence_schemas::quote::printable;

use crate::cli::Compact;
use crate::render::text;
use crate::{Error, Result, session};

/// Rewrites each recording.
///
/// # Errors
/// [`Error::Usage`] for one that was not finished; as
/// [`whence_schemas::compact::compact`].
pub fn run(args: &Compact) -> Result<()> {
    args.recordings
        .iter()
        .try_for_each(|dir| one(dir, args.max_memory))
}

fn one(dir: &Path, max_memory: Option<u64>) -> Result<()> {
    // Of a recorder that still runs, or of another run of this.
    let _lock = Lock::take(dir)?;
    let mut manifest = Manifest::read(dir)?;
    let name = dir.display().to_string();
    let name = printable(&name);
    if manifest.state == State::Recording {
        return Err(Error::Usage(format!(
            "{name} is not finished: its recorder was killed; \
             `whence recover` makes it whole, then it can be compacted"
        )));
    }
    let mut out = std::io::stdout();
    if is_compact(dir, &manifest)? {
        return writeln!(out, "{name}: compact already").map_err(Error::output);
    }
    let max_bytes = session::max_bytes(max_memory);
    let mut progress = Progress::default();
    let done = compact(dir, &mut manifest, max_bytes, &mut |def, done, all| {
        progress.show(def, done, all);
    });
    progress.end();
    let done = done?;
    let count = |n: usize| text::counted(n as i64, "segment", "segments");
    writeln!(
        out,
        "{name}: {} of {} became {} of {}",
        count(done.segments.0),
        text::bytes(done.bytes.0),
        count(done.segments.1),
        text::bytes(done.bytes.1),
    )
    .map_err(Error::output)
}

/// How far it is, on a terminal, when it takes more than a second.
#[derive(Debug)]
struct Progress {
    begin: Instant,
    shown: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            begin: Instant::now(),
            shown: None,
        }
    }
}

impl Progress {
    fn show(&mut self, def: &TableDef, done: u64, all: u64) {
        let last = self.shown.unwrap_or(self.begin);
        let mut out = std::io::stderr();
        if last.elapsed() < Duration::from_secs(1) || !out.is_terminal() {
            return;
        }
        self.shown = Some(Instant::now());
        let percent = done.min(all) * 100 / all.max(1);
        let _ = write!(out, "\r\x1b[Kcompacting {}: {percent}%", def.name);
    }

    fn end(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
