//! Sums by key, in a table that is built for many distinct keys.
//!
//! A table of millions of sums is larger than the caches of a CPU, and each
//! look-up waits for memory. Most samples have one of few keys, so these have
//! places in a small table before it. The others come to the large one in blocks:
//! all places of a block are touched first, which the CPU does at once, and looked
//! up then. What does not fit in memory is written in order to a temporary file, as
//! a run; in the end, runs are merged kind by kind.

use std::hash::BuildHasher as _;
use std::hint::black_box;

use arrow::buffer::ScalarBuffer;
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::DefaultHashBuilder;

use crate::Result;
use crate::spill::Spill;

/// Keys that are looked up together.
const BLOCK: usize = 64;
/// Places for keys that come often: they fit in the second cache of a CPU.
const OFTEN_SLOTS: usize = 1 << 14;
/// Times that a key must be missed more often than met to lose its place, at most.
const MOST_LIVES: u8 = 15;
/// Sums that a table begins with.
const LEAST_SLOTS: usize = 4096;
/// Times its size that must be free for a result to stay in memory.
const ROOM: usize = 3;
/// Numbers that a sum is in a run.
pub(super) const NUMBERS: usize = 5;

/// What a sum is of: a kind, and the ids of both stacks; an absent one is 0 and
/// its flag is not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) kernel: i64,
    pub(super) user: i64,
    pub(super) kind: u32,
}

/// Flags in [`Key::kind`].
pub(super) const HAS_KERNEL: u32 = 1 << 31;
pub(super) const HAS_USER: u32 = 1 << 30;
const KIND: u32 = HAS_USER - 1;

impl Key {
    /// Number of the kind.
    pub(super) const fn number(self) -> usize {
        (self.kind & KIND) as usize
    }

    pub(super) fn kernel(self) -> Option<i64> {
        (self.kind & HAS_KERNEL != 0).then_some(self.kernel)
    }

    pub(super) fn user(self) -> Option<i64> {
        (self.kind & HAS_USER != 0).then_some(self.user)
    }

    fn order(self) -> (usize, Option<i64>, Option<i64>) {
        (self.number(), self.kernel(), self.user())
    }
}

/// A sum.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) key: Key,
    pub(super) weight: i64,
    /// 0 in a place that is free.
    pub(super) samples: i64,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.weight = self.weight.saturating_add(other.weight);
        self.samples = self.samples.saturating_add(other.samples);
    }

    fn numbers(&self) -> [i64; NUMBERS] {
        let key = &self.key;
        [
            key.kernel,
            key.user,
            key.kind.into(),
            self.weight,
            self.samples,
        ]
    }

    /// The sum at an index of a run.
    pub(super) fn of(run: &[i64], at: usize) -> Self {
        let numbers = &run[at * NUMBERS..(at + 1) * NUMBERS];
        Self {
            key: Key {
                kernel: numbers[0],
                user: numbers[1],
                kind: numbers[2] as u32,
            },
            weight: numbers[3],
            samples: numbers[4],
        }
    }
}

/// Sums in order of their keys.
pub(super) type Run = ScalarBuffer<i64>;

/// Sums of keys that come often, each in the one place that it may have.
struct Often {
    slots: Vec<Sum>,
    /// Of the key in each place.
    lives: Vec<u8>,
}

impl Often {
    fn new() -> Self {
        Self {
            slots: vec![Sum::default(); OFTEN_SLOTS],
            lives: vec![0; OFTEN_SLOTS],
        }
    }

    /// Adds a sum, or gives back what has no place: this one, or the one that was
    /// there.
    fn add(&mut self, hash: u64, sum: &Sum) -> Option<Sum> {
        // The large table uses the low bits.
        let place = (hash >> 40) as usize % OFTEN_SLOTS;
        let (slot, lives) = (&mut self.slots[place], &mut self.lives[place]);
        if slot.samples != 0 && slot.key == sum.key {
            slot.add(sum);
            *lives = (*lives + 1).min(MOST_LIVES);
            return None;
        }
        if *lives > 0 {
            *lives -= 1;
            return Some(*sum);
        }
        *lives = 1;
        let before = std::mem::replace(slot, *sum);
        (before.samples != 0).then_some(before)
    }
}

/// Sums by their key.
pub(super) struct Table {
    often: Often,
    /// What waits for the next block.
    block: Vec<Sum>,
    slots: Vec<Sum>,
    len: usize,
    hasher: DefaultHashBuilder,
    memory: MemoryReservation,
    runs: Vec<Run>,
}

