//! `call_tree(event_or_function [, event])`: merged call paths as a tree, one
//! row for each function as it is reached by one path, with what it weighs
//! itself and with all that it calls.
//!
//! Of an event, the tree begins at the roots of its stacks. Of a function, it
//! begins there: what the function calls.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
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
use crate::paths::add_up;
use crate::paths::samples::{Filter, Weighted, aggregate};
use crate::paths::select::{choose, whole_path};
use crate::paths::trie::Trie;
use crate::stacks::{Function, Stacks};

#[derive(Debug)]
pub(super) struct CallTree {
    shared: Arc<Shared>,
}

impl CallTree {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl TableFunctionImpl for CallTree {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let text = |expr: &Expr| match expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text.clone()),
            _ => None,
        };
        let texts: Option<Vec<String>> = args.exprs().iter().map(text).collect();
        let (root, event) = match texts.as_deref() {
            Some([root]) => (root.clone(), None),
            Some([root, event]) => (root.clone(), Some(event.clone())),
            _ => {
                return plan_err!(
                    "call_tree(event_or_function [, event]) needs one or two texts, written out"
                );
            }
        };
        Ok(Arc::new(Below {
            root,
            event,
            shared: Arc::clone(&self.shared),
        }))
    }
}

/// The tree below an event's roots, or below a function.
#[derive(Debug)]
struct Below {
    root: String,
    event: Option<String>,
    shared: Arc<Shared>,
}

#[async_trait]
impl TableProvider for Below {
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
        let weighted = aggregate(state, recordings, &Filter::default())
            .await
            .map_err(external)?;
        let mut stacks = Stacks::load(recordings).map_err(external)?;
        let rows = match choose(&weighted, &mut stacks, &self.root, self.event.as_deref()) {
            Ok(choice) => {
                let of_event = weighted.iter().filter(|row| row.event == choice.event);
                let from = (!choice.is_event).then_some(choice.target);
                rows(&choice.event, &tries(of_event, &stacks, from), &stacks)?
            }
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

/// The paths of each context, from the function on if there is one.
fn tries<'a>(
    rows: impl Iterator<Item = Weighted<'a>>,
    stacks: &Stacks,
    from: Option<Function>,
) -> BTreeMap<&'a str, Trie> {
    let mut tries: BTreeMap<&str, Trie> = BTreeMap::new();
    for row in rows {
        let path = whole_path(stacks, &row);
        let below = match from {
            Some(function) => match path.iter().position(|f| *f == function) {
                Some(at) => &path[at..],
                None => continue,
            },
            None => &path[..],
        };
        let trie = tries.entry(row.context).or_default();
        trie.add(below, row.weight, row.samples);
    }
    for trie in tries.values_mut() {
        trie.sort(|function| stacks.name(function));
    }
    tries
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("event", DataType::Utf8, false),
        Field::new("context", DataType::Utf8, false),
        Field::new("node", DataType::Int64, false),
        Field::new("parent_node", DataType::Int64, true),
        Field::new("depth", DataType::Int32, false),
        Field::new("function", DataType::Utf8, false),
        Field::new("self_weight", DataType::Int64, false),
        Field::new("total_weight", DataType::Int64, false),
        Field::new("self_samples", DataType::Int64, false),
        Field::new("self_share", DataType::Float64, false),
        Field::new("total_share", DataType::Float64, false),
        Field::new("is_recursive", DataType::Boolean, false),
    ]))
}

/// A function in the tree.
struct Place<'a> {
    context: &'a str,
    parent: Option<i64>,
    depth: i32,
    function: Function,
    own: i64,
    total: i64,
    samples: i64,
    is_recursive: bool,
}

/// All functions of all trees in pre-order, the heaviest first.
fn places<'a>(tries: &'a BTreeMap<&'a str, Trie>) -> Vec<Place<'a>> {
    let mut places: Vec<Place<'_>> = Vec::new();
    for (context, trie) in tries {
        let mut above: HashMap<Function, usize> = HashMap::new();
        // What is still to visit; on the way back, a function is above no more.
        let visit = |node: &u32| (*node, None::<i64>, 0_i32, false);
        let mut stack: Vec<_> = trie.roots().iter().rev().map(visit).collect();
        while let Some((at, parent, depth, is_back)) = stack.pop() {
            let node = trie.node(at);
            let times = above.entry(node.function).or_default();
            if is_back {
                *times -= 1;
                continue;
            }
            *times += 1;
            let number = places.len() as i64;
            places.push(Place {
                context,
                parent,
                depth,
                function: node.function,
                own: node.own,
                total: node.weight,
                samples: node.samples,
                is_recursive: *times > 1,
            });
            stack.push((at, parent, depth, true));
            let below = |child: &u32| (*child, Some(number), depth.saturating_add(1), false);
            stack.extend(node.children.iter().rev().map(below));
        }
    }
    places
}

fn rows(event: &str, tries: &BTreeMap<&str, Trie>, stacks: &Stacks) -> Result<RecordBatch> {
    let places = places(tries);
    let whole = add_up(tries.values().map(Trie::weight)).max(1) as f64;
    let text = |of: &dyn Fn(&Place<'_>) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(places.iter().map(of)))
    };
    let int = |of: &dyn Fn(&Place<'_>) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(places.iter().map(of)))
    };
    let share = |of: &dyn Fn(&Place<'_>) -> i64| -> ArrayRef {
        let shares = places.iter().map(|place| of(place) as f64 / whole);
        Arc::new(Float64Array::from_iter_values(shares))
    };
    let depths = places.iter().map(|place| place.depth);
    let recursive: Vec<bool> = places.iter().map(|place| place.is_recursive).collect();
    let columns: Vec<ArrayRef> = vec![
        text(&|_| event.to_owned()),
        text(&|place| place.context.to_owned()),
        Arc::new(Int64Array::from_iter_values(0..places.len() as i64)),
        Arc::new(Int64Array::from_iter(
            places.iter().map(|place| place.parent),
        )),
        Arc::new(Int32Array::from_iter_values(depths)),
        text(&|place| stacks.name(place.function).to_owned()),
        int(&|place| place.own),
        int(&|place| place.total),
        int(&|place| place.samples),
        share(&|place| place.own),
        share(&|place| place.total),
        Arc::new(BooleanArray::from(recursive)),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
