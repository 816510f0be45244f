//! The codes of integers: those below some thousands are places in an array. The
//! others are found in a table by hash, which may be larger than the caches of a CPU.
//! Most rows have one of few, so these have places in a small table before it; the
//! rest is looked up in blocks: all places of a block are touched first, which the CPU
//! does at once.

use std::hash::BuildHasher as _;
use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array};
use arrow::datatypes::ArrowPrimitiveType;
use hashbrown::DefaultHashBuilder;

/// No code.
const UNKNOWN: u32 = u32::MAX;
/// Integers below it are places in an array.
const DIRECT: i64 = 1 << 16;
/// Integers that are looked up together.
const BLOCK: usize = 64;
/// Places for those that come often: they fit in the second cache of a CPU.
const OFTEN_SLOTS: usize = 1 << 14;
/// Times that an integer must be missed more often than met to lose its place, at most.
const MOST_LIVES: u8 = 15;
/// Places that a table begins with.
const LEAST_SLOTS: usize = 1 << 10;

/// The codes of integers.
#[derive(Debug, Default)]
pub(super) struct IntCodes {
    /// By code.
    values: Vec<i64>,
    /// The code of no integer, if it has one.
    null: Option<u32>,
    /// By value.
    direct: Vec<u32>,
    /// One place for each of many; none while the table is small itself.
    often: Vec<Slot>,
    /// All others, by hash.
    slots: Vec<Slot>,
    taken: usize,
    hasher: DefaultHashBuilder,
    /// Rows, with what they have, that wait for the next block.
    block: Vec<(usize, i64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    value: i64,
    code: u32,
    lives: u8,
}

const FREE: Slot = Slot {
    value: 0,
    code: UNKNOWN,
    lives: 0,
};

impl IntCodes {
    pub(super) const fn len(&self) -> usize {
        self.values.len()
    }

    /// About how much memory they take.
    pub(super) const fn bytes(&self) -> usize {
        (self.slots.len() + self.often.len()) * size_of::<Slot>() + self.len() * size_of::<i64>()
    }

    /// Adds the code of each row.
    pub(super) fn of<T>(&mut self, column: &ArrayRef, codes: &mut Vec<u32>)
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64>,
    {
        let column = column.as_primitive::<T>();
        codes.clear();
        codes.resize(column.len(), UNKNOWN);
        let mut last = FREE;
        for (row, value) in column.values().iter().enumerate() {
            let value = (*value).into();
            codes[row] = match self.direct.get(value as usize) {
                Some(code) if *code != UNKNOWN => *code,
                // Neighbours are often the same.
                _ if last.code != UNKNOWN && last.value == value => last.code,
                _ if column.is_null(row) => self.null(),
                _ if (0..DIRECT).contains(&value) => self.new_direct(value),
                _ => {
                    let code = self.other(row, value, codes);
                    last = Slot {
                        value,
                        code,
                        lives: 0,
                    };
                    code
                }
            };
        }
        self.find_block(codes);
        if column.null_count() > 0 {
            let null = self.null();
            let rows = codes.iter_mut().enumerate();
            rows.filter(|(row, _)| column.is_null(*row))
                .for_each(|(_, code)| *code = null);
        }
    }

    /// The integers of these codes.
    pub(super) fn values(&self, codes: &[u32]) -> ArrayRef {
        let value = |code: &u32| (self.null != Some(*code)).then(|| self.values[*code as usize]);
        Arc::new(codes.iter().map(value).collect::<Int64Array>())
    }

    fn null(&mut self) -> u32 {
        *self.null.get_or_insert_with(|| {
            self.values.push(0);
            self.values.len() as u32 - 1
        })
    }

    #[cold]
    fn new_direct(&mut self, value: i64) -> u32 {
        let place = value as usize;
        if place >= self.direct.len() {
            self.direct.resize((place + 1).next_power_of_two(), UNKNOWN);
        }
        self.direct[place] = self.values.len() as u32;
        self.values.push(value);
        self.direct[place]
    }

    /// The code of a row, or [`UNKNOWN`] if it waits for its block.
    fn other(&mut self, row: usize, value: i64, codes: &mut [u32]) -> u32 {
        let hash = self.hasher.hash_one(value);
        if let Some(slot) = self.often.get_mut(often_place(hash)) {
            if slot.value == value && slot.code != UNKNOWN {
                slot.lives = (slot.lives + 1).min(MOST_LIVES);
                return slot.code;
            }
            slot.lives = slot.lives.saturating_sub(1);
        }
        self.block.push((row, value, hash));
        if self.block.len() == BLOCK {
            self.find_block(codes);
            return codes[row];
        }
        UNKNOWN
    }

    fn find_block(&mut self, codes: &mut [u32]) {
        if self.block.is_empty() {
            return;
        }
        // At most half of the places are taken.
        if (self.taken + self.block.len()) * 2 > self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let block = std::mem::take(&mut self.block);
        if self.slots.len() > OFTEN_SLOTS {
            let touched = block.iter();
            black_box(touched.fold(0, |all, (_, _, hash)| {
                all ^ self.slots[*hash as usize & mask].code
            }));
        }
        for (row, value, hash) in &block {
            let code = self.find(*value, *hash);
            codes[*row] = code;
            if let Some(slot) = self.often.get_mut(often_place(*hash))
                && slot.lives == 0
            {
                *slot = Slot {
                    value: *value,
                    code,
                    lives: 1,
                };
            }
        }
        self.block = block;
        self.block.clear();
    }

    fn find(&mut self, value: i64, hash: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let slot = &mut self.slots[place];
            if slot.code == UNKNOWN {
                let code = self.values.len() as u32;
                self.values.push(value);
                *slot = Slot {
                    value,
                    code,
                    lives: 0,
                };
                self.taken += 1;
                return code;
            }
            if slot.value == value {
                return slot.code;
            }
            place = (place + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(LEAST_SLOTS);
        if slots > OFTEN_SLOTS && self.often.is_empty() {
            self.often = vec![FREE; OFTEN_SLOTS];
        }
        let old = std::mem::replace(&mut self.slots, vec![FREE; slots]);
        for slot in old.iter().filter(|slot| slot.code != UNKNOWN) {
            let mut place = self.hasher.hash_one(slot.value) as usize & (slots - 1);
            while self.slots[place].code != UNKNOWN {
                place = (place + 1) & (slots - 1);
            }
            self.slots[place] = *slot;
        }
    }
}

/// The table uses the low bits.
const fn often_place(hash: u64) -> usize {
    (hash >> 40) as usize % OFTEN_SLOTS
}
