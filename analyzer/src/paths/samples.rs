//! Stack events added up by what they have in common.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::catalog::Session;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, lit};
use datafusion::physical_plan::collect;
use whence_schemas::sample;

use crate::catalog::SegmentTable;
use crate::recording::Recordings;

/// All events of one kind with one stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// What was hit.
    pub event: String,
    /// `task`, `softirq`, …
    pub context: String,
    /// Name of the thread.
    pub comm: String,
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

/// Adds up the events of recordings. The order is the same for the same
/// recordings.
///
/// # Errors
/// What reading gives.
pub async fn aggregate(
    state: &dyn Session,
    recordings: &Recordings,
    filter: &Filter,
) -> Result<Vec<Weighted>> {
    let table = SegmentTable::new(&sample::DEF, recordings.all.iter())?;
    let keys = [
        "event",
        "context",
        "comm",
        "kernel_stack_id",
        "user_stack_id",
    ];
    let keys: Vec<Expr> = keys.into_iter().map(col).collect();
    let mut plan = LogicalPlanBuilder::scan("sample", provider_as_source(Arc::new(table)), None)?;
    if let Some(pid) = filter.pid {
        plan = plan.filter(col("pid").eq(lit(pid)))?;
    }
    let plan = plan
        .aggregate(keys, [sum(col("weight")), count(lit(1_i64))])?
        .build()?;
    let plan = state.create_physical_plan(&plan).await?;
    let batches = collect(plan, state.task_ctx()).await?;
    let mut rows: Vec<Weighted> = batches.iter().flat_map(of_batch).collect();
    rows.sort_unstable_by(|a, b| {
        let key = |w: &Weighted| (w.kernel, w.user);
        (&a.event, &a.context, &a.comm, key(a)).cmp(&(&b.event, &b.context, &b.comm, key(b)))
    });
    Ok(rows)
}

fn of_batch(batch: &RecordBatch) -> Vec<Weighted> {
    let text = |i: usize, row: usize| batch.column(i).as_string::<i32>().value(row).to_owned();
    let int = |i: usize, row: usize| {
        let column = batch.column(i).as_primitive::<Int64Type>();
        column.is_valid(row).then(|| column.value(row))
    };
    let row = |row| Weighted {
        event: text(0, row),
        context: text(1, row),
        comm: text(2, row),
        kernel: int(3, row),
        user: int(4, row),
        weight: int(5, row).unwrap_or(0),
        samples: int(6, row).unwrap_or(0),
    };
    (0..batch.num_rows()).map(row).collect()
}