impl Table {
    pub(super) fn new(memory: MemoryReservation) -> Self {
        Self {
            often: Often::new(),
            block: Vec::with_capacity(BLOCK),
            slots: Vec::new(),
            len: 0,
            hasher: DefaultHashBuilder::default(),
            memory,
            runs: Vec::new(),
        }
    }

    /// Adds sums, each of at least one sample.
    pub(super) fn add(&mut self, sums: &[Sum]) -> Result<()> {
        for sum in sums {
            let hash = self.hasher.hash_one(sum.key);
            if let Some(seldom) = self.often.add(hash, sum) {
                self.block.push(seldom);
                if self.block.len() == BLOCK {
                    self.add_block()?;
                }
            }
        }
        Ok(())
    }

    fn add_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        // At most two of three places are taken.
        if (self.len + self.block.len()) * 3 > self.slots.len() * 2 {
            self.grow()?;
        }
        let mask = self.slots.len() - 1;
        let mut places = [0; BLOCK];
        for (place, sum) in places.iter_mut().zip(&self.block) {
            *place = self.hasher.hash_one(sum.key) as usize & mask;
        }
        let touched = places.iter().take(self.block.len());
        black_box(touched.fold(0, |all, place| all ^ self.slots[*place].samples));
        let mut block = std::mem::take(&mut self.block);
        for (place, sum) in places.iter().zip(&block) {
            self.put(*place, sum);
        }
        block.clear();
        self.block = block;
        Ok(())
    }

    fn put(&mut self, mut place: usize, sum: &Sum) {
        let mask = self.slots.len() - 1;
        loop {
            let slot = &mut self.slots[place];
            if slot.samples == 0 {
                *slot = *sum;
                self.len += 1;
                return;
            }
            if slot.key == sum.key {
                slot.add(sum);
                return;
            }
            place = (place + 1) & mask;
        }
    }

    /// Makes room: in a larger table, or by writing what is there.
    fn grow(&mut self) -> Result<()> {
        let slots = (self.slots.len() * 2).max(LEAST_SLOTS);
        // Old and new table are there at once.
        let bytes = slots * size_of::<Sum>();
        if self.memory.try_grow(bytes).is_err() && !self.slots.is_empty() {
            return self.write();
        }
        let old = std::mem::replace(&mut self.slots, vec![Sum::default(); slots]);
        self.len = 0;
        let mask = slots - 1;
        for sum in old.iter().filter(|sum| sum.samples != 0) {
            let place = self.hasher.hash_one(sum.key) as usize & mask;
            self.put(place, sum);
        }
        drop(old);
        self.memory.resize(bytes);
        Ok(())
    }

    /// What is in the table, in order; the table is empty then.
    fn in_order(&mut self) -> Vec<Sum> {
        self.slots.retain(|sum| sum.samples != 0);
        self.len = 0;
        let mut sums = std::mem::take(&mut self.slots);
        sums.sort_unstable_by_key(|sum| sum.key.order());
        sums
    }

    fn write(&mut self) -> Result<()> {
        let slots = self.slots.len();
        let mut sums = self.in_order();
        let mut spill = Spill::create()?;
        for sum in &sums {
            spill.push(&sum.numbers())?;
        }
        self.runs.push(spill.finish()?);
        sums.clear();
        sums.resize(slots, Sum::default());
        self.slots = sums;
        Ok(())
    }

    /// All sums, as runs, and the memory that they take.
    pub(super) fn into_runs(mut self) -> Result<(Vec<Run>, MemoryReservation)> {
        let often = std::mem::take(&mut self.often.slots);
        for sum in often.iter().filter(|sum| sum.samples != 0) {
            self.block.push(*sum);
            if self.block.len() == BLOCK {
                self.add_block()?;
            }
        }
        drop(often);
        self.add_block()?;
        let bytes = self.len * NUMBERS * size_of::<i64>();
        if self.memory.try_grow(bytes).is_err() {
            self.write()?;
            self.slots = Vec::new();
            self.memory.free();
            return Ok((self.runs, self.memory));
        }
        let sums = self.in_order();
        let mut numbers: Vec<i64> = Vec::with_capacity(sums.len() * NUMBERS);
        numbers.extend(sums.iter().flat_map(Sum::numbers));
        drop(sums);
        self.memory.resize(bytes);
        self.runs.push(numbers.into());
        Ok((self.runs, self.memory))
    }
}

