//! Where rows become segments: one open file per table, closed and listed in
//! the manifest at each rotation.
//!
//! What cannot be written is dropped and counted: the rows that were on their
//! way, by the stream of their events. Who owns the sink decides what follows.

use std::path::{Path, PathBuf};

use whence_schemas::manifest::Manifest;
use whence_schemas::segment::{OpenSegment, Segment};
use whence_schemas::table::TableBuilder;
use whence_schemas::{
    Error, Result, clock, exec, exit, fork, frame, loss, mapping, overhead, process, sample, stack,
    symbol,
};

use crate::loss::STREAMS;

/// Rows, and bytes of what may be long, that are collected before they are
/// encoded.
const BATCH_ROWS: usize = 16 * 1024;
const BATCH_BYTES: usize = 8 << 20;

/// Counts by stream, in the order of [`STREAMS`].
pub type ByStream = [u64; STREAMS.len()];

/// Rows that could not be written.
#[derive(Debug)]
pub struct Failure {
    /// Their table.
    pub table: &'static str,
    /// The events that are lost with them.
    pub events: ByStream,
    /// Why.
    pub error: Box<Error>,
}

/// A table that is being written.
#[derive(Debug)]
pub struct Stream<B> {
    /// Rows not yet encoded.
    pub rows: B,
    /// Bytes of those values of the rows that may be long.
    pub held_bytes: usize,
    /// Events whose rows are in no finished segment yet.
    pub events: ByStream,
    open: Option<OpenSegment>,
    number: u32,
}

impl<B: TableBuilder> Stream<B> {
    fn new(number: u32) -> Self {
        Self {
            rows: B::default(),
            held_bytes: 0,
            events: ByStream::default(),
            open: None,
            number,
        }
    }

    /// Encodes what is there, if there is enough of it.
    fn relieve(&mut self, dir: &Path, boot_id: &str) -> Result<(), Failure> {
        if self.rows.len() < BATCH_ROWS && self.held_bytes < BATCH_BYTES {
            return Ok(());
        }
        self.encode(dir, boot_id).map_err(|e| self.fail(e))
    }

    fn encode(&mut self, dir: &Path, boot_id: &str) -> Result<()> {
        self.held_bytes = 0;
        let batch = self.rows.finish(boot_id)?;
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(OpenSegment::create(dir, B::def(), self.number)?),
        };
        open.write(&batch)
    }

    /// Writes all that is held in memory.
    fn flush(&mut self, dir: &Path, boot_id: &str) -> Result<(), Failure> {
        let mut flush = || {
            if !self.rows.is_empty() {
                self.encode(dir, boot_id)?;
            }
            self.open.as_mut().map_or(Ok(()), OpenSegment::flush)
        };
        flush().map_err(|e| self.fail(e))
    }

    /// Lets go of all that is not in a finished segment.
    fn fail(&mut self, error: Error) -> Failure {
        let number = self.number + 1;
        let lost = std::mem::replace(self, Self::new(number));
        Failure {
            table: B::def().name,
            events: lost.events,
            error: Box::new(error),
        }
    }

    /// Closes the segment, if it has rows or `even_empty` is set.
    fn rotate(
        &mut self,
        dir: &Path,
        boot_id: &str,
        even_empty: bool,
    ) -> Result<Option<Segment>, Failure> {
        if !self.rows.is_empty() || even_empty && self.open.is_none() {
            self.encode(dir, boot_id).map_err(|e| self.fail(e))?;
        }
        let Some(open) = self.open.take() else {
            return Ok(None);
        };
        let segment = open.finish().map_err(|e| self.fail(e))?;
        self.number += 1;
        self.events = ByStream::default();
        Ok(Some(segment))
    }

    fn open_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, OpenSegment::bytes)
    }
}

