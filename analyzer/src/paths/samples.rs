//! Stack events added up by what they have in common.
//!
//! Each thread adds up the row groups that it reads in a table of its own; what
//! is the same in all of them is put together at the end. Text is read as
//! numbers into the distinct values of a row group, so that no row costs more
//! than the look-up of a few integers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::catalog::Session;
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::HashMap;
use smol_str::SmolStr;
use whence_schemas::read::Texts;
use whence_schemas::sample;

use super::sums::{HAS_KERNEL, HAS_USER, Key, NUMBERS, Run, Sum, Table, merge};
use crate::Result;
use crate::recording::{Recording, Recordings};
use crate::scan::{self, Place};

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
        Texts::Dictionaries,
        || Sums::new(&kinds, recordings.reserve("samples")),
        |sums, place, batch| sums.add(place, &batch, filter),
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

/// Combinations of the distinct texts of a row group up to which each has a
/// place in an array.
const MOST_PLACES: usize = 1 << 16;
/// No number of a kind yet.
const UNKNOWN: u32 = u32::MAX;

/// The numbers of kinds by the keys of a row group's dictionaries.
#[derive(Debug, Default)]
struct Seen {
    place: Option<(usize, usize)>,
    dictionaries: Vec<ArrayRef>,
    /// Kinds by their keys as one number, if these are few.
    few: Vec<u32>,
    many: HashMap<usize, u32>,
}

impl Seen {
    fn new(place: Place, dictionaries: Vec<ArrayRef>) -> Self {
        let sizes = dictionaries.iter().map(|d| d.len() + 1);
        let places = sizes.fold(1_usize, usize::saturating_mul);
        let few = if places <= MOST_PLACES { places } else { 0 };
        Self {
            place: Some((place.recording, place.group)),
            dictionaries,
            few: vec![UNKNOWN; few],
            many: HashMap::new(),
        }
    }

    fn kind(&mut self, at: usize, number: impl FnOnce() -> u32) -> u32 {
        match self.few.get_mut(at) {
            Some(kind) if *kind == UNKNOWN => {
                *kind = number();
                *kind
            }
            Some(kind) => *kind,
            None => *self.many.entry(at).or_insert_with(number),
        }
    }
}

/// What one thread has added up.
struct Sums<'a> {
    table: Table,
    kinds: &'a Mutex<Kinds>,
    seen: Seen,
    /// Of the batch that is being added.
    rows: Vec<Sum>,
}

impl<'a> Sums<'a> {
    fn new(kinds: &'a Mutex<Kinds>, memory: MemoryReservation) -> Self {
        Self {
            table: Table::new(memory),
            kinds,
            seen: Seen::default(),
            rows: Vec::new(),
        }
    }

    fn add(&mut self, place: Place, batch: &RecordBatch, filter: &Filter) -> Result<()> {
        let int = |i: usize| batch.column(i).as_primitive::<Int64Type>();
        let (kernel, user, weight) = (int(3), int(4), int(5));
        let pid = filter
            .pid
            .map(|pid| (pid, batch.column(6).as_primitive::<Int32Type>()));
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        self.each_kind(place, batch, |row, kind| {
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
        });
        self.table.add(&rows)?;
        self.rows = rows;
        Ok(())
    }

    /// Gives each row with its kind.
    fn each_kind(&mut self, place: Place, batch: &RecordBatch, mut visit: impl FnMut(usize, u32)) {
        let texts: [_; 3] = std::array::from_fn(|i| batch.column(i).as_dictionary::<Int32Type>());
        let seen = &mut self.seen;
        let known = seen.dictionaries.iter().zip(&texts);
        let is_known = known.fold(true, |all, (a, b)| all && Arc::ptr_eq(a, b.values()));
        // Keys mean the same as long as the dictionaries are the same.
        if seen.place != Some((place.recording, place.group)) || !is_known {
            *seen = Seen::new(
                place,
                texts.iter().map(|t| Arc::clone(t.values())).collect(),
            );
        }
        let sizes = texts.map(|text| text.values().len() + 1);
        // 0 is no text.
        let key = |text: usize, row: usize| match texts[text].keys().is_valid(row) {
            true => texts[text].keys().value(row) as usize + 1,
            false => 0,
        };
        let text = |text: usize, key: usize| match key.checked_sub(1) {
            Some(key) => texts[text].values().as_string::<i32>().value(key),
            None => "",
        };
        for row in 0..batch.num_rows() {
            let keys = [key(0, row), key(1, row), key(2, row)];
            let at = (keys[0] * sizes[1] + keys[1]) * sizes[2] + keys[2];
            let kind = seen.kind(at, || {
                let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
                kinds.number([text(0, keys[0]), text(1, keys[1]), text(2, keys[2])])
            });
            visit(row, kind);
        }
    }
}

/// A stack's id, and the flag if there is one.
fn stack(ids: &Int64Array, row: usize, flag: u32) -> (i64, u32) {
    match ids.is_valid(row) {
        true => (ids.value(row), flag),
        false => (0, 0),
    }
}
