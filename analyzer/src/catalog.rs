//! The tables of recordings as tables of SQL.
//!
//! Each table is a scan of the segments that were checked, and nothing else:
//! no folder is listed again and no name comes from SQL. `host` and
//! `recording_id` follow the columns of the table as constants of each file, so
//! that a filter on them skips files.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::scalar::ScalarValue;
use whence_schemas::{TableDef, read};

use crate::recording::{Recording, Segment};

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
    rows: u64,
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
        let mut files = Vec::new();
        let mut rows = 0_u64;
        for recording in recordings {
            let manifest = &recording.manifest;
            for segment in recording.segments_of(def).filter(|s| s.rows > 0) {
                let host = ScalarValue::from(manifest.host.hostname.as_str());
                let id = ScalarValue::from(manifest.recording_id.as_str());
                files.push(file(segment)?.with_partition_values(vec![host, id]));
                rows = rows.saturating_add(segment.rows);
            }
        }
        Ok(Self {
            schema: TableSchema::builder(file_schema(def))
                .with_table_partition_cols(constants())
                .build(),
            files,
            rows,
        })
    }

    /// Files in groups of about equal size, in order.
    fn groups(&self, wanted: usize) -> Vec<FileGroup> {
        FileGroup::new(self.files.clone()).split_files(wanted)
    }
}

fn file(segment: &Segment) -> Result<PartitionedFile> {
    use datafusion::object_store::{ObjectMeta, path::Path};
    let path = &segment.file.path;
    let external = |e: Box<dyn std::error::Error + Send + Sync>| DataFusionError::External(e);
    let metadata = std::fs::metadata(path).map_err(|e| external(e.into()))?;
    let modified = metadata.modified().map_err(|e| external(e.into()))?;
    Ok(PartitionedFile::new_from_meta(ObjectMeta {
        location: Path::from_absolute_path(path).map_err(|e| external(e.into()))?,
        last_modified: modified.into(),
        size: segment.file.bytes,
        e_tag: None,
        version: None,
    }))
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
        let mut statistics = Statistics::new_unknown(self.schema.table_schema());
        statistics.num_rows = Precision::Exact(usize::try_from(self.rows).ok()?);
        Some(statistics)
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
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.files.is_empty() {
            let schema = project_schema(&self.schema(), projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let source = ParquetSource::new(self.schema.clone()).with_table_parquet_options(options);
        let url = ObjectStoreUrl::local_filesystem();
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(self.groups(state.config().target_partitions()))
            .with_statistics(self.statistics().unwrap_or_default())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
