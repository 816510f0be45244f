//! `process_tree(upid)`, `descendants(upid)` and `ancestors(upid)`: parts of
//! the forest as rows.
//!
//! A subquery may say where to begin. A second argument names the boot; without
//! it, the part of each boot that has such a process is given. Rows carry
//! `boot_id` and `host`, so they join.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray as _, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{plan_err, project_schema};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::scalar::ScalarValue;

use super::Shared;
use crate::forest::{Column, Forest};
use crate::scan::BATCH_ROWS;

/// Which part of the forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// The process and all that descend from it.
    ProcessTree,
    /// All that descend from it.
    Descendants,
    /// Its parent, and so on to the root.
    Ancestors,
}

impl Walk {
    pub(super) const ALL: [Self; 3] = [Self::ProcessTree, Self::Descendants, Self::Ancestors];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ProcessTree => "process_tree",
            Self::Descendants => "descendants",
            Self::Ancestors => "ancestors",
        }
    }

    /// The nodes, each with its distance from where the walk began.
    fn nodes(self, forest: &Forest, node: u32) -> Vec<(u32, i32)> {
        let below = |n: &u32| (*n, forest.depth(*n).abs_diff(forest.depth(node)) as i32);
        match self {
            Self::ProcessTree => forest.subtree(node).iter().map(below).collect(),
            Self::Descendants => forest.subtree(node).iter().skip(1).map(below).collect(),
            Self::Ancestors => forest.ancestors(node).zip(1..).collect(),
        }
    }
}

#[derive(Debug)]
pub(super) struct TreeFunction {
    walk: Walk,
    shared: Arc<Shared>,
}

impl TreeFunction {
    pub(super) fn new(walk: Walk, shared: Arc<Shared>) -> Self {
        Self { walk, shared }
    }
}

impl TableFunctionImpl for TreeFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let (roots, boot_id) = arguments(self.walk, args.exprs())?;
        Ok(Arc::new(Part {
            walk: self.walk,
            roots,
            boot_id,
            shared: Arc::clone(&self.shared),
        }))
    }
}

/// Where a walk begins.
#[derive(Clone, Debug)]
enum Roots {
    /// At one process.
    One(i64),
    /// At each process that a subquery gives.
    Asked(Arc<LogicalPlan>),
}

fn arguments(walk: Walk, exprs: &[Expr]) -> Result<(Roots, Option<String>)> {
    let roots = match exprs.first() {
        Some(Expr::Literal(ScalarValue::Int64(Some(upid)), _)) => Some(Roots::One(*upid)),
        Some(Expr::Literal(ScalarValue::UInt64(Some(upid)), _)) => {
            i64::try_from(*upid).ok().map(Roots::One)
        }
        Some(Expr::ScalarSubquery(asked)) => Some(Roots::Asked(Arc::clone(&asked.subquery))),
        _ => None,
    };
    let boot = match exprs.get(1) {
        None => Some(None),
        Some(Expr::Literal(ScalarValue::Utf8(Some(boot)), _)) => Some(Some(boot.clone())),
        Some(_) => None,
    };
    match (roots, boot, exprs.len()) {
        (Some(roots), Some(boot), 1..=2) => Ok((roots, boot)),
        _ => {
            let name = walk.name();
            plan_err!(
                "{name}(upid [, boot_id]) needs a number, or a subquery as in \
                 {name}((SELECT upid FROM process WHERE pid = 1)), and a text written out"
            )
        }
    }
}

/// Part of the forest, found when it is read.
#[derive(Debug)]
struct Part {
    walk: Walk,
    roots: Roots,
    boot_id: Option<String>,
    shared: Arc<Shared>,
}

impl Part {
    /// The processes where the walk begins, each once, in order.
    async fn upids(&self, state: &dyn Session) -> Result<Vec<i64>> {
        let plan = match &self.roots {
            Roots::One(upid) => return Ok(vec![*upid]),
            Roots::Asked(plan) => state.create_physical_plan(plan).await?,
        };
        let mut upids = BTreeSet::new();
        for batch in collect(plan, state.task_ctx()).await? {
            let column = cast(batch.column(0), &DataType::Int64)?;
            upids.extend(column.as_primitive::<Int64Type>().iter().flatten());
        }
        Ok(upids.into_iter().collect())
    }
}

