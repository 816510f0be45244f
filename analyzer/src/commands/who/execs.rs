//! Execs of recordings: by which they are chosen as columns in memory, with their
//! text as numbers into distinct values, so that a pattern is tried on each text
//! once and not on each row. What else an answer says of an exec is read for those
//! that are chosen.

use arrow::array::{Array as _, ArrowPrimitiveType, AsArray as _, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::execution::memory_pool::MemoryReservation;
use regex::Regex;
use whence_schemas::exec;
use whence_schemas::read::Texts;

use super::find::basename;
use crate::Result;
use crate::forest::Upids;
use crate::names::Names;
use crate::recording::{Recording, Recordings};
use crate::scan::{self, CHUNK_ROWS, Place, Segments};
use crate::spill;

/// Columns that are read of all; the constants below are their places. The last
/// one only if it is matched.
const COLUMNS: [&str; 6] = ["upid", "errno", "comm", "exe", "filename", "cmdline"];
const UPID: usize = 0;
const ERRNO: usize = 1;
const COMM: usize = 2;
const EXE: usize = 3;
const FILENAME: usize = 4;
const CMDLINE: usize = 5;

/// Columns that are read of the chosen ones, likewise.
const REST: [&str; 5] = ["ts_ns", "exec_seq", "user_stack_id", "comm", "cmdline"];
const TS_NS: usize = 0;
const SEQ: usize = 1;
const STACK: usize = 2;
const REST_COMM: usize = 3;
const REST_CMDLINE: usize = 4;

/// An exec that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Chosen {
    chunk: u32,
    row: u32,
    /// Index of its boot's forest.
    pub(super) forest: usize,
    pub(super) upid: i64,
    pub(super) errno: i32,
}

/// An exec. Texts are numbers in [`Names`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Exec {
    pub(super) of: Chosen,
    pub(super) ts_ns: i64,
    pub(super) seq: Option<i32>,
    pub(super) stack: Option<i64>,
    pub(super) comm: u32,
    pub(super) cmdline: u32,
}

/// Upids by the index of their boot's forest.
pub(super) type OfForests = Vec<Upids>;

/// All of them.
#[derive(Debug)]
pub(super) struct Execs {
    segments: Segments,
    chunks: Vec<Chunk>,
    memory: MemoryReservation,
}

#[derive(Debug)]
struct Chunk {
    place: Place,
    forest: usize,
    batch: RecordBatch,
}

impl Execs {
    /// Reads by what they are chosen.
    pub(super) fn load(recordings: &Recordings, by_cmdline: bool) -> Result<Self> {
        let memory = recordings.reserve("execs");
        let forest_of = recordings.boot_numbers();
        let all: Vec<&Recording> = recordings.all.iter().collect();
        let segments = Segments::open(&all, &exec::DEF, Texts::Dictionaries)?;
        let columns = if by_cmdline {
            &COLUMNS[..]
        } else {
            &COLUMNS[..CMDLINE]
        };
        let chunks = segments.rows_by(columns, CHUNK_ROWS, Vec::new, |chunks, place, batch| {
            chunks.push(Chunk {
                place,
                forest: forest_of[place.recording],
                batch: spill::keep(batch, &memory)?,
            });
            Ok(())
        })?;
        let mut chunks: Vec<Chunk> = chunks.into_iter().flatten().collect();
        chunks.sort_unstable_by_key(|chunk| chunk.place);
        Ok(Self {
            segments,
            chunks,
            memory,
        })
    }

    /// Those that match: on the name of the program, as the kernel shortens it
    /// and in full, or on the command line. A failed exec has only the name that
    /// was asked for.
    pub(super) fn matching(&self, pattern: &Regex, by_cmdline: bool) -> Result<Vec<Chosen>> {
        self.choose(|chunk, found| {
            let matches = |column, name: fn(&str) -> &str| {
                chunk.matches(column, |text| pattern.is_match(name(text)))
            };
            let met = match by_cmdline {
                true => matches(CMDLINE, |line| line),
                false => {
                    let ran = &matches(COMM, |comm| comm) | &matches(EXE, basename);
                    &matches(FILENAME, basename) | &(&ran & &chunk.succeeded())
                }
            };
            found.extend(met.set_indices());
        })
    }

    /// Those of some processes that succeeded.
    pub(super) fn of(&self, processes: &OfForests) -> Result<Vec<Chosen>> {
        self.choose(|chunk, found| {
            let processes = &processes[chunk.forest];
            if processes.is_empty() {
                return;
            }
            let upids = chunk.batch.column(UPID).as_primitive::<Int64Type>();
            let rows = upids.values().iter().enumerate();
            let of =
                rows.filter(|(row, upid)| processes.contains(**upid) && chunk.errno(*row) == 0);
            found.extend(of.map(|(row, _)| row));
        })
    }

