//! All execs of recordings as columns in memory, with their text as numbers into
//! distinct values: a pattern is tried on each text once, not on each row.

use arrow::array::{Array as _, ArrowPrimitiveType, AsArray as _, BooleanArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::{HashMap, HashSet};
use regex::Regex;
use whence_schemas::exec;
use whence_schemas::read::Texts;

use super::find::{Image, basename};
use crate::Result;
use crate::forest::Forest;
use crate::recording::{Recording, Recordings};
use crate::scan::{self, Place};
use crate::spill;

/// Columns that are read; the constants below are their places.
const COLUMNS: [&str; 9] = [
    "upid",
    "ts_ns",
    "user_stack_id",
    "exec_seq",
    "errno",
    "comm",
    "exe",
    "filename",
    "cmdline",
];
const UPID: usize = 0;
const TS_NS: usize = 1;
const STACK: usize = 2;
const SEQ: usize = 3;
const ERRNO: usize = 4;
const COMM: usize = 5;
const EXE: usize = 6;
const FILENAME: usize = 7;
const CMDLINE: usize = 8;

/// Rows in a chunk, at most: those of a row group.
const CHUNK_ROWS: usize = 128 * 1024;

/// Chunk and row of an exec.
pub(super) type Row = (u32, u32);

/// An exec.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exec {
    pub(super) row: Row,
    /// Index of its boot's forest.
    pub(super) forest: usize,
    pub(super) upid: i64,
    pub(super) ts_ns: i64,
    pub(super) seq: Option<i32>,
    pub(super) errno: i32,
    pub(super) stack: Option<i64>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Execs {
    chunks: Vec<Chunk>,
    _memory: MemoryReservation,
}

#[derive(Debug)]
struct Chunk {
    place: Place,
    forest: usize,
    batch: RecordBatch,
}

impl Execs {
    /// Reads them.
    pub(super) fn load(recordings: &Recordings) -> Result<Self> {
        let memory = recordings.reserve("execs");
        let forest_of = recordings.boot_numbers();
        let all: Vec<&Recording> = recordings.all.iter().collect();
        let chunks = scan::rows_by(
            &all,
            &exec::DEF,
            &COLUMNS,
            (Texts::Dictionaries, CHUNK_ROWS),
            Vec::new,
            |chunks, place, batch| {
                chunks.push(Chunk {
                    place,
                    forest: forest_of[place.recording],
                    batch: spill::keep(batch, &memory)?,
                });
                Ok(())
            },
        )?;
        let mut chunks: Vec<Chunk> = chunks.into_iter().flatten().collect();
        chunks.sort_unstable_by_key(|chunk| chunk.place);
        Ok(Self {
            chunks,
            _memory: memory,
        })
    }

    /// Those that match: on the name of the program, as the kernel shortens it
    /// and in full, or on the command line. A failed exec has only the name that
    /// was asked for.
    pub(super) fn matching(&self, pattern: &Regex, by_cmdline: bool) -> Result<Vec<Exec>> {
        self.each(|chunk, found| {
            let matches = |column, name: fn(&str) -> &str| {
                chunk.matches(column, |text| pattern.is_match(name(text)))
            };
            let (any, ran) = match by_cmdline {
                true => (matches(CMDLINE, |line| line), None),
                false => (
                    matches(FILENAME, basename),
                    Some((matches(COMM, |comm| comm), matches(EXE, basename))),
                ),
            };
            let is_match = |row: &usize| {
                let of_ran = |(comm, exe): &(BooleanArray, BooleanArray)| {
                    (comm.value(*row) || exe.value(*row)) && chunk.errno(*row) == 0
                };
                any.value(*row) || ran.as_ref().is_some_and(of_ran)
            };
            let rows = (0..chunk.batch.num_rows()).filter(is_match);
            found.extend(rows.map(|row| (row, ())));
        })
        .map(|found| found.into_iter().map(|(exec, ())| exec).collect())
    }

    /// Those of failed ones that were steps of a search along `PATH`: the process
    /// then executed the same arguments from another folder.
    pub(super) fn steps<'a>(&self, failed: impl Iterator<Item = &'a Exec>) -> Result<HashSet<Row>> {
        let mut missed: HashMap<(usize, i64), Vec<&Exec>> = HashMap::new();
        for exec in failed.filter(|exec| exec.errno == libc::ENOENT) {
            let of = (exec.forest, exec.upid);
            missed.entry(of).or_default().push(exec);
        }
        if missed.is_empty() {
            return Ok(HashSet::new());
        }
        let steps = self.each(|chunk, steps| {
            for (row, upid) in chunk.succeeded() {
                let missed = missed.get(&(chunk.forest, upid)).into_iter().flatten();
                let (ts_ns, cmdline) = (
                    chunk.value::<Int64Type>(TS_NS, row),
                    chunk.text(CMDLINE, row),
                );
                let before = missed
                    .filter(|miss| Some(miss.ts_ns) < ts_ns && self.cmdline(miss.row) == cmdline);
                steps.extend(before.map(|miss| (row, miss.row)));
            }
        })?;
        Ok(steps.into_iter().map(|(_, step)| step).collect())
    }

    /// What some processes executed, in order of time, by forest and node.
    pub(super) fn images(
        &self,
        forests: &[Forest],
        wanted: &HashMap<(usize, i64), u32>,
    ) -> Result<HashMap<(usize, u32), Vec<Image>>> {
        debug_assert!(wanted.keys().all(|(forest, _)| *forest < forests.len()));
        let found = self.each(|chunk, found| {
            found.extend(chunk.succeeded().filter_map(|(row, upid)| {
                let node = wanted.get(&(chunk.forest, upid))?;
                Some((row, *node))
            }));
        })?;
        let mut images: HashMap<(usize, u32), Vec<Image>> = HashMap::new();
        for (exec, node) in found {
            images.entry((exec.forest, node)).or_default().push(Image {
                ts_ns: exec.ts_ns,
                comm: self.comm(exec.row).to_owned(),
                cmdline: self.cmdline(exec.row).to_owned(),
            });
        }
        for images in images.values_mut() {
            images.sort_by_key(|image| image.ts_ns);
        }
        Ok(images)
    }

    /// Name of the program.
    pub(super) fn comm(&self, row: Row) -> &str {
        self.chunks[row.0 as usize].text(COMM, row.1 as usize)
    }

    /// Its command line.
    pub(super) fn cmdline(&self, row: Row) -> &str {
        self.chunks[row.0 as usize].text(CMDLINE, row.1 as usize)
    }

    /// Lets a function choose rows of each chunk, with a value for each, and
    /// gives them in order. Rows that lack an identity or a time are left out.
    fn each<T: Send + Copy>(
        &self,
        choose: impl Fn(&Chunk, &mut Vec<(usize, T)>) + Sync,
    ) -> Result<Vec<(Exec, T)>> {
        let found = scan::each(self.chunks.len(), Vec::new, |found, at| {
            let chunk = &self.chunks[at];
            let mut rows = Vec::new();
            choose(chunk, &mut rows);
            let exec = |(row, value): &(usize, T)| Some((chunk.exec(at, *row)?, *value));
            found.extend(rows.iter().filter_map(exec));
            Ok(())
        })?;
        let mut found: Vec<(Exec, T)> = found.into_iter().flatten().collect();
        found.sort_by_key(|(exec, _)| exec.row);
        Ok(found)
    }
}

