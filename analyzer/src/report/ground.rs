//! What all parts of a report stand on: the processes that it shows, its range
//! of time, and rows of the recordings by the process that they are of.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type, Int64Type};
use futures::TryStreamExt as _;

use super::choose::{Chosen, Place};
use crate::Result;
use crate::forest::Forest;
use crate::session::{Session, Value};

pub(super) struct Ground<'a> {
    pub(super) session: &'a Session,
    pub(super) forests: &'a [Forest],
    pub(super) chosen: Chosen,
    /// Begin and end of all recordings, microseconds since 1970.
    pub(super) range_us: (i64, i64),
}

impl<'a> Ground<'a> {
    pub(super) fn new(session: &'a Session, forests: &'a [Forest], most: usize) -> Self {
        let ranges = || {
            session.recordings.all.iter().map(|recording| {
                let (from, to) = recording.range_ns();
                let clock = recording.manifest.clock;
                (clock.wall_us(from), clock.wall_us(to))
            })
        };
        let from = ranges().map(|range| range.0).min().unwrap_or(0);
        let to = ranges().map(|range| range.1).max().unwrap_or(from);
        Self {
            session,
            forests,
            chosen: Chosen::of(forests, most),
            range_us: (from, to.max(from.saturating_add(1))),
        }
    }

    /// Time after the begin of the report.
    pub(super) fn after_us(&self, forest: usize, ts_ns: i64) -> i64 {
        let clock = self.forests[forest].boot.clock;
        clock.wall_us(ts_ns).saturating_sub(self.range_us.0)
    }

    /// Calls `visit` with each batch of a question, in the engine's order.
    pub(super) async fn each(
        &self,
        sql: &str,
        values: Vec<(&str, Value)>,
        mut visit: impl FnMut(&Rows<'_>),
    ) -> Result<()> {
        let frame = self.session.frame(sql, values).await?;
        let mut batches = frame.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            visit(&Rows(&batch));
        }
        Ok(())
    }

    /// The process of a row with `boot_id` and `upid` as its first columns.
    pub(super) fn place(&self, rows: &Rows<'_>, row: usize) -> Option<Place> {
        let forest = self.forest(rows.text(0, row)?)?;
        let node = self.forests[forest].node_of(rows.long(1, row)?)?;
        Some((forest, node))
    }

    /// The same, if the report shows it, by its number.
    pub(super) fn number(&self, rows: &Rows<'_>, row: usize) -> Option<u32> {
        let (forest, node) = self.place(rows, row)?;
        self.chosen.number(forest, node)
    }

    pub(super) fn forest(&self, boot_id: &str) -> Option<usize> {
        self.forests.iter().position(|f| f.boot.boot_id == boot_id)
    }
}

/// Rows of an answer, by column and row; `None` is NULL.
pub(super) struct Rows<'a>(&'a RecordBatch);

impl<'a> Rows<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.num_rows()
    }

    pub(super) fn text(&self, column: usize, row: usize) -> Option<&'a str> {
        let column = self.0.column(column).as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    pub(super) fn long(&self, column: usize, row: usize) -> Option<i64> {
        self.number::<Int64Type>(column, row)
    }

    pub(super) fn int(&self, column: usize, row: usize) -> Option<i32> {
        self.number::<Int32Type>(column, row)
    }

    fn number<T: ArrowPrimitiveType>(&self, column: usize, row: usize) -> Option<T::Native> {
        let column = self.0.column(column).as_primitive_opt::<T>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    /// The strings of a list.
    pub(super) fn texts(&self, column: usize, row: usize) -> Option<Vec<String>> {
        let column = self.0.column(column).as_list_opt::<i32>()?;
        if column.is_null(row) {
            return None;
        }
        let values = column.value(row);
        let values = values.as_string_opt::<i32>()?;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Some(values.iter().map(text).collect())
    }
}
