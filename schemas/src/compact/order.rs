//! Puts the rows of segments in order: by time, where they nearly are, or by an
//! id of which each value is kept once.

use std::path::{Path, PathBuf};

use arrow::array::{AsArray as _, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int32Type, Int64Type};

use crate::{Error, Result, TableDef};

/// Rows in a batch that is given out.
const BATCH_ROWS: usize = 32 * 1024;

/// That rows do not fit into memory.
pub(super) fn too_much(action: &'static str, dir: &Path, bytes: usize) -> Error {
    Error::Memory {
        action,
        path: dir.to_path_buf(),
        bytes,
    }
}

fn table_error(def: &'static TableDef) -> impl Fn(arrow::error::ArrowError) -> Error {
    move |cause| Error::Table {
        table: def.name,
        cause,
    }
}

/// Rows that wait until nothing earlier can come.
struct Held {
    dir: PathBuf,
    def: &'static TableDef,
    batches: Vec<RecordBatch>,
    bytes: usize,
    max_bytes: usize,
}

impl Held {
    fn new(dir: &Path, def: &'static TableDef, max_bytes: usize) -> Self {
        Self {
            dir: dir.to_path_buf(),
            def,
            batches: Vec::new(),
            bytes: 0,
            max_bytes,
        }
    }

    fn add(&mut self, batch: RecordBatch) -> Result<()> {
        // Once as they are, and once in order.
        self.bytes += 2 * batch.get_array_memory_size();
        if self.bytes > self.max_bytes {
            return Err(too_much(
                "sort",
                &self.dir.join(self.def.name),
                self.max_bytes,
            ));
        }
        self.batches.push(batch);
        Ok(())
    }

    fn take(&mut self) -> Result<RecordBatch> {
        self.bytes = 0;
        let batches = std::mem::take(&mut self.batches);
        concat_batches(&self.def.schema(), &batches).map_err(table_error(self.def))
    }
}

/// Rows of segments that follow each other in time, but for a little.
pub(super) struct ByTime {
    held: Held,
}

impl ByTime {
    pub(super) fn new(dir: &Path, def: &'static TableDef, max_bytes: usize) -> Self {
        Self {
            held: Held::new(dir, def, max_bytes),
        }
    }

    pub(super) fn add(&mut self, batch: RecordBatch) -> Result<()> {
        self.held.add(batch)
    }

    /// Gives out, in order, what is before the earliest that may still come, or
    /// all.
    pub(super) fn release(
        &mut self,
        before_ns: Option<i64>,
        put: &mut dyn FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let def = self.held.def;
        let rows = self.held.take()?;
        let Some(times) = rows.column_by_name(def.time_column) else {
            return Ok(());
        };
        let times = times.as_primitive::<Int64Type>();
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        // Stable, so that equal times stay as they were recorded.
        order.sort_by_key(|row| times.value(*row as usize));
        let out = before_ns.map_or(order.len(), |before_ns| {
            order.partition_point(|row| times.value(*row as usize) < before_ns)
        });
        let rest = order.split_off(out);
        for part in order.chunks(BATCH_ROWS) {
            put(&chosen(def, &rows, part)?)?;
        }
        if !rest.is_empty() {
            self.held.add(chosen(def, &rows, &rest)?)?;
        }
        Ok(())
    }
}

fn chosen(def: &'static TableDef, rows: &RecordBatch, order: &[u32]) -> Result<RecordBatch> {
    take_record_batch(rows, &UInt32Array::from(order.to_vec())).map_err(table_error(def))
}

/// Rows that say the same wherever their id is the same.
pub(super) struct ById {
    held: Held,
    id: &'static str,
}

impl ById {
    pub(super) fn new(
        dir: &Path,
        def: &'static TableDef,
        id: &'static str,
        max_bytes: usize,
    ) -> Self {
        Self {
            held: Held::new(dir, def, max_bytes),
            id,
        }
    }

    pub(super) fn add(&mut self, batch: RecordBatch) -> Result<()> {
        self.held.add(batch)
    }

    /// Gives out all, in order of the id, each once: as it was seen first.
    pub(super) fn finish(mut self, put: &mut dyn FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        let def = self.held.def;
        let rows = self.held.take()?;
        let Some(ids) = rows.column_by_name(self.id) else {
            return Ok(());
        };
        let ids = ids.as_primitive::<Int64Type>();
        // A frame has a symbol for each function inlined there.
        let depths = rows.column_by_name("inline_depth");
        let depths = depths.map(|column| column.as_primitive::<Int32Type>());
        let key = |row: &u32| {
            let row = *row as usize;
            (ids.value(row), depths.map_or(0, |depths| depths.value(row)))
        };
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        order.sort_by_key(key);
        order.dedup_by_key(|row| key(row));
        for part in order.chunks(BATCH_ROWS) {
            put(&chosen(def, &rows, part)?)?;
        }
        Ok(())
    }
}