impl Chunk {
    fn value<T: ArrowPrimitiveType>(&self, column: usize, row: usize) -> Option<T::Native> {
        let column = self.batch.column(column).as_primitive::<T>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn text(&self, column: usize, row: usize) -> &str {
        let texts = self.batch.column(column).as_dictionary::<Int32Type>();
        let key = texts.key(row);
        key.map_or("", |key| texts.values().as_string::<i32>().value(key))
    }

    fn errno(&self, row: usize) -> i32 {
        self.value::<Int32Type>(ERRNO, row).unwrap_or(0)
    }

    fn exec(&self, chunk: usize, row: usize) -> Option<Exec> {
        Some(Exec {
            row: (chunk as u32, row as u32),
            forest: self.forest,
            upid: self.value::<Int64Type>(UPID, row)?,
            ts_ns: self.value::<Int64Type>(TS_NS, row)?,
            seq: self.value::<Int32Type>(SEQ, row),
            errno: self.errno(row),
            stack: self.value::<Int64Type>(STACK, row),
        })
    }

    /// Rows that succeeded, with their process.
    fn succeeded(&self) -> impl Iterator<Item = (usize, i64)> {
        let upids = self.batch.column(UPID).as_primitive::<Int64Type>();
        let rows = (0..self.batch.num_rows()).filter(|row| self.errno(*row) == 0);
        rows.filter(|row| upids.is_valid(*row))
            .map(|row| (row, upids.value(row)))
    }

    /// Whether the text of each row satisfies a condition.
    fn matches(&self, column: usize, condition: impl Fn(&str) -> bool) -> BooleanArray {
        let texts = self.batch.column(column).as_dictionary::<Int32Type>();
        let values = texts.values().as_string::<i32>().iter();
        let is_match: Vec<bool> = values.map(|v| v.is_some_and(&condition)).collect();
        let keys = texts.keys().iter();
        keys.map(|key| Some(key.is_some_and(|key| is_match[key as usize])))
            .collect()
    }
}
