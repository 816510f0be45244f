//! Columns of a batch, by which rows of any table are chosen.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use whence_schemas::TableDef;

/// Whether an id is one of these, for a query.
pub(super) fn is_one_of(ids: &Arc<HashSet<i64>>) -> ScalarUDF {
    let ids = Arc::clone(ids);
    let is_one = move |args: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let column = arrays[0].as_primitive::<Int64Type>();
        let is_one = column.iter().map(|id| Some(ids.contains(&id?)));
        Ok(ColumnarValue::Array(Arc::new(
            is_one.collect::<BooleanArray>(),
        )))
    };
    create_udf(
        "is_one_of",
        vec![DataType::Int64],
        DataType::Boolean,
        Volatility::Immutable,
        Arc::new(is_one),
    )
}

/// Which rows of a batch a condition holds for.
pub(super) fn rows(batch: &RecordBatch, keep: impl FnMut(usize) -> bool) -> BooleanArray {
    (0..batch.num_rows()).map(keep).collect::<Vec<_>>().into()
}

/// A column of numbers of a batch, if it has it.
pub(super) struct Ints<'a>(Option<&'a Int64Array>);

impl<'a> Ints<'a> {
    pub(super) fn of(batch: &'a RecordBatch, name: &str) -> Self {
        let column = batch.column_by_name(name);
        Self(column.and_then(|column| column.as_primitive_opt::<Int64Type>()))
    }

    pub(super) fn at(&self, row: usize) -> Option<i64> {
        self.0
            .filter(|c| c.is_valid(row))
            .map(|column| column.value(row))
    }
}

/// The values of some columns, NULL aside.
pub(super) fn ints<'a>(
    batch: &'a RecordBatch,
    columns: &'a [&str],
) -> impl Iterator<Item = i64> + 'a {
    let columns = columns.iter().filter_map(|name| batch.column_by_name(name));
    let columns = columns.filter_map(|column| column.as_primitive_opt::<Int64Type>());
    columns.flat_map(Int64Array::iter).flatten()
}

/// The schema of a table as it is read.
pub(super) fn nullable(def: &'static TableDef) -> Schema {
    let schema = def.schema();
    let fields = schema.fields().iter();
    Schema::new(
        fields
            .map(|f| f.as_ref().clone().with_nullable(true))
            .collect::<Vec<_>>(),
    )
}