#[async_trait]
impl TableProvider for Part {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let upids = self.upids(state).await?;
        let schema = project_schema(&schema(), projection)?;
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let columns: Vec<Column> = names.filter_map(column).collect();
        let forests = self.shared.forests(&columns)?;
        let boot = self.boot_id.as_ref();
        let of_boot = |forest: &&Forest| boot.is_none_or(|b| *b == forest.boot.boot_id);
        let mut batches = Vec::new();
        for forest in forests.iter().filter(of_boot) {
            for upid in &upids {
                let Some(node) = forest.node_of(*upid) else {
                    continue;
                };
                for nodes in self.walk.nodes(forest, node).chunks(BATCH_ROWS) {
                    batches.push(batch(forest, *upid, nodes, &schema)?);
                }
            }
        }
        let table = MemTable::try_new(schema, vec![batches])?;
        table.scan(state, None, filters, limit).await
    }
}

/// The column of a forest that a column of the answer is taken from; none for
/// what its links tell.
fn column(name: &str) -> Option<Column> {
    match name {
        "pid" => Some(Column::Pid),
        "comm" => Some(Column::Comm),
        "cmdline" => Some(Column::Cmdline),
        "start_ns" | "start_time" => Some(Column::StartNs),
        "end_ns" => Some(Column::EndNs),
        "exit_code" => Some(Column::ExitCode),
        "exit_signal" => Some(Column::ExitSignal),
        "source" => Some(Column::Source),
        _ => None,
    }
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("level", DataType::Int32, false),
        Field::new("upid", DataType::Int64, false),
        Field::new("parent_upid", DataType::Int64, true),
        Field::new("pid", DataType::Int32, false),
        Field::new("comm", DataType::Utf8, false),
        Field::new("cmdline", DataType::Utf8, true),
        Field::new("start_ns", DataType::Int64, false),
        Field::new("end_ns", DataType::Int64, true),
        Field::new("start_time", time, false),
        Field::new("exit_code", DataType::Int32, true),
        Field::new("exit_signal", DataType::Int32, true),
        Field::new("source", DataType::Utf8, false),
        Field::new("boot_id", DataType::Utf8, false),
        Field::new("host", DataType::Utf8, false),
        Field::new("root_upid", DataType::Int64, false),
    ]))
}

/// Some columns of these nodes.
fn batch<'a>(
    forest: &'a Forest,
    root_upid: i64,
    nodes: &[(u32, i32)],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let each = || nodes.iter().map(|(node, _)| *node);
    let ints = |of: &dyn Fn(u32) -> Option<i64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter(each().map(of)))
    };
    let ints32 = |of: &dyn Fn(u32) -> Option<i32>| -> ArrayRef {
        Arc::new(Int32Array::from_iter(each().map(of)))
    };
    let texts = |of: &dyn Fn(u32) -> Option<&'a str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(each().map(of)))
    };
    let parent = |node| forest.parent(node).map(|parent| forest.upid(parent));
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "level" => Arc::new(Int32Array::from_iter_values(nodes.iter().map(|(_, l)| *l))),
            "upid" => ints(&|node| Some(forest.upid(node))),
            "parent_upid" => ints(&parent),
            "pid" => ints32(&|node| Some(forest.pid(node))),
            "comm" => texts(&|node| Some(forest.comm(node))),
            "cmdline" => texts(&|node| forest.cmdline(node)),
            "start_ns" => ints(&|node| Some(forest.start_ns(node))),
            "end_ns" => ints(&|node| forest.end_ns(node)),
            "start_time" => {
                let times = each().map(|node| forest.start_us(node));
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
            "exit_code" => ints32(&|node| forest.exit_code(node)),
            "exit_signal" => ints32(&|node| forest.exit_signal(node)),
            "source" => texts(&|node| Some(forest.source(node))),
            "boot_id" => texts(&|_| Some(&forest.boot.boot_id)),
            "host" => texts(&|_| Some(&forest.boot.host)),
            _ => ints(&|_| Some(root_upid)),
        });
    let columns: Vec<ArrayRef> = columns.collect();
    let options = RecordBatchOptions::new().with_row_count(Some(nodes.len()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}
