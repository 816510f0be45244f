//! Makes a recording whole whose recorder was killed, or whose disk failed.
//!
//! Every finished segment is listed, what was being written is removed, what is
//! damaged is put aside, and what is missing is said in the manifest, so that
//! every answer says it. Doing it twice, or being killed in between, changes
//! nothing: the manifest is replaced first, and files go after it.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;

use crate::complete::{self, Limits};
use crate::line::time_of_day;
use crate::lock::Lock;
use crate::manifest::{Manifest, State};
use crate::read::{self, Batches};
use crate::{Error, Result, TABLES, TableDef, exec, layout, loss, process, segment};

/// What was done to a recording, one line each; nothing if it was whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// In the order in which it was done.
    pub done: Vec<String>,
}

/// Makes the recording at `dir` whole.
///
/// # Errors
/// [`Error::InUse`] while it is recorded; as [`Manifest::read`]; [`Error::Io`].
pub fn recover(dir: &Path) -> Result<Recovered> {
    // First, for a better error than that of the lock.
    Manifest::read(dir)?;
    let _lock = Lock::take(dir)?;
    recover_locked(dir)
}

/// As [`recover`], by who holds the lock.
///
/// # Errors
/// As [`recover`].
pub fn recover_locked(dir: &Path) -> Result<Recovered> {
    let mut manifest = Manifest::read(dir)?;
    let mut done = Vec::new();
    make_folders(dir)?;
    // First: their names are needed.
    remove_unfinished(dir, &mut done)?;
    if manifest.state == State::Recording {
        list_unlisted(dir, &mut manifest, &mut done)?;
    }
    put_damaged_aside(dir, &mut manifest, &mut done)?;
    if manifest.state == State::Recording {
        finish(dir, &mut manifest)?;
        let end_ns = manifest.end_ns.unwrap_or_default();
        let time = time_of_day(manifest.clock.wall_us(end_ns));
        let line = format!("events after {time}: its recorder was killed");
        manifest.missing.push(line);
        done.push(format!("ended it at {time}"));
    }
    if !done.is_empty() {
        manifest.write(dir)?;
    }
    if !manifest.process_complete {
        number_processes(dir, &mut manifest)?;
        if manifest.process_complete {
            done.push("completed table process".into());
        }
    }
    remove_replaced(dir, &manifest, &mut done)?;
    Ok(Recovered { done })
}

/// Makes a recording fit to go on with, by who holds the lock: lists what was
/// finished and removes what was not. It is not ended, and the manifest that is
/// returned not written.
///
/// # Errors
/// As [`recover`].
pub fn reopen_locked(dir: &Path) -> Result<Manifest> {
    let mut manifest = Manifest::read(dir)?;
    let mut done = Vec::new();
    make_folders(dir)?;
    remove_unfinished(dir, &mut done)?;
    let (part, listed) = (newest_part(&manifest), manifest.segments.len());
    if manifest.state == State::Recording {
        list_unlisted(dir, &mut manifest, &mut done)?;
    }
    for segment in &mut manifest.segments[listed..] {
        segment.at_ns = part;
    }
    put_damaged_aside(dir, &mut manifest, &mut done)?;
    remove_replaced(dir, &manifest, &mut done)?;
    Ok(manifest)
}

fn newest_part(manifest: &Manifest) -> Option<i64> {
    manifest.segments.iter().filter_map(|s| s.at_ns).max()
}

/// Derives table `process` of a recording that is ended, unless it is too large
/// for that, and writes the manifest.
///
/// # Errors
/// If segments cannot be read or written.
pub fn number_processes(dir: &Path, manifest: &mut Manifest) -> Result<()> {
    let argv_bytes = argv_bytes(dir, manifest)?;
    complete::number_processes(dir, manifest, argv_bytes, Limits::default())
}

/// Makes folders that are missing. One that is no folder, but leads elsewhere,
/// is not written to.
fn make_folders(dir: &Path) -> Result<()> {
    for def in TABLES {
        let folder = dir.join(def.name);
        match fs::symlink_metadata(&folder) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(Error::corrupt(folder, "it is not a folder")),
            Err(_) => fs::create_dir(&folder).map_err(Error::io("create", &folder))?,
        }
    }
    Ok(())
}

/// Lists the segments that were finished before the recorder was killed.
fn list_unlisted(dir: &Path, manifest: &mut Manifest, done: &mut Vec<String>) -> Result<()> {
    let mut listed = 0;
    for file in read::inventory(dir, manifest).segments {
        if file.listed.is_some() {
            continue;
        }
        let path = relative(dir, &file.path);
        match segment::describe(dir, file.def, &path) {
            Ok(segment) => {
                manifest.segments.push(segment);
                listed += 1;
            }
            Err(e @ Error::Io { .. }) => return Err(e),
            Err(e) => put_aside(dir, manifest, &path, &e, done)?,
        }
    }
    if listed > 0 {
        done.push(format!("listed {listed} segments"));
    }
    Ok(())
}

