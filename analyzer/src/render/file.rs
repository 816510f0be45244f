//! Files that are there whole or not at all: written under a temporary name,
//! synced, renamed. As recordings are, they are for their owner only, and they
//! are never in a recording.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use crate::interrupt::Temporary;
use crate::recording::Recordings;
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
    /// Also removed when a signal ends the program.
    Temporary(BufWriter<NamedTempFile>, PathBuf, Temporary),
}

impl Output {
    /// Begins the file; the standard output without a path, or for `-`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a place in one of the recordings, [`Error::Write`].
    pub fn create(path: Option<&Path>, recordings: &Recordings) -> Result<Self> {
        let path = path.filter(|path| *path != Path::new("-"));
        let name = path.map_or("standard output".into(), |p| p.display().to_string());
        let sink = match path {
            None => Ok(Sink::Stdout(BufWriter::new(io::stdout()))),
            Some(path) => {
                refuse_recordings(path, recordings)?;
                open(path)
            }
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
            Sink::Temporary(out, path, _removed) => out
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
            Sink::Temporary(out, ..) => out.write(buf)?,
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
            Sink::Temporary(out, ..) => out.flush(),
        }
    }
}

/// Writes a file at once.
///
/// # Errors
/// As [`Output::create`].
pub fn write(path: &Path, content: &[u8], recordings: &Recordings) -> Result<()> {
    let mut out = Output::create(Some(path), recordings)?;
    out.write_all(content)
        .map_err(|source| out.failed(source))?;
    out.finish()
}

fn refuse_recordings(path: &Path, recordings: &Recordings) -> Result<()> {
    let folder = folder(path);
    let real = folder.canonicalize().map_err(|source| Error::Write {
        object: path.display().to_string(),
        source,
    })?;
    match recordings.all.iter().find(|r| real.starts_with(&r.dir)) {
        None => Ok(()),
        Some(recording) => Err(Error::Usage(format!(
            "{} lies in the recording {}; write to a place outside of it",
            path.display(),
            recording.dir.display()
        ))),
    }
}

fn open(path: &Path) -> io::Result<Sink> {
    match path.metadata() {
        Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => {
            let special = File::options().write(true).open(path)?;
            return Ok(Sink::Special(BufWriter::new(special)));
        }
        _ => {}
    }
    let file = tempfile::Builder::new()
        .prefix(".whence-")
        .suffix(".tmp")
        .tempfile_in(folder(path))?;
    let removed = Temporary::new(file.path());
    Ok(Sink::Temporary(
        BufWriter::new(file),
        path.to_path_buf(),
        removed,
    ))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
