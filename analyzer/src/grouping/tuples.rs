//! The distinct combinations of texts that rows are grouped by, with their numbers.

use std::sync::{Mutex, PoisonError};

use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::HashMap;

use crate::names::Names;

/// No text.
const NULL: u32 = u32::MAX;
/// Bytes that a combination and the place of it take, beside its texts.
const TUPLE_BYTES: usize = 64;

/// Distinct combinations, which all threads of a question share.
#[derive(Debug)]
pub(super) struct Tuples {
    known: Mutex<Known>,
    memory: MemoryReservation,
}

#[derive(Debug, Default)]
struct Known {
    texts: Names,
    numbers: HashMap<Box<[u32]>, u32>,
    tuples: Vec<Box<[u32]>>,
}

impl Tuples {
    pub(super) fn new(memory: MemoryReservation) -> Self {
        Self {
            known: Mutex::default(),
            memory,
        }
    }

    /// Number of a combination.
    ///
    /// # Errors
    /// If memory does not suffice for a new one.
    pub(super) fn number(&self, texts: &[Option<&str>]) -> Result<u32> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut *known;
        let intern = |text: &Option<&str>| text.map_or(NULL, |text| known.texts.intern(text));
        let tuple: Box<[u32]> = texts.iter().map(intern).collect();
        if let Some(number) = known.numbers.get(&tuple) {
            return Ok(*number);
        }
        let bytes: usize = texts.iter().flatten().map(|text| text.len()).sum();
        self.memory.try_grow(bytes + TUPLE_BYTES)?;
        let number = known.tuples.len() as u32;
        known.tuples.push(tuple.clone());
        known.numbers.insert(tuple, number);
        Ok(number)
    }

    /// Gives the texts at a place of combinations.
    pub(super) fn texts(
        &self,
        numbers: impl Iterator<Item = u32>,
        place: usize,
        mut text: impl FnMut(Option<&str>),
    ) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            let of = known
                .tuples
                .get(number as usize)
                .and_then(|of| of.get(place));
            let of = of.filter(|of| **of != NULL);
            text(of.map(|of| known.texts.name(*of)));
        }
    }
}
