//! Rewrites the many small segments of a finished recording as few large ones:
//! in order over all of them, each call path once, the processes complete, and
//! compressed harder.
//!
//! New segments are complete under temporary names before the first is given its
//! name; then the manifest is replaced, which is the moment at which the
//! recording is another one; then the old ones are removed. What an interrupted
//! run leaves is not listed, and the next one removes it.

mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;

use crate::derive::{self, EXEC_COLUMNS, EXIT_COLUMNS, Events, FORK_COLUMNS, Seen};
use crate::manifest::Manifest;
use crate::page::Effort;
use crate::read::{SegmentFile, SegmentReader, Texts};
use crate::segment::{OpenSegment, SealedSegment, sync_dir};
use crate::table::BOOT_ID;
use crate::{Error, Result, TABLES, TableDef, layout, read};
use order::{ById, ByTime};

/// Rows of a segment, at most.
const SEGMENT_ROWS: u64 = 16 << 20;
/// Rows in a batch that is read.
const BATCH_ROWS: usize = 32 * 1024;

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments before and after.
    pub segments: (usize, usize),
    /// Bytes of segments before and after.
    pub bytes: (u64, u64),
}

/// Whether all segments of a recording were written by [`compact`].
///
/// # Errors
/// As [`SegmentReader::open`].
pub fn is_compact(dir: &Path, manifest: &Manifest) -> Result<bool> {
    for file in segments(dir, manifest)? {
        if !SegmentReader::open(&file.path, file.def, Texts::Values)?.is_archived() {
            return Ok(false);
        }
    }
    Ok(manifest.process_complete)
}