macro_rules! tables {
    ($($table:ident),+ $(,)?) => {
        /// Every table that is being written.
        #[derive(Debug)]
        pub struct Sink {
            dir: PathBuf,
            boot_id: String,
            /// Segments that the manifest on disk lists.
            listed: usize,
            failures: Vec<Failure>,
            /// Begin of the part that segments belong to, of a flight recorder.
            pub part_ns: Option<i64>,
            $( #[doc = concat!("Table `", stringify!($table), "`.")]
               pub $table: Stream<$table::Builder>, )+
        }

        impl Sink {
            /// For the recording at `dir`, whose segments so far `manifest` lists.
            #[must_use]
            pub fn new(dir: &Path, manifest: &Manifest) -> Self {
                Self {
                    dir: dir.to_path_buf(),
                    boot_id: manifest.boot_id.clone(),
                    listed: manifest.segments.len(),
                    failures: Vec::new(),
                    part_ns: None,
                    $( $table: Stream::new(1 + manifest.last_number(stringify!($table))), )+
                }
            }

            /// Encodes the tables that have collected enough rows.
            pub fn relieve(&mut self) {
                $(
                    let relieved = self.$table.relieve(&self.dir, &self.boot_id);
                    self.failures.extend(relieved.err());
                )+
            }

            /// Encodes all rows, few as they may be.
            pub fn encode(&mut self) {
                $(
                    if !self.$table.rows.is_empty() {
                        let encoded = self.$table.encode(&self.dir, &self.boot_id);
                        let failure = encoded.map_err(|e| self.$table.fail(e)).err();
                        self.failures.extend(failure);
                    }
                )+
            }

            /// Writes all that is held in memory.
            pub fn flush(&mut self) {
                $(
                    let flushed = self.$table.flush(&self.dir, &self.boot_id);
                    self.failures.extend(flushed.err());
                )+
            }

            /// What could not be written since this was asked last.
            pub fn failures(&mut self) -> Vec<Failure> {
                std::mem::take(&mut self.failures)
            }

            /// Bytes that the open segments will have, about.
            #[must_use]
            pub fn open_bytes(&self) -> u64 {
                0 $( + self.$table.open_bytes() )+
            }

            /// Closes the segments and lists them. The manifest is written anew
            /// when an eighth has come to it: a reader finds the segments that it
            /// does not list yet, and writing it each time would in the end write
            /// more than the events do. Processes are an exception: when their
            /// rows were true stands in the manifest alone.
            ///
            /// # Errors
            /// If the manifest cannot be written.
            pub fn rotate(&mut self, manifest: &mut Manifest) -> Result<()> {
                let processes = manifest.segments_of(process::DEF.name).count();
                let before = manifest.segments.len();
                $(
                    match self.$table.rotate(&self.dir, &self.boot_id, false) {
                        Ok(segment) => manifest.segments.extend(segment),
                        Err(failure) => self.failures.push(failure),
                    }
                )+
                for segment in &mut manifest.segments[before..] {
                    segment.at_ns = self.part_ns;
                }
                let due = self.listed + (self.listed / 8).max(1);
                let more = manifest.segments_of(process::DEF.name).count() > processes;
                match more || manifest.segments.len() >= due {
                    true => self.list(manifest),
                    false => Ok(()),
                }
            }

            /// Writes the manifest.
            ///
            /// # Errors
            /// If it cannot be written.
            pub fn list(&mut self, manifest: &Manifest) -> Result<()> {
                manifest.write(&self.dir)?;
                self.listed = manifest.segments.len();
                Ok(())
            }

            /// Closes the segments for good; the manifest is left to the caller.
            /// A table without any row gets an empty one, so that other engines
            /// find its columns. What could not be written before is handed to
            /// `count`, to be told in the last segments.
            pub fn close(
                &mut self,
                manifest: &mut Manifest,
                mut count: impl FnMut(&Failure, &mut loss::Builder),
            ) -> Vec<Failure> {
                let mut failures = Vec::new();
                let before = manifest.segments.len();
                $(
                    for failure in self.failures() {
                        count(&failure, &mut self.loss.rows);
                        failures.push(failure);
                    }
                    let first = manifest.segments_of(stringify!($table)).next().is_none();
                    match self.$table.rotate(&self.dir, &self.boot_id, first) {
                        Ok(segment) => manifest.segments.extend(segment),
                        Err(failure) => self.failures.push(failure),
                    }
                )+
                for segment in &mut manifest.segments[before..] {
                    segment.at_ns = self.part_ns;
                }
                failures.append(&mut self.failures);
                failures
            }
        }
    };
}

// In the order in which they are closed: what others refer to comes first, so
// that nothing refers to what a crash has taken; losses come after what may be
// lost by closing.
tables!(
    frame, symbol, mapping, stack, process, exec, fork, exit, sample, loss, clock, overhead
);

#[cfg(test)]
mod tests {
    use whence_schemas::TABLES;

    use super::*;
    use crate::session::manifest_for_tests;

    fn sink(dir: &Path) -> (Sink, Manifest) {
        let manifest = manifest_for_tests();
        for def in TABLES {
            std::fs::create_dir(dir.join(def.name)).unwrap();
        }
        (Sink::new(dir, &manifest), manifest)
    }

    fn push_fork(sink: &mut Sink) {
        sink.fork.events[0] += 1;
        sink.fork.rows.push(fork::Row {
            comm: "sh",
            ..fork::Row::default()
        });
    }

    /// The list above is the only one besides `TABLES`.
    #[test]
    fn every_table_has_a_stream() {
        let dir = tempfile::tempdir().unwrap();
        let (mut sink, mut manifest) = sink(dir.path());
        assert!(sink.close(&mut manifest, |_, _| ()).is_empty());
        let mut written: Vec<_> = manifest.segments.iter().map(|s| s.table.as_str()).collect();
        let mut defined: Vec<_> = TABLES.iter().map(|t| t.name).collect();
        written.sort_unstable();
        defined.sort_unstable();
        assert_eq!(written, defined);
    }

    /// A disk that takes nothing more must not take the count of what it cost.
    #[test]
    fn rows_that_cannot_be_written_are_counted_and_the_rest_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let (mut sink, mut manifest) = sink(dir.path());
        push_fork(&mut sink);
        std::fs::remove_dir(dir.path().join("fork")).unwrap();
        sink.rotate(&mut manifest).unwrap();
        let [failure] = &sink.failures()[..] else {
            panic!("one table failed");
        };
        assert_eq!((failure.table, failure.events[0]), ("fork", 1));
        std::fs::create_dir(dir.path().join("fork")).unwrap();
        push_fork(&mut sink);
        sink.rotate(&mut manifest).unwrap();
        assert!(sink.failures().is_empty());
        assert_eq!(manifest.segments_of("fork").next().unwrap().rows, 1);
    }

    #[test]
    fn what_fails_while_closing_is_told_to_the_last_segments() {
        let dir = tempfile::tempdir().unwrap();
        let (mut sink, mut manifest) = sink(dir.path());
        push_fork(&mut sink);
        std::fs::remove_dir(dir.path().join("fork")).unwrap();
        let mut told = 0;
        let failures = sink.close(&mut manifest, |f, _| told += f.events[0]);
        assert_eq!((failures.len(), told), (1, 1));
        assert_eq!(manifest.segments.len(), TABLES.len() - 1);
    }
}
