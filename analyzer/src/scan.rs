//! Reads columns of a table with all CPUs. Row groups are handed out one by one
//! to threads, each of which adds up in a state of its own; what they come to
//! does not depend on who read what, or is put in order by [`Place`].

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use arrow::array::RecordBatch;
use whence_schemas::read::{SegmentReader, Texts};
use whence_schemas::{TableDef, page};

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

/// The row groups of a table of some recordings, open for reading.
#[derive(Debug)]
pub(crate) struct Segments {
    /// Index of the recording that each is of, and the segment.
    readers: Vec<(usize, SegmentReader)>,
    /// Index of a reader, and the number of a row group in it, by [`Place::group`].
    groups: Vec<(usize, usize)>,
}

impl Segments {
    /// Opens them.
    ///
    /// # Errors
    /// If a segment turns out to be damaged.
    pub(crate) fn open(
        recordings: &[&Recording],
        def: &'static TableDef,
        texts: Texts,
    ) -> Result<Self> {
        let files: Vec<_> = recordings
            .iter()
            .enumerate()
            .flat_map(|(at, recording)| recording.segments_of(def).map(move |s| (at, s)))
            .collect();
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
        let readers: Vec<_> = opened
            .into_iter()
            .map(|(at, reader)| (files[at].0, reader))
            .collect();
        let groups = readers
            .iter()
            .enumerate()
            .flat_map(|(at, (_, reader))| (0..reader.row_groups()).map(move |g| (at, g)))
            .collect();
        Ok(Self { readers, groups })
    }

    /// Visits all rows with these columns, so many in a batch at most.
    ///
    /// # Errors
    /// As [`rows`].
    pub(crate) fn rows_by<S: Send>(
        &self,
        columns: &[&str],
        batch_rows: usize,
        state: impl Fn() -> S + Sync,
        visit: impl Fn(&mut S, Place, RecordBatch) -> Result<()> + Sync,
    ) -> Result<Vec<S>> {
        each(self.groups.len(), state, |state, group| {
            let (reader, row_group) = self.groups[group];
            let (recording, reader) = &self.readers[reader];
            let batches = reader.batches(Some(row_group), columns, batch_rows)?;
            for (batch, rows) in batches.enumerate() {
                let place = Place {
                    recording: *recording,
                    group,
                    batch,
                };
                visit(state, place, rows?)?;
            }
            Ok(())
        })
    }

    /// Some rows of a row group, by their place in it, in order.
    ///
    /// # Errors
    /// If the segment turns out to be damaged.
    pub(crate) fn chosen(
        &self,
        group: usize,
        columns: &[&str],
        rows: &[u32],
    ) -> Result<RecordBatch> {
        let (reader, row_group) = self.groups[group];
        Ok(self.readers[reader].1.chosen(row_group, columns, rows)?)
    }
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
    let segments = Segments::open(recordings, def, texts)?;
    segments.rows_by(columns, BATCH_ROWS, state, visit)
}

/// Rows that are held, in chunks of so many at most: as many as a row group has.
pub(crate) const CHUNK_ROWS: usize = page::ROW_GROUP_ROWS;
