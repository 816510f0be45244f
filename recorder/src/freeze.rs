//! Makes a recording of its own of what a flight recorder has kept, while that
//! goes on. Segments never change, so that they are shared, not copied, where
//! both lie on one disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use whence_schemas::lock::Lock;
use whence_schemas::manifest::{Manifest, State};
use whence_schemas::segment::Segment;
use whence_schemas::{Error, Result, recover};

use crate::directory;

/// How long the recorder is given to write what it has in memory.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is begun anew when the oldest part went meanwhile.
const ATTEMPTS: usize = 5;

/// Asks the recorder of `dir`, if it runs, to write what it has, and waits until
/// it has done so or a moment is over.
fn ask_to_write(dir: &Path) -> Result<()> {
    let manifest = Manifest::read(dir)?;
    let pid = manifest.options["recorder_pid"].as_i64();
    let (Some(pid), true) = (
        pid.and_then(|pid| i32::try_from(pid).ok()),
        Lock::is_held(dir),
    ) else {
        return Ok(());
    };
    // It reads the clocks when it is asked.
    let asked_ns = crate::clock::boot_ns();
    let written = || {
        let is_new = |s: &Segment| s.table == "clock" && s.max_ns >= Some(asked_ns);
        Manifest::read(dir).is_ok_and(|m| m.segments.iter().any(is_new))
    };
    // SAFETY: the recorder of that pid lives, since it holds the lock, and it
    // handles the signal.
    if pid <= 1 || unsafe { libc::kill(pid, libc::SIGUSR2) } != 0 {
        return Ok(());
    }
    let begin = Instant::now();
    while !written() && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Makes of the flight recorder's directory `from` a recording `to`, after its
/// recorder, if it runs, has written what it has in memory.
///
/// # Errors
/// If `from` is no recording, `to` exists or cannot be written.
pub fn snapshot_of(from: &Path, to: &Path, recording_id: &str) -> Result<()> {
    ask_to_write(from)?;
    freeze(from, to, recording_id)
}

/// Makes of what is written of the recording `from` a recording `to`.
///
/// # Errors
/// As [`snapshot_of`].
pub fn freeze(from: &Path, to: &Path, recording_id: &str) -> Result<()> {
    let mut result = Ok(());
    for _ in 0..ATTEMPTS {
        result = attempt(from, to, recording_id);
        match &result {
            Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    result
}

fn attempt(from: &Path, to: &Path, recording_id: &str) -> Result<()> {
    let mut manifest = Manifest::read(from)?;
    manifest.recording_id = recording_id.to_owned();
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    manifest
        .notes
        .push(format!("taken from the flight recorder {name}"));
    manifest.options["flight_recorder"] = serde_json::Value::Null;
    directory::create_with(to, &manifest, |unfinished| {
        for segment in &manifest.segments {
            link(&from.join(&segment.file), &unfinished.join(&segment.file))?;
        }
        let mut manifest = manifest.clone();
        if manifest.state == State::Recording {
            recover::finish(unfinished, &mut manifest)?;
        }
        match manifest.process_complete {
            true => manifest.write(unfinished),
            false => recover::number_processes(unfinished, &mut manifest),
        }
    })
    .map(drop)
}

/// The same file under another name, or a copy on another disk.
fn link(from: &Path, to: &Path) -> Result<()> {
    match fs::hard_link(from, to) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::io("open", from)(e)),
        Err(_) => {
            fs::copy(from, to).map_err(Error::io("copy", from))?;
            fs::File::open(to)
                .and_then(|file| file.sync_all())
                .map_err(Error::io("sync", to))
        }
        Ok(()) => Ok(()),
    }
}

/// Where the recorder itself puts what it freezes: beside its own directory, with
/// the time in the name.
#[must_use]
pub fn beside(dir: &Path, seconds: i64) -> PathBuf {
    let stem = dir.file_stem().unwrap_or_default().to_string_lossy();
    let time = whence_schemas::line::file_time(seconds);
    let extension = whence_schemas::layout::EXTENSION;
    dir.with_file_name(format!("{stem}-{time}.{extension}"))
}