    /// Lets a function choose rows of each chunk, and gives them in order. Rows
    /// that lack an identity are left out.
    fn choose(&self, choose: impl Fn(&Chunk, &mut Vec<usize>) + Sync) -> Result<Vec<Chosen>> {
        let found = scan::each(self.chunks.len(), Vec::new, |found, at| {
            let chunk = &self.chunks[at];
            let mut rows = Vec::new();
            choose(chunk, &mut rows);
            let upids = chunk.batch.column(UPID).as_primitive::<Int64Type>();
            let known = rows.into_iter().filter(|row| upids.is_valid(*row));
            let known = known.map(|row| Chosen {
                chunk: at as u32,
                row: row as u32,
                forest: chunk.forest,
                upid: upids.value(row),
                errno: chunk.errno(row),
            });
            found.push((at, known.collect::<Vec<_>>()));
            Ok(())
        })?;
        let mut found: Vec<_> = found.into_iter().flatten().collect();
        found.sort_unstable_by_key(|(at, _)| *at);
        Ok(found.into_iter().flat_map(|(_, rows)| rows).collect())
    }

    /// Reads what else is said of those that were chosen, which are in order.
    /// Those that lack a time are left out.
    pub(super) fn read(&self, chosen: &[Chosen], names: &mut Names) -> Result<Vec<Exec>> {
        let of_chunk: Vec<&[Chosen]> = chosen.chunk_by(|a, b| a.chunk == b.chunk).collect();
        let read = scan::each(of_chunk.len(), Vec::new, |read, at| {
            let place = self.chunks[of_chunk[at][0].chunk as usize].place;
            // A group has more than one chunk only if others wrote it.
            let before = (place.batch * CHUNK_ROWS) as u32;
            let rows: Vec<u32> = of_chunk[at].iter().map(|c| c.row + before).collect();
            let batch = self.segments.chosen(place.group, &REST, &rows)?;
            read.push((at, spill::keep(batch, &self.memory)?));
            Ok(())
        })?;
        let mut read: Vec<_> = read.into_iter().flatten().collect();
        read.sort_unstable_by_key(|(at, _)| *at);
        let mut execs = Vec::with_capacity(chosen.len());
        for (at, batch) in read {
            let comms = numbers(&batch, REST_COMM, names);
            let cmdlines = numbers(&batch, REST_CMDLINE, names);
            let each = of_chunk[at].iter().enumerate();
            execs.extend(each.filter_map(|(row, of)| {
                Some(Exec {
                    of: *of,
                    ts_ns: value::<Int64Type>(&batch, TS_NS, row)?,
                    seq: value::<Int32Type>(&batch, SEQ, row),
                    stack: value::<Int64Type>(&batch, STACK, row),
                    comm: comms[row],
                    cmdline: cmdlines[row],
                })
            }));
        }
        Ok(execs)
    }
}

/// The numbers of texts. A text that is not known is empty.
fn numbers(batch: &RecordBatch, column: usize, names: &mut Names) -> Vec<u32> {
    let texts = batch.column(column).as_dictionary::<Int32Type>();
    let values = texts.values().as_string::<i32>();
    let mut known = vec![None; values.len()];
    let keys = texts.keys().iter();
    keys.map(|key| match key {
        Some(key) => {
            let key = key as usize;
            *known[key].get_or_insert_with(|| names.intern(values.value(key)))
        }
        None => names.intern(""),
    })
    .collect()
}

fn value<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    column: usize,
    row: usize,
) -> Option<T::Native> {
    let column = batch.column(column).as_primitive::<T>();
    column.is_valid(row).then(|| column.value(row))
}

impl Chunk {
    fn errno(&self, row: usize) -> i32 {
        value::<Int32Type>(&self.batch, ERRNO, row).unwrap_or(0)
    }

    /// Whether each row succeeded.
    fn succeeded(&self) -> BooleanBuffer {
        BooleanBuffer::collect_bool(self.batch.num_rows(), |row| self.errno(row) == 0)
    }

    /// Whether the text of each row satisfies a condition.
    fn matches(&self, column: usize, condition: impl Fn(&str) -> bool) -> BooleanBuffer {
        let texts = self.batch.column(column).as_dictionary::<Int32Type>();
        let values = texts.values().as_string::<i32>().iter();
        let is_match: Vec<bool> = values.map(|v| v.is_some_and(&condition)).collect();
        let keys = texts.keys();
        if !is_match.contains(&true) {
            return BooleanBuffer::new_unset(keys.len());
        }
        // The key of no text may be any number.
        let of_key = |key: i32| is_match.get(key as usize).copied().unwrap_or(false);
        let met = BooleanBuffer::collect_bool(keys.len(), |row| of_key(keys.values()[row]));
        match keys.nulls() {
            Some(nulls) => &met & nulls.inner(),
            None => met,
        }
    }
}
