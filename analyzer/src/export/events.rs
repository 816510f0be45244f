//! Stack events: one by one, in order of time, as they are read, or added up.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type, Int64Type};
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{col, lit};
use futures::TryStreamExt as _;

use super::Filter;
use crate::Result;
use crate::session::Session;

/// A stack event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<'a> {
    pub(super) ts_ns: i64,
    pub(super) upid: i64,
    pub(super) pid: i32,
    pub(super) tid: i32,
    pub(super) cpu: i32,
    pub(super) comm: &'a str,
    pub(super) event: &'a str,
    pub(super) weight: i64,
    pub(super) kernel: Option<i64>,
    pub(super) user: Option<i64>,
}

const SAMPLES: &str = "SELECT ts_ns, upid, pid, tid, cpu, comm, event, weight, \
    kernel_stack_id, user_stack_id, boot_id, context FROM sample WHERE context <> 'idle'";

/// Calls `visit` with each sample that the filter lets through.
pub(super) async fn each_sample(
    session: &Session,
    filter: &Filter,
    mut visit: impl FnMut(Sample<'_>) -> Result<()>,
) -> Result<()> {
    let mut frame = session.frame(SAMPLES, vec![]).await?;
    if let Some(wanted) = filter.events() {
        frame = frame.filter(wanted)?;
    }
    frame = frame.sort(vec![col("ts_ns").sort(true, true)])?;
    let mut batches = frame.execute_stream().await?;
    while let Some(batch) = batches.try_next().await? {
        for row in 0..batch.num_rows() {
            visit(Sample {
                ts_ns: int(&batch, 0, row).unwrap_or(0),
                upid: int(&batch, 1, row).unwrap_or(0),
                pid: small(&batch, 2, row),
                tid: small(&batch, 3, row),
                cpu: small(&batch, 4, row),
                comm: text(&batch, 5, row).unwrap_or(""),
                event: text(&batch, 6, row).unwrap_or(""),
                weight: int(&batch, 7, row).unwrap_or(0),
                kernel: int(&batch, 8, row),
                user: int(&batch, 9, row),
            })?;
        }
    }
    Ok(())
}

/// All events with one call path of threads of one name.
#[derive(Clone, Debug)]
pub(super) struct Weighted {
    pub(super) comm: String,
    pub(super) context: String,
    pub(super) kernel: Option<i64>,
    pub(super) user: Option<i64>,
    pub(super) weight: i64,
    pub(super) samples: i64,
}

/// Adds up what the filter lets through, in an order that is always the same.
pub(super) async fn added_up(session: &Session, filter: &Filter) -> Result<Vec<Weighted>> {
    let mut frame = session.frame(SAMPLES, vec![]).await?;
    if let Some(wanted) = filter.events() {
        frame = frame.filter(wanted)?;
    }
    let keys = ["comm", "context", "kernel_stack_id", "user_stack_id"];
    let order = keys.map(|key| col(key).sort(true, true)).to_vec();
    let sums = vec![sum(col("weight")), count(lit(1_i64))];
    let frame = frame.aggregate(keys.map(col).to_vec(), sums)?.sort(order)?;
    let mut rows = Vec::new();
    let mut batches = frame.execute_stream().await?;
    while let Some(batch) = batches.try_next().await? {
        rows.extend((0..batch.num_rows()).map(|row| Weighted {
            comm: text(&batch, 0, row).unwrap_or("").to_owned(),
            context: text(&batch, 1, row).unwrap_or("").to_owned(),
            kernel: int(&batch, 2, row),
            user: int(&batch, 3, row),
            weight: int(&batch, 4, row).unwrap_or(0),
            samples: int(&batch, 5, row).unwrap_or(0),
        }));
    }
    Ok(rows)
}

pub(super) fn int(batch: &RecordBatch, column: usize, row: usize) -> Option<i64> {
    number::<Int64Type>(batch, column, row)
}

pub(super) fn small(batch: &RecordBatch, column: usize, row: usize) -> i32 {
    number::<Int32Type>(batch, column, row).unwrap_or(0)
}

pub(super) fn number<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    column: usize,
    row: usize,
) -> Option<T::Native> {
    let column = batch.column(column).as_primitive_opt::<T>()?;
    column.is_valid(row).then(|| column.value(row))
}

pub(super) fn text(batch: &RecordBatch, column: usize, row: usize) -> Option<&str> {
    let column = batch.column(column).as_string_opt::<i32>()?;
    column.is_valid(row).then(|| column.value(row))
}
