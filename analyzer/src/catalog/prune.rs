//! Which segments a filter leaves: by the host and the recording that they are
//! of, and by the bounds in their footers. The others are not even opened.
//!
//! Row groups and pages are pruned by the engine, once a segment is open.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, DFSchema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::scalar::ScalarValue;

/// The files that may hold rows that pass all filters.
pub(super) fn matching(
    state: &dyn Session,
    schema: &SchemaRef,
    files: &[PartitionedFile],
    filters: &[Expr],
) -> Result<Vec<PartitionedFile>> {
    let Some(filter) = conjunction(filters.to_vec()).filter(|_| !files.is_empty()) else {
        return Ok(files.to_vec());
    };
    let of_columns = DFSchema::try_from(Arc::clone(schema))?;
    let filter = state.create_physical_expr(filter, &of_columns)?;
    let predicate = PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(schema))
        .try_build(filter)?;
    let kept = predicate.prune(&Bounds { schema, files })?;
    let kept = files.iter().zip(kept).filter(|(_, kept)| *kept);
    Ok(kept.map(|(file, _)| file.clone()).collect())
}

/// What is known of each file.
struct Bounds<'a> {
    schema: &'a SchemaRef,
    files: &'a [PartitionedFile],
}

impl Bounds<'_> {
    /// One value a file, NULL where it is not known.
    fn values(
        &self,
        column: &Column,
        bound: impl Fn(&ColumnStatistics) -> &Precision<ScalarValue>,
    ) -> Option<ArrayRef> {
        let at = self.schema.index_of(column.name()).ok()?;
        let unknown = ScalarValue::try_from(self.schema.field(at).data_type()).ok()?;
        let value = |file: &PartitionedFile| {
            let columns = &file.statistics.as_ref()?.column_statistics;
            bound(columns.get(at)?).get_value().cloned()
        };
        let values = self.files.iter().map(value);
        ScalarValue::iter_to_array(values.map(|v| v.unwrap_or_else(|| unknown.clone()))).ok()
    }
}

impl PruningStatistics for Bounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |of| &of.min_value)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |of| &of.max_value)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, _: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
