//! Files that are there whole or not at all: written under a temporary name,
//! synced, renamed.

use std::fs::{File, Permissions};
use std::future::Future;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// After this, a person on a terminal is told how far it is.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often then.
const PERIOD: Duration = Duration::from_millis(200);

/// A file that was named, or the standard output.
#[derive(Debug)]
pub struct Output {
    sink: Sink,
    name: String,
    bytes: u64,
    begin: Instant,
    /// When the last message about it was written, if anybody looks.
    said: Option<Instant>,
    talks: bool,
}

#[derive(Debug)]
enum Sink {
    Stdout(BufWriter<io::Stdout>),
    /// What is no regular file, such as a pipe, cannot be replaced.
    Special(BufWriter<File>),
    Temporary(BufWriter<NamedTempFile>, PathBuf),
}

impl Output {
    /// Begins the file; the standard output without a path.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let name = path.map_or("standard output".into(), |p| p.display().to_string());
        let sink = match path {
            None => Ok(Sink::Stdout(BufWriter::new(io::stdout()))),
            Some(path) => open(path),
        };
        let sink = sink.map_err(|source| Error::Write {
            object: name.clone(),
            source,
        })?;
        let talks = !matches!(sink, Sink::Stdout(_)) && io::stderr().is_terminal();
        Ok(Self {
            sink,
            name,
            bytes: 0,
            begin: Instant::now(),
            said: None,
            talks,
        })
    }

    /// An error of writing that names this file.
    #[must_use]
    pub fn named(&self, error: Error) -> Error {
        match error {
            Error::Write { source, .. } => self.failed(source),
            error => error,
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Write {
            object: self.name.clone(),
            source,
        }
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(mut self) -> Result<()> {
        self.wipe();
        let name = self.name;
        let done = match self.sink {
            Sink::Stdout(mut out) => out.flush(),
            Sink::Special(mut out) => out.flush(),
            Sink::Temporary(out, path) => out
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
                .and_then(|file| {
                    file.as_file().sync_all()?;
                    file.persist(&path).map_err(io::Error::from)?;
                    File::open(folder(&path))?.sync_all()
                }),
        };
        done.map_err(|source| Error::Write {
            object: name,
            source,
        })
    }

    fn tell(&mut self) {
        let now = Instant::now();
        let due = match self.said {
            Some(said) => now - said >= PERIOD,
            None => now - self.begin >= PATIENCE,
        };
        if due {
            let size = super::text::bytes(self.bytes);
            eprint!("\r\x1b[Kwhence: {size} written");
            self.said = Some(now);
        }
    }

    fn wipe(&mut self) {
        if self.said.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = match &mut self.sink {
            Sink::Stdout(out) => out.write(buf)?,
            Sink::Special(out) => out.write(buf)?,
            Sink::Temporary(out, _) => out.write(buf)?,
        };
        self.bytes += written as u64;
        if self.talks {
            self.tell();
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Stdout(out) => out.flush(),
            Sink::Special(out) => out.flush(),
            Sink::Temporary(out, _) => out.flush(),
        }
    }
}

fn open(path: &Path) -> io::Result<Sink> {
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        let special = File::options().write(true).open(path)?;
        return Ok(Sink::Special(BufWriter::new(special)));
    }
    let file = tempfile::Builder::new()
        .prefix(".whence-")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder(path))?;
    Ok(Sink::Temporary(BufWriter::new(file), path.to_path_buf()))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Does the work, or stops at ctrl-c, so that what was begun is removed.
///
/// # Errors
/// Those of the work, and [`Error::Interrupted`].
pub async fn unless_interrupted(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
    }
}
