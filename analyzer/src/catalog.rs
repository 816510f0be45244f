//! The tables of recordings as tables of SQL.
//!
//! Each table is a scan of the segments that were checked, and nothing else:
//! no folder is listed again and no name comes from SQL. `host` and
//! `recording_id` follow the columns of the table as constants of each file, so
//! that a filter on them skips files.

mod prune;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::scalar::ScalarValue;
use whence_schemas::{TableDef, read};

use crate::recording::{Recording, Segment};
use crate::store;

/// Columns that each table has beside its own.
pub const HOST: &str = "host";
/// See [`HOST`].
pub const RECORDING_ID: &str = "recording_id";

/// The fields of [`HOST`] and [`RECORDING_ID`].
#[must_use]
pub fn constants() -> Vec<FieldRef> {
    [HOST, RECORDING_ID]
        .map(|name| Arc::new(Field::new(name, DataType::Utf8, false)))
        .to_vec()
}

/// Schema of a table as SQL sees it.
#[must_use]
pub fn table_schema(def: &'static TableDef) -> SchemaRef {
    let fields = file_schema(def).fields().to_vec();
    Arc::new(Schema::new(
        fields.into_iter().chain(constants()).collect::<Vec<_>>(),
    ))
}

/// Schema of the segments of a table. Every column may be NULL, since an older
/// recording may not have it.
fn file_schema(def: &'static TableDef) -> SchemaRef {
    let schema = def.schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    read::schema(def, &names).unwrap_or(schema.clone())
}

/// A table over the segments of recordings.
#[derive(Debug)]
pub struct SegmentTable {
    schema: TableSchema,
    files: Vec<PartitionedFile>,
}

impl SegmentTable {
    /// The table of that definition over all segments that can be read of
    /// these recordings.
    ///
    /// # Errors
    /// If a path cannot be named to the engine.
    pub fn new<'a>(
        def: &'static TableDef,
        recordings: impl IntoIterator<Item = &'a Recording>,
    ) -> Result<Self> {
        let schema = file_schema(def);
        let mut files = Vec::new();
        for recording in recordings {
            let manifest = &recording.manifest;
            for segment in recording.segments_of(def).filter(|s| s.rows > 0) {
                let host = ScalarValue::from(manifest.host.hostname.as_str());
                let id = ScalarValue::from(manifest.recording_id.as_str());
                let file = file(segment)?.with_partition_values(vec![host, id]);
                files.push(file.with_statistics(Arc::new(statistics(&schema, segment))));
            }
        }
        Ok(Self {
            schema: TableSchema::builder(schema)
                .with_table_partition_cols(constants())
                .build(),
            files,
        })
    }
}

/// What is known of the rows of files together: how many there are.
fn rows_of(files: &[PartitionedFile], schema: &Schema) -> Statistics {
    let rows = |file: &PartitionedFile| {
        let statistics = file.statistics.as_ref()?;
        statistics.num_rows.get_value().copied()
    };
    let mut statistics = Statistics::new_unknown(schema);
    let rows: usize = files.iter().filter_map(rows).fold(0, usize::saturating_add);
    statistics.num_rows = Precision::Exact(rows);
    statistics
}

fn file(segment: &Segment) -> Result<PartitionedFile> {
    let file = PartitionedFile::new_from_meta(store::meta(segment)?);
    Ok(file.with_arrow_schema(Arc::clone(&segment.schema)))
}

/// What the footer of a segment says of it: by this, a segment that cannot hold
/// what a filter wants is not even opened.
fn statistics(schema: &Schema, segment: &Segment) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    if let Ok(rows) = usize::try_from(segment.rows) {
        statistics.num_rows = Precision::Exact(rows);
    }
    for bounds in &segment.bounds {
        let Ok(at) = schema.index_of(bounds.column) else {
            continue;
        };
        let value = |value| match schema.field(at).data_type() {
            DataType::Timestamp(_, zone) => {
                ScalarValue::TimestampMicrosecond(Some(value), zone.clone())
            }
            _ => ScalarValue::Int64(Some(value)),
        };
        let column = &mut statistics.column_statistics[at];
        column.min_value = Precision::Exact(value(bounds.min));
        column.max_value = Precision::Exact(value(bounds.max));
    }
    statistics
}

#[async_trait]
impl TableProvider for SegmentTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(rows_of(&self.files, self.schema.table_schema()))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema.table_schema();
        let files = prune::matching(state, schema, &self.files, filters)?;
        if files.is_empty() {
            let schema = project_schema(schema, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let source = ParquetSource::new(self.schema.clone()).with_table_parquet_options(options);
        let url = store::url()?;
        let rows = rows_of(&files, schema);
        // In groups of about equal size, in order.
        let partitions = state.config().target_partitions();
        let groups = FileGroup::new(files).split_files(partitions);
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(rows)
            .with_projection_indices(projection.cloned())?
            // A limit counts rows that pass, and filters may come later.
            .with_limit(limit.filter(|_| filters.is_empty()))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
