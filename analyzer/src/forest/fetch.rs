//! Columns that are read for some nodes only, once it is known for which: most
//! answers name few processes.

use arrow::array::{ArrayRef, RecordBatch};

use super::{Column, Forest};
use crate::Result;
use crate::scan::{self, CHUNK_ROWS, Place, Segments};
use crate::spill;

/// What of a table was not read at first.
#[derive(Debug)]
pub(super) struct Rest {
    segments: Segments,
    /// Where each chunk lies.
    places: Vec<Place>,
    fetched: Vec<Fetched>,
}

/// Some columns of some nodes.
#[derive(Debug)]
struct Fetched {
    columns: Vec<Column>,
    /// By chunk: which of its rows, and these.
    chunks: Vec<Option<(Ranks, RecordBatch)>>,
}

/// A set of numbers, which tells the rank of each.
#[derive(Debug)]
struct Ranks {
    /// For each 64 numbers: how many come before, and a bit for each that is in it.
    words: Vec<(u32, u64)>,
}

impl Ranks {
    /// Of numbers that are in order.
    fn new(numbers: &[u32]) -> Self {
        let words = numbers.last().map_or(0, |last| *last as usize / 64 + 1);
        let mut words = vec![(0, 0_u64); words];
        for number in numbers {
            words[*number as usize / 64].1 |= 1 << (number % 64);
        }
        let mut before = 0;
        for (rank, bits) in &mut words {
            *rank = before;
            before += bits.count_ones();
        }
        Self { words }
    }

    fn rank(&self, number: usize) -> Option<usize> {
        let (before, bits) = self.words.get(number / 64)?;
        let bit = 1_u64 << (number % 64);
        let below = (bits & (bit - 1)).count_ones();
        (bits & bit != 0).then_some((before + below) as usize)
    }
}

impl Rest {
    pub(super) const fn new(segments: Segments, places: Vec<Place>) -> Self {
        Self {
            segments,
            places,
            fetched: Vec::new(),
        }
    }

    /// A value that was fetched: its column and its row in that.
    pub(super) fn value(
        &self,
        column: Column,
        chunk: usize,
        row: usize,
    ) -> Option<(&ArrayRef, usize)> {
        self.fetched.iter().find_map(|fetched| {
            let place = fetched.columns.iter().position(|c| *c == column)?;
            let (rows, batch) = fetched.chunks[chunk].as_ref()?;
            Some((batch.column(place), rows.rank(row)?))
        })
    }
}

impl Forest {
    /// Reads columns for some nodes, which are in order. It must have been said
    /// at [first](Self::load_all_in_parts) that they may be wanted.
    ///
    /// # Errors
    /// If a segment turns out to be damaged, or memory does not suffice.
    pub fn fetch(&mut self, columns: &[Column], nodes: &[u32]) -> Result<()> {
        let is_missing = |column: &&Column| self.places[**column as usize].is_none();
        let columns: Vec<Column> = columns.iter().filter(is_missing).copied().collect();
        let Some(rest) = self.rest.as_mut().filter(|_| !columns.is_empty()) else {
            return Ok(());
        };
        let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        let mut jobs = Vec::new();
        let mut left = nodes;
        for (at, chunk) in self.chunks.iter().enumerate() {
            let end = chunk.start + chunk.batch.num_rows();
            let of_chunk = left.partition_point(|node| (*node as usize) < end);
            let (nodes, after) = left.split_at(of_chunk);
            left = after;
            if !nodes.is_empty() {
                let rows = nodes.iter().map(|node| node - chunk.start as u32);
                jobs.push((at, rows.collect::<Vec<u32>>()));
            }
        }
        let read = scan::each(jobs.len(), Vec::new, |read, job| {
            let (chunk, rows) = &jobs[job];
            let place = rest.places[*chunk];
            // A group has more than one chunk only if others wrote it.
            let before = (place.batch * CHUNK_ROWS) as u32;
            let of_group: Vec<u32> = rows.iter().map(|row| row + before).collect();
            let batch = rest.segments.chosen(place.group, &names, &of_group)?;
            read.push((job, spill::keep(batch, &self.memory)?));
            Ok(())
        })?;
        let mut chunks: Vec<_> = self.chunks.iter().map(|_| None).collect();
        for (job, batch) in read.into_iter().flatten() {
            let (chunk, rows) = &jobs[job];
            chunks[*chunk] = Some((Ranks::new(rows), batch));
        }
        rest.fetched.push(Fetched { columns, chunks });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_the_rank_that_a_search_finds() {
        let mut random = fastrand::Rng::with_seed(3);
        let numbers: Vec<u32> = (0..1000).filter(|_| random.u8(..) < 60).collect();
        let ranks = Ranks::new(&numbers);
        for number in 0..1100 {
            let found = numbers.binary_search(&number).ok();
            assert_eq!(ranks.rank(number as usize), found, "{number}");
        }
        assert_eq!(Ranks::new(&[]).rank(0), None);
    }
}
