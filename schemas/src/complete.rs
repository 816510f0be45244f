//! The last step of a recording: the complete table `process`, with the tree
//! numbered, takes the place of the rows that only tell what was there before.
//!
//! Where that would take more memory than a production host should give, it is
//! left to the analyzer, which does the same.

use std::fs;
use std::path::Path;

use crate::derive::{self, EXEC_COLUMNS, EXIT_COLUMNS, Events, FORK_COLUMNS, Processes, Seen};
use crate::manifest::Manifest;
use crate::segment::OpenSegment;
use crate::table::BOOT_ID;
use crate::{Error, Result, exec, exit, fork, process, read};

/// Events and bytes of arguments beyond which the table is left to the analyzer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Forks and execs.
    pub events: u64,
    /// Bytes of all arguments.
    pub argv_bytes: u64,
}

impl Limits {
    /// What can be done in so much memory.
    #[must_use]
    pub fn within(max_memory: u64) -> Self {
        // Measured: half a kilobyte per event, arguments in three forms.
        Self {
            events: max_memory / 512,
            argv_bytes: max_memory / 8,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::within(256 << 20)
    }
}

/// Completes table `process` of the recording at `dir` and writes the manifest.
/// `argv_bytes` is the size of all arguments in it.
///
/// # Errors
/// If segments cannot be read or written.
pub fn number_processes(
    dir: &Path,
    manifest: &mut Manifest,
    argv_bytes: u64,
    limits: Limits,
) -> Result<()> {
    if argv_bytes > limits.argv_bytes || events(manifest) > limits.events {
        manifest.process_complete = false;
        return manifest.write(dir);
    }
    let processes = derive(dir, manifest)?;
    let before: Vec<String> = manifest
        .segments_of(process::DEF.name)
        .map(|s| s.file.clone())
        .collect();
    let number = 1 + manifest.last_number(process::DEF.name);
    let mut segment = OpenSegment::create(dir, &process::DEF, number)?;
    for batch in processes.batches(&manifest.boot_id) {
        segment.write(&batch?)?;
    }
    let segment = segment.finish()?;
    manifest.segments.retain(|s| s.table != process::DEF.name);
    manifest.segments.push(segment);
    manifest.process_complete = true;
    manifest.write(dir)?;
    // After the manifest, which until now named them.
    for file in before {
        let path = dir.join(file);
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

fn events(manifest: &Manifest) -> u64 {
    let rows = |table| manifest.segments_of(table).map(|s| s.rows).sum::<u64>();
    rows(fork::DEF.name) + rows(exec::DEF.name)
}

fn derive(dir: &Path, manifest: &Manifest) -> Result<Processes> {
    let columns: Vec<&str> = process::DEF
        .columns
        .iter()
        .map(|c| c.name)
        .chain([BOOT_ID])
        .collect();
    let snapshots = read::snapshots(dir, manifest, &columns)?;
    let seen: Vec<Seen<'_>> = snapshots
        .iter()
        .map(|(at_ns, batches)| Seen {
            batches,
            at_ns: *at_ns,
        })
        .collect();
    let fork = read::batches(dir, manifest, &fork::DEF, FORK_COLUMNS)?;
    let exec = read::batches(dir, manifest, &exec::DEF, EXEC_COLUMNS)?;
    let exit = read::batches(dir, manifest, &exit::DEF, EXIT_COLUMNS)?;
    let (processes, _) = derive::process_table(&Events {
        process: &seen,
        fork: &fork,
        exec: &exec,
        exit: &exit,
    })?;
    Ok(processes)
}
