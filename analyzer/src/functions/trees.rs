//! `process_tree(upid)`, `descendants(upid)` and `ancestors(upid)`: parts of
//! the forest as rows.
//!
//! A second argument names the boot. Without it, the part of each boot that has
//! such a process is given; rows carry `boot_id` and `host`, so they join.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;

use super::Shared;
use crate::forest::Forest;

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
        let (upid, boot) = arguments(self.walk, args.exprs())?;
        let forests = self.shared.forests()?;
        let batches = forests
            .iter()
            .filter(|forest| boot.as_ref().is_none_or(|b| *b == forest.boot.boot_id))
            .filter_map(|forest| {
                let node = forest.node_of(upid)?;
                Some(batch(forest, &self.walk.nodes(forest, node)))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(MemTable::try_new(schema(), vec![batches])?))
    }
}

fn arguments(walk: Walk, exprs: &[Expr]) -> Result<(i64, Option<String>)> {
    let upid = match exprs.first() {
        Some(Expr::Literal(ScalarValue::Int64(Some(upid)), _)) => Some(*upid),
        Some(Expr::Literal(ScalarValue::UInt64(Some(upid)), _)) => i64::try_from(*upid).ok(),
        _ => None,
    };
    let boot = match exprs.get(1) {
        None => Some(None),
        Some(Expr::Literal(ScalarValue::Utf8(Some(boot)), _)) => Some(Some(boot.clone())),
        Some(_) => None,
    };
    match (upid, boot, exprs.len()) {
        (Some(upid), Some(boot), 1..=2) => Ok((upid, boot)),
        _ => plan_err!(
            "{}(upid [, boot_id]) needs a number and a text, both written out",
            walk.name()
        ),
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
    ]))
}

fn batch(forest: &Forest, nodes: &[(u32, i32)]) -> Result<RecordBatch> {
    let each = || nodes.iter().map(|(node, _)| *node);
    let ints = |of: &dyn Fn(u32) -> Option<i64>| Arc::new(Int64Array::from_iter(each().map(of)));
    let ints32 = |of: &dyn Fn(u32) -> Option<i32>| Arc::new(Int32Array::from_iter(each().map(of)));
    let parent = |node| forest.parent(node).map(|parent| forest.upid(parent));
    let text = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(vec![text; nodes.len()]))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(nodes.iter().map(|(_, l)| *l))),
        ints(&|node| Some(forest.upid(node))),
        ints(&parent),
        ints32(&|node| Some(forest.pid(node))),
        Arc::new(StringArray::from_iter_values(
            each().map(|n| forest.comm(n)),
        )),
        Arc::new(StringArray::from_iter(each().map(|n| forest.cmdline(n)))),
        ints(&|node| Some(forest.start_ns(node))),
        ints(&|node| forest.end_ns(node)),
        Arc::new(
            TimestampMicrosecondArray::from_iter_values(each().map(|n| forest.start_us(n)))
                .with_timezone("UTC"),
        ),
        ints32(&|node| forest.exit_code(node)),
        ints32(&|node| forest.exit_signal(node)),
        Arc::new(StringArray::from_iter_values(
            each().map(|n| forest.source(n)),
        )),
        text(&forest.boot.boot_id),
        text(&forest.boot.host),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
