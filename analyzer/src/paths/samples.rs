//! Stack events added up by what they have in common.
//!
//! Each thread adds up the row groups that it reads in a table of its own; what
//! is the same in all of them is put together at the end. Text is read as
//! numbers into the distinct values of a row group, so that no row costs more
//! than the look-up of a few integers.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::catalog::Session;
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::{DefaultHashBuilder, HashTable};
use smol_str::SmolStr;
use whence_schemas::read::Texts;
use whence_schemas::sample;

use crate::Result;
use crate::recording::{Recording, Recordings};
use crate::scan::{self, Place};

/// All events of one kind with one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// What was hit.
    pub event: SmolStr,
    /// `task`, `softirq`, …
    pub context: SmolStr,
    /// Name of the thread.
    pub comm: SmolStr,
    /// Kernel part of the call path.
    pub kernel: Option<i64>,
    /// User part of the call path.
    pub user: Option<i64>,
    /// Sum of weights.
    pub weight: i64,
    /// How many events.
    pub samples: i64,
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

/// Adds up the events of recordings. The order is the same for the same
/// recordings.
///
/// # Errors
/// If a segment turns out to be damaged; [`Error::Limit`](crate::Error::Limit) if
/// there are more distinct stacks than memory allows for.
pub async fn aggregate(
    _state: &dyn Session,
    recordings: &Recordings,
    filter: &Filter,
) -> Result<Vec<Weighted>> {
    let columns = match filter.pid {
        Some(_) => &COLUMNS[..],
        None => &COLUMNS[..6],
    };
    let all: Vec<&Recording> = recordings.all.iter().collect();
    let sums = scan::rows(
        &all,
        &sample::DEF,
        columns,
        Texts::Dictionaries,
        || Sums::new(recordings.reserve("samples")),
        |sums, place, batch| sums.add(place, &batch, filter),
    )?;
    let mut sums = sums.into_iter();
    let mut whole = match sums.next() {
        Some(first) => first,
        None => return Ok(Vec::new()),
    };
    for other in sums {
        whole.merge(other)?;
    }
    Ok(whole.into_rows())
}

/// What a sum is of: number of the event, context and thread's name together,
/// and the ids of both stacks; an absent one is 0 and its flag is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    kernel: i64,
    user: i64,
    kind: u32,
}

/// Flags in [`Key::kind`].
const HAS_KERNEL: u32 = 1 << 31;
const HAS_USER: u32 = 1 << 30;
const KIND: u32 = HAS_USER - 1;

#[derive(Clone, Copy, Debug)]
struct Sum {
    key: Key,
    weight: i64,
    samples: i64,
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

/// The numbers of kinds by the keys of a row group's dictionaries.
#[derive(Debug, Default)]
struct Seen {
    place: Option<(usize, usize)>,
    dictionaries: Vec<ArrayRef>,
    kinds: hashbrown::HashMap<[i32; 3], u32>,
    last: Option<([i32; 3], u32)>,
}

/// What one thread has added up.
struct Sums {
    table: HashTable<Sum>,
    hasher: DefaultHashBuilder,
    kinds: Kinds,
    seen: Seen,
    memory: MemoryReservation,
}

impl Sums {
    fn new(memory: MemoryReservation) -> Self {
        Self {
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            kinds: Kinds::default(),
            seen: Seen::default(),
            memory,
        }
    }

    fn add(&mut self, place: Place, batch: &RecordBatch, filter: &Filter) -> Result<()> {
        let int = |i: usize| batch.column(i).as_primitive::<Int64Type>();
        let (kernel, user, weight) = (int(3), int(4), int(5));
        let pid = filter
            .pid
            .map(|pid| (pid, batch.column(6).as_primitive::<Int32Type>()));
        let kinds = self.kinds_of(place, batch);
        for (row, kind) in kinds.into_iter().enumerate() {
            if pid.is_some_and(|(pid, of)| of.is_null(row) || of.value(row) != pid) {
                continue;
            }
            let (kernel, has_kernel) = stack(kernel, row, HAS_KERNEL);
            let (user, has_user) = stack(user, row, HAS_USER);
            let key = Key {
                kernel,
                user,
                kind: kind | has_kernel | has_user,
            };
            let weight = if weight.is_valid(row) {
                weight.value(row)
            } else {
                0
            };
            self.put(Sum {
                key,
                weight,
                samples: 1,
            })?;
        }
        Ok(())
    }

