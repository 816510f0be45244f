//! Table `process` for SQL: the file of a finished recording as it lies, or
//! rows derived from events when they are asked for.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::project_schema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::TryStreamExt as _;
use whence_schemas::process;

use super::load;
use crate::catalog::{HOST, RECORDING_ID, SegmentTable, table_schema};
use crate::recording::{Boot, Recording, Recordings};

/// Table `process` over recordings.
#[derive(Debug)]
pub struct ProcessTable {
    schema: SchemaRef,
    /// The boots whose processes lie in a file.
    stored: SegmentTable,
    /// The others.
    derived: Vec<Boot>,
    recordings: Recordings,
}

impl ProcessTable {
    /// The table over all boots.
    ///
    /// # Errors
    /// If a path cannot be named to the engine.
    pub fn new(recordings: Recordings) -> Result<Self> {
        let boots = recordings.boots();
        let (stored, derived): (Vec<Boot>, Vec<Boot>) = boots
            .into_iter()
            .partition(|boot| load::complete(&recordings, boot).is_some());
        let files: Vec<&Recording> = stored
            .iter()
            .filter_map(|boot| load::complete(&recordings, boot))
            .collect();
        Ok(Self {
            schema: table_schema(&process::DEF),
            stored: SegmentTable::new(&process::DEF, files)?,
            derived,
            recordings,
        })
    }
}

#[async_trait]
impl TableProvider for ProcessTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.stored.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let stored = self.stored.scan(state, projection, filters, limit).await?;
        if self.derived.is_empty() {
            return Ok(stored);
        }
        let schema = project_schema(&self.schema, projection)?;
        let streams = self.derived.iter().map(|boot| {
            Arc::new(DerivedBoot {
                schema: Arc::clone(&schema),
                boot: boot.clone(),
                recordings: self.recordings.clone(),
            }) as Arc<dyn PartitionStream>
        });
        let derived: Arc<dyn ExecutionPlan> = Arc::new(StreamingTableExec::try_new(
            Arc::clone(&schema),
            streams.collect(),
            None,
            [],
            false,
            None,
        )?);
        if self.derived.len() == self.recordings.boots().len() {
            return Ok(derived);
        }
        UnionExec::try_new(vec![stored, derived])
    }
}

/// The processes of one boot, derived when they are read.
#[derive(Clone, Debug)]
struct DerivedBoot {
    schema: SchemaRef,
    boot: Boot,
    recordings: Recordings,
}

impl PartitionStream for DerivedBoot {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let this = self.clone();
        let batches = futures::stream::once(async move { this.derive() })
            .map_ok(futures::stream::iter)
            .try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            batches,
        ))
    }
}

impl DerivedBoot {
    /// The processes, put together batch by batch as they are asked for.
    fn derive(self) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let external = |e: whence_schemas::Error| DataFusionError::External(Box::new(e));
        let fields = self.schema.fields().iter();
        let names: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
        let derived = load::derive_boot(&self.recordings, &self.boot, &names);
        let derived = derived.map_err(|e| match e {
            crate::Error::Limit(text) => DataFusionError::ResourcesExhausted(text),
            e => DataFusionError::External(Box::new(e)),
        })?;
        let of_table = process::DEF.schema();
        let names = names.into_iter();
        let own: Vec<usize> = names
            .filter_map(|name| of_table.index_of(name).ok())
            .collect();
        let ranges: Vec<_> = derived.processes.ranges().collect();
        Ok(ranges.into_iter().map(move |range| {
            let rows = range.len();
            let batch = derived.processes.batch(range, &own, &self.boot.boot_id);
            let batch = batch.map_err(external)?;
            with_constants(&self.schema, &batch, rows, &self.boot, &self.recordings)
        }))
    }
}

/// Adds the host and the newest recording of the boot.
fn with_constants(
    schema: &SchemaRef,
    batch: &RecordBatch,
    rows: usize,
    boot: &Boot,
    recordings: &Recordings,
) -> Result<RecordBatch> {
    let newest = boot
        .recordings
        .last()
        .map_or("", |at| recordings.all[*at].manifest.recording_id.as_str());
    let constant =
        |text: &str| Arc::new(StringArray::from_iter_values(vec![text; rows])) as ArrayRef;
    let columns = schema
        .fields()
        .iter()
        .filter_map(|field| match field.name().as_str() {
            HOST => Some(constant(&boot.host)),
            RECORDING_ID => Some(constant(newest)),
            name => batch.column_by_name(name).cloned(),
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}
