//! Stack events added up by what they have in common.
//!
//! Each thread adds up the row groups that it reads in a table of its own; what
//! is the same in all of them is put together at the end. Text is read as
//! numbers into the distinct values of a row group, so that no row costs more
//! than the look-up of a few integers.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array as _, AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::catalog::Session;
use datafusion::execution::memory_pool::MemoryReservation;
use smol_str::SmolStr;
use whence_schemas::read;
use whence_schemas::sample;

use super::sums::{HAS_KERNEL, HAS_USER, Key, NUMBERS, Run, Sum, Table, merge};
use crate::Result;
use crate::combinations::{Combinations, Texts};
use crate::recording::{Recording, Recordings};
use crate::scan;

/// All events of one kind with one stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weighted<'a> {
    /// What was hit.
    pub event: &'a str,
    /// `task`, `softirq`, …
    pub context: &'a str,
    /// Name of the thread.
    pub comm: &'a str,
    /// Kernel part of the call path.
    pub kernel: Option<i64>,
    /// User part of the call path.
    pub user: Option<i64>,
    /// Sum of weights.
    pub weight: i64,
    /// How many events.
    pub samples: i64,
}

/// Events that were added up, in an order that is the same for the same
/// recordings: by event, context and name, then by stack.
#[derive(Debug)]
pub struct Samples {
    sums: Run,
    kinds: Vec<[SmolStr; 3]>,
    _memory: MemoryReservation,
}

impl Samples {
    /// Whether there was no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Weighted<'_>> {
        (0..self.sums.len() / NUMBERS).map(|at| {
            let sum = Sum::of(&self.sums, at);
            let [event, context, comm] = &self.kinds[sum.key.number()];
            Weighted {
                event,
                context,
                comm,
                kernel: sum.key.kernel(),
                user: sum.key.user(),
                weight: sum.weight,
                samples: sum.samples,
            }
        })
    }
}

/// Which events are added up.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of processes with this pid.
    pub pid: Option<i32>,
}

/// Columns that are read, in this order; `pid` only to filter by it.
const COLUMNS: [&str; 7] = [
    "event",
    "context",
    "comm",
    "kernel_stack_id",
    "user_stack_id",
    "weight",
    "pid",
];

/// Adds up the events of recordings.
///
/// # Errors
/// If a segment turns out to be damaged; [`Error::Io`](crate::Error::Io) if what
/// does not fit in memory cannot be written.
pub async fn aggregate(
    _state: &dyn Session,
    recordings: &Recordings,
    filter: &Filter,
) -> Result<Samples> {
    let columns = match filter.pid {
        Some(_) => &COLUMNS[..],
        None => &COLUMNS[..6],
    };
    let all: Vec<&Recording> = recordings.all.iter().collect();
    let kinds = Mutex::new(Kinds::default());
    let sums = scan::rows(
        &all,
        &sample::DEF,
        columns,
        read::Texts::Dictionaries,
        || Sums::new(&kinds, recordings.reserve("samples")),
        |sums, _, batch| sums.add(&batch, filter),
    )?;
    let tables = sums.into_iter().map(|sums| Mutex::new(Some(sums.table)));
    let tables: Vec<_> = tables.collect();
    let runs = scan::each(tables.len(), Vec::new, |runs, at| {
        let mut table = tables[at].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = table.take() {
            runs.push(table.into_runs()?);
        }
        Ok(())
    })?;
    let (runs, held): (Vec<_>, Vec<_>) = runs.into_iter().flatten().unzip();
    let runs: Vec<Run> = runs.into_iter().flatten().collect();
    let kinds = kinds.into_inner().unwrap_or_else(PoisonError::into_inner);
    let order: Vec<u32> = kinds.numbers.values().copied().collect();
    let memory = recordings.reserve("samples");
    let sums = merge(&runs, &order, &memory)?;
    drop(held);
    Ok(Samples {
        sums,
        kinds: kinds.texts,
        _memory: memory,
    })
}

/// The distinct combinations of event, context and name.
#[derive(Debug, Default)]
struct Kinds {
    texts: Vec<[SmolStr; 3]>,
    numbers: BTreeMap<[SmolStr; 3], u32>,
}

impl Kinds {
    fn number(&mut self, texts: [&str; 3]) -> u32 {
        let texts = texts.map(SmolStr::from);
        if let Some(known) = self.numbers.get(&texts) {
            return *known;
        }
        let number = self.texts.len() as u32;
        self.texts.push(texts.clone());
        self.numbers.insert(texts, number);
        number
    }
}

/// What one thread has added up.
struct Sums<'a> {
    table: Table,
    kinds: &'a Mutex<Kinds>,
    seen: Option<Combinations>,
    /// Of the batch that is being added.
    rows: Vec<Sum>,
}

impl<'a> Sums<'a> {
    fn new(kinds: &'a Mutex<Kinds>, memory: MemoryReservation) -> Self {
        Self {
            table: Table::new(memory),
            kinds,
            seen: None,
            rows: Vec::new(),
        }
    }

    fn add(&mut self, batch: &RecordBatch, filter: &Filter) -> Result<()> {
        let int = |i: usize| batch.column(i).as_primitive::<Int64Type>();
        let (kernel, user, weight) = (int(3), int(4), int(5));
        let pid = filter
            .pid
            .map(|pid| (pid, batch.column(6).as_primitive::<Int32Type>()));
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        self.each_kind(batch, |row, kind| {
            if pid.is_some_and(|(pid, of)| of.is_null(row) || of.value(row) != pid) {
                return;
            }
            let (kernel, has_kernel) = stack(kernel, row, HAS_KERNEL);
            let (user, has_user) = stack(user, row, HAS_USER);
            rows.push(Sum {
                key: Key {
                    kernel,
                    user,
                    kind: kind | has_kernel | has_user,
                },
                weight: if weight.is_valid(row) {
                    weight.value(row)
                } else {
                    0
                },
                samples: 1,
            });
        })?;
        self.table.add(&rows)?;
        self.rows = rows;
        Ok(())
    }

    /// Gives each row with its kind.
    fn each_kind(&mut self, batch: &RecordBatch, visit: impl FnMut(usize, u32)) -> Result<()> {
        let texts: [&Texts; 3] = std::array::from_fn(|i| batch.column(i).as_dictionary());
        let seen = self.seen.take().filter(|seen| seen.is_of(&texts));
        let seen = self
            .seen
            .insert(seen.unwrap_or_else(|| Combinations::new(&texts)));
        let number = |texts: &[Option<&str>]| {
            let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
            let text = |at: usize| texts[at].unwrap_or_default();
            Ok(kinds.number([text(0), text(1), text(2)]))
        };
        seen.each(&texts, number, visit)
    }
}

/// A stack's id, and the flag if there is one.
fn stack(ids: &Int64Array, row: usize, flag: u32) -> (i64, u32) {
    match ids.is_valid(row) {
        true => (ids.value(row), flag),
        false => (0, 0),
    }
}