    fn put(&mut self, sum: Sum) -> Result<()> {
        let hasher = &self.hasher;
        let hash = hasher.hash_one(sum.key);
        if let Some(known) = self.table.find_mut(hash, |known| known.key == sum.key) {
            known.weight = known.weight.saturating_add(sum.weight);
            known.samples += sum.samples;
            return Ok(());
        }
        if self.table.len() == self.table.capacity() {
            // Old and new table are there at once while it grows.
            let bytes = self.table.allocation_size().max(4096) * 2;
            self.memory.try_grow(bytes)?;
            self.table.reserve(1, |known| hasher.hash_one(known.key));
            self.memory.try_resize(self.table.allocation_size())?;
        }
        self.table
            .insert_unique(hash, sum, |known| hasher.hash_one(known.key));
        Ok(())
    }

    /// The kind of each row.
    fn kinds_of(&mut self, place: Place, batch: &RecordBatch) -> Vec<u32> {
        let texts: [_; 3] = std::array::from_fn(|i| batch.column(i).as_dictionary::<Int32Type>());
        let seen = &mut self.seen;
        let is_known = seen
            .dictionaries
            .iter()
            .zip(&texts)
            .all(|(a, b)| Arc::ptr_eq(a, b.values()));
        // Keys mean the same as long as the dictionaries are the same.
        if seen.place != Some((place.recording, place.group)) || !is_known {
            *seen = Seen {
                place: Some((place.recording, place.group)),
                dictionaries: texts.iter().map(|t| Arc::clone(t.values())).collect(),
                ..Seen::default()
            };
        }
        let key = |text: usize, row: usize| match texts[text].keys().is_valid(row) {
            true => texts[text].keys().value(row),
            false => -1,
        };
        let kinds = &mut self.kinds;
        let mut number = |keys: [i32; 3]| {
            if let Some((_, kind)) = seen.last.filter(|(last, _)| *last == keys) {
                return kind;
            }
            let kind = *seen.kinds.entry(keys).or_insert_with(|| {
                let text = |i: usize| match usize::try_from(keys[i]) {
                    Ok(key) => texts[i].values().as_string::<i32>().value(key),
                    Err(_) => "",
                };
                kinds.number([text(0), text(1), text(2)])
            });
            seen.last = Some((keys, kind));
            kind
        };
        (0..batch.num_rows())
            .map(|row| number([key(0, row), key(1, row), key(2, row)]))
            .collect()
    }

    /// Takes in what another thread has added up.
    fn merge(&mut self, other: Self) -> Result<()> {
        let numbers: Vec<u32> = other
            .kinds
            .texts
            .iter()
            .map(|[event, context, comm]| self.kinds.number([event, context, comm]))
            .collect();
        for mut sum in other.table {
            let kind = (sum.key.kind & KIND) as usize;
            sum.key.kind = sum.key.kind & !KIND | numbers[kind];
            self.put(sum)?;
        }
        Ok(())
    }

    fn into_rows(self) -> Vec<Weighted> {
        // Kinds in order of their texts; then a number sorts as they do.
        let mut order = vec![0_u32; self.kinds.texts.len()];
        for (at, number) in self.kinds.numbers.values().enumerate() {
            order[*number as usize] = at as u32;
        }
        let mut sums: Vec<Sum> = self.table.into_iter().collect();
        let id = |key: &Key, flag: u32, id: i64| (key.kind & flag != 0).then_some(id);
        sums.sort_unstable_by_key(|sum| {
            let key = &sum.key;
            (
                order[(key.kind & KIND) as usize],
                id(key, HAS_KERNEL, key.kernel),
                id(key, HAS_USER, key.user),
            )
        });
        sums.into_iter()
            .map(
                |Sum {
                     key,
                     weight,
                     samples,
                 }| {
                    let [event, context, comm] =
                        self.kinds.texts[(key.kind & KIND) as usize].clone();
                    Weighted {
                        event,
                        context,
                        comm,
                        kernel: id(&key, HAS_KERNEL, key.kernel),
                        user: id(&key, HAS_USER, key.user),
                        weight,
                        samples,
                    }
                },
            )
            .collect()
    }
}

/// A stack's id, and the flag if there is one.
fn stack(ids: &Int64Array, row: usize, flag: u32) -> (i64, u32) {
    match ids.is_valid(row) {
        true => (ids.value(row), flag),
        false => (0, 0),
    }
}
