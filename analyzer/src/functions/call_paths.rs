//! `call_paths(event_or_function)`: the merged call paths into it as rows, one
//! for each distinct path and context.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;

use super::{Shared, external};
use crate::paths::samples::{Filter, Through, aggregate};
use crate::paths::select::{Cut, Selection, select};
use crate::stacks::Stacks;

#[derive(Debug)]
pub(super) struct CallPaths {
    shared: Arc<Shared>,
}

impl CallPaths {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl TableFunctionImpl for CallPaths {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [Expr::Literal(ScalarValue::Utf8(Some(function)), _)] = args.exprs() else {
            return plan_err!("call_paths(event_or_function) needs one text, written out");
        };
        Ok(Arc::new(Into {
            function: function.clone(),
            shared: Arc::clone(&self.shared),
        }))
    }
}

/// The paths into one function.
#[derive(Debug)]
struct Into {
    function: String,
    shared: Arc<Shared>,
}

#[async_trait]
impl TableProvider for Into {
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
        let recordings = &self.shared.recordings;
        let mut stacks = Stacks::load(recordings).map_err(external)?;
        let filter = Filter {
            pid: None,
            through: Some(Through::new(&stacks, &self.function)),
        };
        let weighted = aggregate(state, recordings, &filter)
            .await
            .map_err(external)?;
        let cut = Cut::default();
        let rows = match select(&weighted, &mut stacks, &self.function, None, cut) {
            Ok(selection) => rows(&selection, &stacks)?,
            Err(crate::Error::Nothing(text)) => {
                self.shared.note(text);
                RecordBatch::new_empty(schema())
            }
            Err(e) => return Err(external(e)),
        };
        let table = MemTable::try_new(schema(), vec![vec![rows]])?;
        table.scan(state, projection, filters, limit).await
    }
}

fn schema() -> SchemaRef {
    let path = Field::new("item", DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        Field::new("event", DataType::Utf8, false),
        Field::new("context", DataType::Utf8, false),
        Field::new("path", DataType::List(Arc::new(path)), false),
        Field::new("depth", DataType::Int32, false),
        Field::new("samples", DataType::Int64, false),
        Field::new("weight", DataType::Int64, false),
        Field::new("share", DataType::Float64, false),
    ]))
}

/// The paths of a selection as rows: `event`, `context`, `path` (root first),
/// `depth`, `samples`, `weight` and `share` of the weight of all of them.
///
/// # Errors
/// If Arrow finds the columns inconsistent.
pub fn rows(selection: &Selection, stacks: &Stacks) -> Result<RecordBatch> {
    let mut contexts: Vec<&str> = Vec::new();
    let mut paths = ListBuilder::new(StringBuilder::new());
    let mut depths: Vec<i32> = Vec::new();
    let (mut samples, mut weights): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
    for context in &selection.contexts {
        for end in context.trie.ends() {
            let node = context.trie.node(end);
            let path = context.trie.path(end);
            for function in &path {
                paths.values().append_value(stacks.name(*function));
            }
            paths.append(true);
            contexts.push(&context.name);
            depths.push(i32::try_from(path.len()).unwrap_or(i32::MAX));
            samples.push(node.samples);
            weights.push(node.own);
        }
    }
    let whole = selection.weight.max(1) as f64;
    let shares = weights.iter().map(|weight| *weight as f64 / whole);
    let shares = Float64Array::from_iter_values(shares);
    let events = vec![selection.event.as_str(); contexts.len()];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(events)),
        Arc::new(StringArray::from(contexts)),
        Arc::new(paths.finish()),
        Arc::new(Int32Array::from(depths)),
        Arc::new(Int64Array::from(samples)),
        Arc::new(Int64Array::from(weights)),
        Arc::new(shares),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
