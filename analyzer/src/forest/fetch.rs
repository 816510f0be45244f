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
    /// By chunk: places of the rows in it, and the rows.
    chunks: Vec<Option<(Vec<u32>, RecordBatch)>>,
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
            let at = rows.binary_search(&(row as u32)).ok()?;
            Some((batch.column(place), at))
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
            let (chunk, rows) = &mut jobs[job];
            chunks[*chunk] = Some((std::mem::take(rows), batch));
        }
        rest.fetched.push(Fetched { columns, chunks });
        Ok(())
    }
}