/// Merges runs into one, with the kinds in that order. It is written to a
/// temporary file if memory does not suffice.
pub(super) fn merge(runs: &[Run], kinds: &[u32], memory: &MemoryReservation) -> Result<Run> {
    let all: usize = runs.iter().map(|run| run.len()).sum();
    let mut held = Vec::new();
    let bytes = all * size_of::<i64>();
    // As much has to be left for the call paths that are looked up then.
    let mut spill = match memory.try_grow(bytes * ROOM) {
        Ok(()) => {
            memory.shrink(bytes * (ROOM - 1));
            held.reserve_exact(all);
            None
        }
        Err(_) => Some(Spill::create()?),
    };
    let mut push = |sum: &Sum| match &mut spill {
        Some(spill) => spill.push(&sum.numbers()),
        None => {
            held.extend(sum.numbers());
            Ok(())
        }
    };
    for kind in kinds {
        merge_kind(runs, *kind as usize, &mut push)?;
    }
    match spill {
        Some(spill) => spill.finish(),
        None => Ok(held.into()),
    }
}

/// Merges what is of one kind.
fn merge_kind(runs: &[Run], kind: usize, push: &mut impl FnMut(&Sum) -> Result<()>) -> Result<()> {
    let mut parts: Vec<(&[i64], usize, usize)> = Vec::new();
    for run in runs {
        let start = bound(run, |key| key.number() < kind);
        let end = bound(run, |key| key.number() <= kind);
        if start < end {
            parts.push((run, start, end));
        }
    }
    let mut last: Option<Sum> = None;
    let first = |parts: &[(&[i64], usize, usize)]| {
        let sums = parts.iter().enumerate();
        sums.filter(|(_, (_, at, end))| at < end)
            .map(|(part, (run, at, _))| (part, Sum::of(run, *at)))
            .min_by_key(|(_, sum)| sum.key.order())
    };
    while let Some((part, sum)) = first(&parts) {
        parts[part].1 += 1;
        match &mut last {
            Some(last) if last.key == sum.key => last.add(&sum),
            Some(done) => {
                push(done)?;
                *done = sum;
            }
            None => last = Some(sum),
        }
    }
    last.iter().try_for_each(push)
}

/// How many sums of a run, from its begin, satisfy a condition on their keys.
fn bound(run: &[i64], condition: impl Fn(Key) -> bool) -> usize {
    let (mut low, mut high) = (0, run.len() / NUMBERS);
    while low < high {
        let middle = low.midpoint(high);
        match condition(Sum::of(run, middle).key) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};

    use super::*;

    fn sums(bytes: usize) -> Vec<i64> {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(bytes));
        let reserve = || MemoryConsumer::new("sums").register(&pool);
        let mut tables = [Table::new(reserve()), Table::new(reserve())];
        let mut random = fastrand::Rng::with_seed(7);
        for table in &mut tables {
            let of = |_| Sum {
                key: Key {
                    kernel: random.i64(-2_000..2_000),
                    user: 0,
                    kind: random.u32(0..5) | HAS_KERNEL,
                },
                weight: 3,
                samples: 1,
            };
            let sums: Vec<Sum> = (0..100_000).map(of).collect();
            table.add(&sums).unwrap();
        }
        let runs = tables.map(|table| table.into_runs().unwrap());
        let (runs, held): (Vec<_>, Vec<_>) = runs.into_iter().unzip();
        let runs: Vec<Run> = runs.into_iter().flatten().collect();
        let merged = merge(&runs, &[3, 0, 4, 1, 2], &reserve()).unwrap();
        drop(held);
        merged.to_vec()
    }

    #[test]
    fn sums_are_the_same_in_little_memory() {
        let whole = sums(1 << 30);
        let samples = |run: &[i64]| run.chunks(NUMBERS).map(|sum| sum[4]).sum::<i64>();
        assert_eq!(samples(&whole), 200_000);
        let kinds = whole.chunks(NUMBERS).map(|sum| sum[2] as u32 & KIND);
        let mut kinds: Vec<u32> = kinds.collect();
        kinds.dedup();
        assert_eq!(kinds, [3, 0, 4, 1, 2]);
        // Room for some thousand sums, and for none.
        assert!(sums(1 << 19) == whole);
        assert!(sums(1) == whole);
    }
}
