//! Stack events added up by what they have in common.
//!
//! Each thread adds up the row groups that it reads in a table of its own; what
//! is the same in all of them is put together at the end. Text is read as
//! numbers into the distinct values of a row group, so that no row costs more
//! than the look-up of a few integers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array as _, AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::catalog::Session;
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::HashSet;
use smol_str::SmolStr;
use whence_schemas::read;
use whence_schemas::sample;

use super::select::{is_named, short};
use super::sums::{HAS_KERNEL, HAS_USER, Key, NUMBERS, Run, Sum, Table, merge};
use crate::Result;
use crate::combinations::{Combinations, Texts};
use crate::recording::{Recording, Recordings};
use crate::scan;
use crate::stacks::Stacks;

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

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sums.len() / NUMBERS
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Weighted<'_>> {
        self.some(0..self.len())
    }

    /// Those at these places.
    pub fn some(&self, places: Range<usize>) -> impl Iterator<Item = Weighted<'_>> {
        places.map(|at| {
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
    /// Only these stacks matter.
    pub through: Option<Through>,
}

/// Stacks that matter: those through a function, and all of the events that have its
/// name. What has others is added up as if it had no stacks, so that there are few
/// sums.
#[derive(Clone, Debug)]
pub struct Through {
    name: String,
    ids: HashSet<i64>,
    /// Which low bits their ids have: nearly all others are told by that.
    low_bits: Vec<bool>,
}

/// Low bits that are looked at. Ids are hashes.
const LOW_BITS: i64 = (1 << 16) - 1;

impl Through {
    /// For a function, or an event, of that name.
    #[must_use]
    pub fn new(stacks: &Stacks, name: &str) -> Self {
        let function = stacks.function(short(name));
        let ids: HashSet<i64> = function
            .into_iter()
            .flat_map(|function| stacks.through(function))
            .collect();
        let mut low_bits = vec![false; LOW_BITS as usize + 1];
        for id in &ids {
            low_bits[(id & LOW_BITS) as usize] = true;
        }
        Self {
            name: name.to_owned(),
            ids,
            low_bits,
        }
    }

    fn has(&self, id: i64) -> bool {
        self.low_bits[(id & LOW_BITS) as usize] && self.ids.contains(&id)
    }

    fn is_event(&self, event: &str) -> bool {
        is_named(event, &self.name)
    }
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
    /// Kinds of which all stacks matter.
    whole: Vec<bool>,
    /// Of the batch that is being added.
    rows: Vec<Sum>,
}

impl<'a> Sums<'a> {
    fn new(kinds: &'a Mutex<Kinds>, memory: MemoryReservation) -> Self {
        Self {
            table: Table::new(memory),
            kinds,
            seen: None,
            whole: Vec::new(),
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
        let through = filter.through.as_ref();
        self.each_kind(batch, through, |row, kind, is_whole| {
            if pid.is_some_and(|(pid, of)| of.is_null(row) || of.value(row) != pid) {
                return;
            }
            let (mut kernel, mut has_kernel) = stack(kernel, row, HAS_KERNEL);
            let (mut user, mut has_user) = stack(user, row, HAS_USER);
            let matters = |through: &Through| {
                is_whole
                    || has_kernel != 0 && through.has(kernel)
                    || has_user != 0 && through.has(user)
            };
            if !through.is_none_or(matters) {
                (kernel, has_kernel, user, has_user) = (0, 0, 0, 0);
            }
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

    /// Gives each row with its kind, and whether all stacks of that matter.
    fn each_kind(
        &mut self,
        batch: &RecordBatch,
        through: Option<&Through>,
        mut visit: impl FnMut(usize, u32, bool),
    ) -> Result<()> {
        let texts: [&Texts; 3] = std::array::from_fn(|i| batch.column(i).as_dictionary());
        let seen = self.seen.take().filter(|seen| seen.is_of(&texts));
        let seen = self
            .seen
            .insert(seen.unwrap_or_else(|| Combinations::new(&texts)));
        let whole = RefCell::new(&mut self.whole);
        let number = |texts: &[Option<&str>]| {
            let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
            let text = |at: usize| texts[at].unwrap_or_default();
            let number = kinds.number([text(0), text(1), text(2)]);
            let mut whole = whole.borrow_mut();
            let kinds = whole.len().max(number as usize + 1);
            whole.resize(kinds, false);
            whole[number as usize] = through.is_some_and(|t| t.is_event(text(0)));
            Ok(number)
        };
        seen.each(&texts, number, |row, kind| {
            visit(row, kind, whole.borrow()[kind as usize]);
        })
    }
}

/// A stack's id, and the flag if there is one.
fn stack(ids: &Int64Array, row: usize, flag: u32) -> (i64, u32) {
    match ids.is_valid(row) {
        true => (ids.value(row), flag),
        false => (0, 0),
    }
}