/// Takes segments from the list that are missing or cannot be read.
fn put_damaged_aside(dir: &Path, manifest: &mut Manifest, done: &mut Vec<String>) -> Result<()> {
    let found = read::inventory(dir, manifest);
    let mut damage = found.findings;
    for file in &found.segments {
        if let Err(e) = Batches::open(&file.path, file.def, &[]) {
            damage.push(e);
        }
    }
    for e in damage {
        match &e {
            Error::Corrupt { path, .. } if *path != layout::manifest(dir) => {
                let path = relative(dir, path);
                put_aside(dir, manifest, &path, &e, done)?;
            }
            _ => return Err(e),
        }
    }
    Ok(())
}

fn put_aside(
    dir: &Path,
    manifest: &mut Manifest,
    file: &Path,
    reason: &Error,
    done: &mut Vec<String>,
) -> Result<()> {
    let name = file.to_string_lossy().into_owned();
    let reason = match reason {
        Error::Corrupt { reason, .. } => reason.clone(),
        other => other.to_string(),
    };
    let line = format!("the rows of {name}: {reason}");
    manifest.segments.retain(|s| s.file != name);
    if !manifest.missing.contains(&line) {
        manifest.missing.push(line);
    }
    let path = dir.join(file);
    if let (Ok(_), Some(aside)) = (fs::symlink_metadata(&path), layout::damaged(&path)) {
        fs::rename(&path, &aside).map_err(Error::io("rename", &path))?;
    }
    done.push(format!("put aside {name}: {reason}"));
    Ok(())
}

/// Ends a recording with its last event. The manifest is left to the caller.
///
/// # Errors
/// If segments cannot be read or written.
pub fn finish(dir: &Path, manifest: &mut Manifest) -> Result<()> {
    for def in TABLES {
        if manifest.segments_of(def.name).next().is_none() {
            let number = 1 + highest_number(dir, def)?;
            let segment = segment::write(dir, def, number, &[])?;
            manifest.segments.push(segment);
        }
    }
    let start_ns = manifest.clock.boot_ns;
    let times = manifest.segments.iter().filter_map(|s| s.max_ns);
    let end_ns = times.max().unwrap_or(start_ns).max(start_ns);
    manifest.end_ns = Some(end_ns);
    manifest.state = State::Finished;
    manifest.lost = lost(dir, manifest)?;
    Ok(())
}

/// Losses by stream, as table `loss` counts them.
///
/// # Errors
/// As [`read::batches`].
pub fn lost(dir: &Path, manifest: &Manifest) -> Result<std::collections::BTreeMap<String, u64>> {
    let mut sums = std::collections::BTreeMap::new();
    for batch in read::batches(dir, manifest, &loss::DEF, &["stream", "count"])? {
        let streams = batch.column(0).as_string::<i32>();
        let counts = batch.column(1).as_primitive::<Int64Type>();
        for (stream, count) in streams.iter().zip(counts) {
            if let (Some(stream), Some(count)) = (stream, count) {
                let sum: &mut u64 = sums.entry(stream.to_owned()).or_default();
                *sum = sum.saturating_add(count.max(0).cast_unsigned());
            }
        }
    }
    Ok(sums)
}

fn argv_bytes(dir: &Path, manifest: &Manifest) -> Result<u64> {
    let batches = read::batches(dir, manifest, &exec::DEF, &["argv_bytes"])?;
    let sizes = batches
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<Int64Type>().iter().flatten());
    Ok(sizes.fold(0, |sum, n| sum.saturating_add(n.max(0).cast_unsigned())))
}

fn highest_number(dir: &Path, def: &TableDef) -> Result<u32> {
    let names = names(&dir.join(def.name))?;
    let numbers = names.iter().filter_map(|n| layout::segment_number(n));
    Ok(numbers.max().unwrap_or(0))
}

/// Removes what was being written.
fn remove_unfinished(dir: &Path, done: &mut Vec<String>) -> Result<()> {
    let mut count = 0;
    let folders = TABLES.iter().map(|def| dir.join(def.name));
    for folder in folders.chain([dir.to_path_buf()]) {
        for name in names(&folder)? {
            if layout::is_unfinished(&name) {
                let path = folder.join(name);
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                count += 1;
            }
        }
    }
    if count > 0 {
        done.push(format!("removed {count} files that were not finished"));
    }
    Ok(())
}

/// Removes rows of `process` that the complete table has replaced.
fn remove_replaced(dir: &Path, manifest: &Manifest, done: &mut Vec<String>) -> Result<()> {
    if !manifest.process_complete {
        return Ok(());
    }
    let folder = dir.join(process::DEF.name);
    for name in names(&folder)? {
        let file = format!("{}/{name}", process::DEF.name);
        let listed = manifest.segments.iter().any(|s| s.file == file);
        if layout::segment_number(&name).is_some() && !listed {
            let path = folder.join(name);
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            done.push(format!("removed {file}, which another has replaced"));
        }
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let name = entry.map_err(Error::io("list", folder))?.file_name();
        names.extend(name.into_string());
    }
    Ok(names)
}

fn relative(dir: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(dir).unwrap_or(path).to_path_buf()
}

#[cfg(test)]
mod tests;