/// Rewrites the segments of a recording that has ended, within so many bytes of
/// memory for rows that must be sorted. `progress` is told of the rows that are
/// done, of all.
///
/// # Errors
/// [`Error::Corrupt`] for a damaged segment, [`Error::Io`], [`Error::Memory`].
/// The recording is as it was then.
pub fn compact(
    dir: &Path,
    manifest: &mut Manifest,
    max_bytes: usize,
    progress: &mut dyn FnMut(&'static TableDef, u64, u64),
) -> Result<Compacted> {
    remove_unlisted(dir, manifest)?;
    let files = segments(dir, manifest)?;
    let rows =
        |files: &[SegmentFile]| -> u64 { files.iter().filter_map(|f| Some(f.listed?.rows)).sum() };
    let all = rows(&files);
    let mut sealed = Vec::new();
    let mut done = 0;
    for def in TABLES {
        progress(def, done, all);
        let of_table: Vec<SegmentFile> = files
            .iter()
            .filter(|file| file.def.name == def.name)
            .cloned()
            .collect();
        let mut output = Output::new(dir, def, 1 + manifest.last_number(def.name));
        let mut told = 0;
        let mut put = |batch: &RecordBatch| {
            told += batch.num_rows() as u64;
            progress(def, done + told, all);
            output.write(batch)
        };
        match def.name {
            "process" if !manifest.process_complete => {
                derive_processes(dir, manifest, max_bytes, &mut put)?;
            }
            // In pre-order already.
            "process" => each(&of_table, |batch| put(&batch))?,
            "stack" => by_id(dir, &of_table, "stack_id", max_bytes, &mut put)?,
            "frame" | "symbol" => by_id(dir, &of_table, "frame_id", max_bytes, &mut put)?,
            _ => by_time(dir, &of_table, max_bytes, &mut put)?,
        }
        sealed.append(&mut output.finish()?);
        done += rows(&of_table);
    }
    replace(dir, manifest, sealed)
}

/// Makes the new segments the recording's.
fn replace(dir: &Path, manifest: &mut Manifest, sealed: Vec<SealedSegment>) -> Result<Compacted> {
    let mut new = manifest.clone();
    let published: Result<Vec<_>> = sealed.into_iter().map(SealedSegment::publish).collect();
    new.segments = published?;
    new.process_complete = true;
    new.write(dir)?;
    let old = std::mem::replace(manifest, new);
    for segment in &old.segments {
        let path = dir.join(&segment.file);
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    }
    let bytes = |manifest: &Manifest| manifest.segments.iter().map(|s| s.bytes).sum();
    Ok(Compacted {
        segments: (old.segments.len(), manifest.segments.len()),
        bytes: (bytes(&old), bytes(manifest)),
    })
}

/// The segments of the manifest; all of them must be there.
fn segments(dir: &Path, manifest: &Manifest) -> Result<Vec<SegmentFile>> {
    let found = read::inventory(dir, manifest);
    match found.findings.into_iter().next() {
        Some(finding) => Err(finding),
        None => Ok(found.segments),
    }
}

/// Removes what an interrupted run has left: segments that are not listed, and
/// unfinished ones.
fn remove_unlisted(dir: &Path, manifest: &Manifest) -> Result<()> {
    let listed: BTreeSet<PathBuf> = manifest
        .segments
        .iter()
        .map(|s| dir.join(&s.file))
        .collect();
    for def in TABLES {
        let folder = dir.join(def.name);
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(Error::io("list", &folder))?,
        };
        for entry in entries {
            let name = entry.map_err(Error::io("list", &folder))?.file_name();
            let path = folder.join(&name);
            let is_ours = name.to_str().is_some_and(|name| {
                layout::segment_number(name).is_some() || layout::is_unfinished(name)
            });
            if is_ours && !listed.contains(&path) {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
    }
    Ok(())
}

/// Every column of a table.
fn columns(def: &TableDef) -> Vec<&'static str> {
    let own = def.columns.iter().map(|column| column.name);
    own.chain([BOOT_ID]).collect()
}

/// Calls `visit` with the rows of segments, file by file.
fn each(files: &[SegmentFile], mut visit: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
    for file in files {
        let reader = SegmentReader::open(&file.path, file.def, Texts::Values)?;
        for batch in reader.batches(None, &columns(file.def), BATCH_ROWS)? {
            visit(whole(file, &batch?)?)?;
        }
    }
    Ok(())
}

/// A batch as it is written: columns that may not be NULL are not.
fn whole(file: &SegmentFile, batch: &RecordBatch) -> Result<RecordBatch> {
    RecordBatch::try_new(file.def.schema(), batch.columns().to_vec())
        .map_err(|e| Error::corrupt(&file.path, e))
}

fn by_time(
    dir: &Path,
    files: &[SegmentFile],
    max_bytes: usize,
    put: &mut dyn FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let mut files = files.to_vec();
    let begin = |file: &SegmentFile| file.listed.and_then(|listed| listed.min_ns);
    files.sort_by_key(begin);
    let Some(first) = files.first() else {
        return Ok(());
    };
    let mut sorter = ByTime::new(dir, first.def, max_bytes);
    for (at, file) in files.iter().enumerate() {
        each(std::slice::from_ref(file), |batch| sorter.add(batch))?;
        // Segments overlap a little, since events come from several CPUs.
        if let Some(begin_ns) = files[at + 1..].iter().filter_map(begin).min() {
            sorter.release(Some(begin_ns), put)?;
        }
    }
    sorter.release(None, put)
}

fn by_id(
    dir: &Path,
    files: &[SegmentFile],
    id: &'static str,
    max_bytes: usize,
    put: &mut dyn FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let Some(first) = files.first() else {
        return Ok(());
    };
    let mut sorter = ById::new(dir, first.def, id, max_bytes);
    each(files, |batch| sorter.add(batch))?;
    sorter.finish(put)
}

/// The complete table of processes.
fn derive_processes(
    dir: &Path,
    manifest: &Manifest,
    max_bytes: usize,
    put: &mut dyn FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let files = segments(dir, manifest)?;
    let mut held = 0;
    let mut rows = |file: &SegmentFile, columns: &[&str]| -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        let reader = SegmentReader::open(&file.path, file.def, Texts::Dictionaries)?;
        for batch in reader.batches(None, columns, 4 * BATCH_ROWS)? {
            let batch = batch?;
            held += batch.get_array_memory_size();
            if held > max_bytes {
                return Err(order::too_much("derive the processes of", dir, max_bytes));
            }
            batches.push(batch);
        }
        Ok(batches)
    };
    let mut snapshots: BTreeMap<i64, Vec<RecordBatch>> = BTreeMap::new();
    let (mut fork, mut exec, mut exit) = (Vec::new(), Vec::new(), Vec::new());
    for file in &files {
        match file.def.name {
            "process" => {
                let at_ns = file.listed.and_then(|listed| listed.at_ns);
                let seen = snapshots.entry(at_ns.unwrap_or(manifest.clock.boot_ns));
                seen.or_default().extend(rows(file, &columns(file.def))?);
            }
            "fork" => fork.extend(rows(file, FORK_COLUMNS)?),
            "exec" => exec.extend(rows(file, EXEC_COLUMNS)?),
            "exit" => exit.extend(rows(file, EXIT_COLUMNS)?),
            _ => {}
        }
    }
    let seen: Vec<Seen<'_>> = snapshots
        .iter()
        .map(|(at_ns, batches)| Seen {
            batches,
            at_ns: *at_ns,
        })
        .collect();
    let (processes, _) = derive::process_table(&Events {
        process: &seen,
        fork: &fork,
        exec: &exec,
        exit: &exit,
    })?;
    for batch in processes.batches(&manifest.boot_id) {
        put(&batch?)?;
    }
    Ok(())
}

/// The new segments of a table.
struct Output {
    dir: PathBuf,
    def: &'static TableDef,
    number: u32,
    open: Option<OpenSegment>,
    rows: u64,
    sealed: Vec<SealedSegment>,
}

impl Output {
    fn new(dir: &Path, def: &'static TableDef, number: u32) -> Self {
        Self {
            dir: dir.to_path_buf(),
            def,
            number,
            open: None,
            rows: 0,
            sealed: Vec::new(),
        }
    }

    fn open(&mut self) -> Result<OpenSegment> {
        let number = self.number;
        self.number += 1;
        OpenSegment::create_with(&self.dir, self.def, number, Effort::Archive)
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open()?,
        };
        open.write(batch)?;
        self.rows += batch.num_rows() as u64;
        if self.rows >= SEGMENT_ROWS {
            self.rows = 0;
            self.sealed.push(open.seal()?);
        } else {
            self.open = Some(open);
        }
        Ok(())
    }

    /// Completes them. A table without rows has one that is empty.
    fn finish(mut self) -> Result<Vec<SealedSegment>> {
        let open = match self.open.take() {
            Some(open) => Some(open),
            None if self.sealed.is_empty() => Some(self.open()?),
            None => None,
        };
        if let Some(open) = open {
            self.sealed.push(open.seal()?);
        }
        sync_dir(&self.dir.join(self.def.name))?;
        Ok(self.sealed)
    }
}

#[cfg(test)]
mod tests;
