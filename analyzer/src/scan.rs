//! Reads columns of a table with all CPUs. Row groups are handed out one by one
//! to threads, each of which adds up in a state of its own; what they come to
//! does not depend on who read what, or is put in order by [`Place`].

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use arrow::array::RecordBatch;
use whence_schemas::TableDef;
use whence_schemas::read::{SegmentReader, Texts};

use crate::recording::Recording;
use crate::{Error, Result};

/// Rows in a batch, at most.
pub(crate) const BATCH_ROWS: usize = 16 * 1024;

/// Where a batch stands among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Index of its recording in what is scanned.
    pub(crate) recording: usize,
    /// Number of its row group among all.
    pub(crate) group: usize,
    /// Number of the batch in it.
    pub(crate) batch: usize,
}

/// How many threads work.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Runs a job for each number below `jobs`, on all CPUs, each thread with a
/// state of its own, and gives the states. The first error ends all.
pub(crate) fn each<S: Send>(
    jobs: usize,
    state: impl Fn() -> S + Sync,
    job: impl Fn(&mut S, usize) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        let mut state = state();
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= jobs {
                break;
            }
            job(&mut state, at).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        }
        Ok(state)
    };
    thread::scope(|scope| {
        let helpers = threads().min(jobs).max(1) - 1;
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
        let mut states = vec![work()];
        for helper in helpers {
            states.push(helper.join().unwrap_or_else(|_| {
                Err(Error::Corrupt(
                    "a segment of the recording is corrupt: its content cannot be decoded".into(),
                ))
            }));
        }
        states.into_iter().collect()
    })
}

/// Visits all rows of a table of these recordings, with these columns.
///
/// # Errors
/// If a segment turns out to be damaged, and whatever `visit` fails with.
pub(crate) fn rows<S: Send>(
    recordings: &[&Recording],
    def: &'static TableDef,
    columns: &[&str],
    texts: Texts,
    state: impl Fn() -> S + Sync,
    visit: impl Fn(&mut S, Place, RecordBatch) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    rows_by(recordings, def, columns, (texts, BATCH_ROWS), state, visit)
}

/// The same with that many rows in a batch, at most.
///
/// # Errors
/// As [`rows`].
pub(crate) fn rows_by<S: Send>(
    recordings: &[&Recording],
    def: &'static TableDef,
    columns: &[&str],
    (texts, batch_rows): (Texts, usize),
    state: impl Fn() -> S + Sync,
    visit: impl Fn(&mut S, Place, RecordBatch) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let files: Vec<_> = recordings
        .iter()
        .enumerate()
        .flat_map(|(at, recording)| recording.segments_of(def).map(move |s| (at, s)))
        .collect();
    // Those that were opened, in order of the files.
    let opened = each(
        files.len(),
        Vec::new,
        |opened: &mut Vec<(usize, SegmentReader)>, at| {
            let path = &files[at].1.file.path;
            opened.push((at, SegmentReader::open(path, def, texts)?));
            Ok(())
        },
    )?;
    let mut opened: Vec<_> = opened.into_iter().flatten().collect();
    opened.sort_unstable_by_key(|(at, _)| *at);
    let groups: Vec<(usize, &SegmentReader, usize)> = opened
        .iter()
        .flat_map(|(at, reader)| (0..reader.row_groups()).map(move |g| (*at, reader, g)))
        .collect();
    each(groups.len(), state, |state, group| {
        let (file, reader, row_group) = groups[group];
        let batches = reader.batches(Some(row_group), columns, batch_rows)?;
        for (batch, rows) in batches.enumerate() {
            let place = Place {
                recording: files[file].0,
                group,
                batch,
            };
            visit(state, place, rows?)?;
        }
        Ok(())
    })
}
