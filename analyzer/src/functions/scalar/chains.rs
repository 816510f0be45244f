//! Call paths and chains of ancestors, by id.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::cast::as_string_array;
use datafusion::error::Result;

use crate::forest::{Column, Forest};
use crate::functions::Shared;

/// Names of a chain that are told, those nearest to the process.
const LINKS: usize = 64;

/// Type of a list of names.
pub(super) fn list_of_text(_: &[DataType]) -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

/// `stack_text(stack_id)`: the functions of a call path, root first, separated
/// by `;`.
pub(super) fn stack_text(shared: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    let stacks = shared.stacks()?;
    let ids = args[0].as_primitive::<Int64Type>();
    let texts: StringArray = ids.iter().map(|id| stacks.text(id?)).collect();
    Ok(Arc::new(texts))
}

/// `stack_functions(stack_id)`: the same as a list.
pub(super) fn stack_functions(shared: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    let stacks = shared.stacks()?;
    let ids = args[0].as_primitive::<Int64Type>();
    let mut lists = ListBuilder::new(StringBuilder::new());
    for id in ids {
        let functions = id.map(|id| stacks.functions(id)).unwrap_or_default();
        for function in functions {
            lists.values().append_value(stacks.name(*function));
        }
        lists.append(!functions.is_empty());
    }
    Ok(Arc::new(lists.finish()))
}

/// `chain_text(boot_id, upid)`: names of the ancestors of a process and its
/// own, root first, separated by `;`.
pub(super) fn chain_text(shared: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    let forests = shared.forests(&[Column::Comm])?;
    let by_boot: HashMap<&str, &Forest> = forests
        .iter()
        .map(|forest| (forest.boot.boot_id.as_str(), forest))
        .collect();
    let boots = as_string_array(&args[0])?;
    let upids = args[1].as_primitive::<Int64Type>();
    let rows = boots.iter().zip(upids.iter());
    let texts: StringArray = rows
        .map(|(boot, upid)| {
            let forest = by_boot.get(boot?)?;
            Some(chain(forest, forest.node_of(upid?)?))
        })
        .collect();
    Ok(Arc::new(texts))
}

fn chain(forest: &Forest, node: u32) -> String {
    let mut names: Vec<&str> = std::iter::once(node)
        .chain(forest.ancestors(node))
        .map(|node| forest.comm(node))
        .take(LINKS + 1)
        .collect();
    if names.len() > LINKS {
        names[LINKS] = "…";
    }
    names.reverse();
    names.join(";")
}
