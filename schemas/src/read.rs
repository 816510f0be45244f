//! Reads the segments of a recording, with the care that a stranger's files
//! need: names are checked before a path is made of them, nothing outside the
//! recording is opened, and what is damaged is an error that names the file.
//!
//! A table may have fewer columns than this version knows (they read as NULL)
//! or more (they are ignored). A column of another type is damage.

mod chunks;
mod inventory;
mod trust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::basic::Encoding;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::Length as _;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

use self::chunks::Chunks;
use self::inventory::usable;
pub use self::inventory::{Inventory, Listed, SegmentFile, inventory, inventory_at};
pub use self::trust::check;
use self::trust::{check_rows, conform, guarded};
use crate::manifest::Manifest;
use crate::place::Location;
use crate::{Error, Result, TableDef, page, process};

/// Rows in a batch that is read.
const BATCH_ROWS: usize = 8 * 1024;

/// Least and greatest value of a column in a segment, NULL aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The column, which holds 64-bit integers or times.
    pub column: &'static str,
    /// Least value.
    pub min: i64,
    /// Greatest value.
    pub max: i64,
}

/// Reads all rows of a table, with these columns in this order.
///
/// # Errors
/// [`Error::Corrupt`] for a segment that is missing, damaged, or has other
/// types; [`Error::Io`].
pub fn batches(
    dir: &Path,
    manifest: &Manifest,
    def: &'static TableDef,
    columns: &[&str],
) -> Result<Vec<RecordBatch>> {
    let segments = usable(dir, manifest, def)?;
    let mut all = Vec::new();
    for segment in &segments {
        for batch in Batches::open(&segment.path, def, columns)? {
            all.push(batch?);
        }
    }
    Ok(all)
}

/// Reads the rows of `process`, apart by the moment at which they were true, in
/// order of these.
///
/// # Errors
/// As [`batches`].
pub fn snapshots(
    dir: &Path,
    manifest: &Manifest,
    columns: &[&str],
) -> Result<Vec<(i64, Vec<RecordBatch>)>> {
    let mut by_time: BTreeMap<i64, Vec<RecordBatch>> = BTreeMap::new();
    for segment in usable(dir, manifest, &process::DEF)? {
        let at_ns = segment.listed.and_then(|listed| listed.at_ns);
        let rows = by_time.entry(at_ns.unwrap_or(manifest.clock.boot_ns));
        let rows = rows.or_default();
        for batch in Batches::open(&segment.path, &process::DEF, columns)? {
            rows.push(batch?);
        }
    }
    Ok(by_time.into_iter().collect())
}

/// Schema of some columns of a table, as they are read: any of them may be
/// NULL, since an older recording may not have it.
///
/// # Errors
/// [`Error::Table`] for a column that the table does not have.
pub fn schema(def: &'static TableDef, columns: &[&str]) -> Result<SchemaRef> {
    let of_table = def.schema();
    let fields = columns
        .iter()
        .map(|name| Ok(of_table.field_with_name(name)?.clone().with_nullable(true)))
        .collect::<Result<Vec<Field>, arrow::error::ArrowError>>()
        .map_err(|cause| Error::Table {
            table: def.name,
            cause,
        })?;
    Ok(Arc::new(Schema::new(fields)))
}

/// An open segment, for reading some of its row groups at a time: several
/// threads can share it.
#[derive(Debug)]
pub struct SegmentReader {
    path: Location,
    def: &'static TableDef,
    metadata: ArrowReaderMetadata,
    texts: Texts,
}

/// How columns of text are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// As values, one for each row.
    Values,
    /// As numbers into the distinct values of each batch, which is how they
    /// mostly lie in the file.
    Dictionaries,
}

impl SegmentReader {
    /// Opens a segment of a table.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is no Parquet file, or one with other types;
    /// [`Error::Io`].
    pub fn open(path: impl Into<Location>, def: &'static TableDef, texts: Texts) -> Result<Self> {
        let location: Location = path.into();
        let path: &Path = &location;
        let file = location.open().map_err(Error::io("open", path))?;
        let metadata = guarded(path, || {
            let corrupt = |e| Error::corrupt(path, e);
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let metadata = ArrowReaderMetadata::load(&file, options).map_err(corrupt)?;
            check(path, def, metadata.schema())?;
            check_rows(path, metadata.metadata(), file.len())?;
            if texts == Texts::Values {
                return Ok(metadata);
            }
            let fields = metadata.schema().fields().iter();
            let fields: Vec<Field> = fields.map(|field| with_dictionary(field)).collect();
            let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
            ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).map_err(corrupt)
        })?;
        Ok(Self {
            path: location,
            def,
            metadata,
            texts,
        })
    }

    /// Rows in the segment, as its footer says.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a negative number.
    pub fn rows(&self) -> Result<u64> {
        let rows = self.metadata.metadata().file_metadata().num_rows();
        u64::try_from(rows).map_err(|e| Error::corrupt(&self.path, e))
    }

    /// Bounds of the columns that [queries prune by](page::is_pruned_by), as
    /// the footer has them.
    #[must_use]
    pub fn bounds(&self) -> Vec<Bounds> {
        bounds(self.def, self.metadata.metadata())
    }

    /// The schema of the file, in which columns that are few texts are numbers into
    /// the distinct ones, as they lie in it.
    #[must_use]
    pub fn schema_of_few(&self) -> SchemaRef {
        let metadata = self.metadata.metadata();
        let leaves = metadata.file_metadata().schema_descr().columns();
        let fields = self.metadata.schema().fields().iter().map(|field| {
            let is_it =
                |leaf: &Arc<ColumnDescriptor>| leaf.path().parts() == [field.name().as_str()];
            let leaf = leaves.iter().position(is_it);
            match leaf.is_some_and(|leaf| is_few(metadata, leaf)) {
                true => Arc::new(with_dictionary(field)),
                false => Arc::clone(field),
            }
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Whether it was written for the archive, by `whence compact`.
    #[must_use]
    pub fn is_archived(&self) -> bool {
        let facts = self
            .metadata
            .metadata()
            .file_metadata()
            .key_value_metadata();
        facts.is_some_and(|facts| facts.iter().any(|fact| fact.key == page::ARCHIVED))
    }

    /// How many row groups there are.
    #[must_use]
    pub fn row_groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// The rows of one row group, or of all, with these columns in this order.
    ///
    /// # Errors
    /// [`Error::Corrupt`]; [`Error::Io`]; [`Error::Table`] for a column that the
    /// table lacks.
    pub fn batches(
        &self,
        row_group: Option<usize>,
        columns: &[&str],
        batch_rows: usize,
    ) -> Result<Batches> {
        let path = &self.path;
        let Some(row_group) = row_group else {
            let mask = self.mask(columns);
            return self.begin(columns, || {
                let file = path.open().map_err(Error::io("open", &**path))?;
                ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                    .with_projection(mask)
                    .with_batch_size(batch_rows)
                    .build()
                    .map_err(|e| Error::corrupt(path, e))
            });
        };
        self.begin(columns, || self.group(row_group, columns, batch_rows, None))
    }

    /// Some rows of one row group, by their place in it, in order; in one batch.
    ///
    /// # Errors
    /// As [`batches`](Self::batches).
    pub fn chosen(&self, row_group: usize, columns: &[&str], rows: &[u32]) -> Result<RecordBatch> {
        let all = self.metadata.metadata().row_group(row_group).num_rows();
        let all = usize::try_from(all).map_err(|e| Error::corrupt(&self.path, e))?;
        let fewer = || Error::corrupt(&self.path, "a row group has fewer rows than it says");
        if rows.last().is_some_and(|last| *last as usize >= all) {
            return Err(fewer());
        }
        let ranges = rows.chunk_by(|a, b| a + 1 == *b);
        let ranges = ranges.filter_map(|run| {
            let (first, last) = (*run.first()? as usize, *run.last()? as usize);
            Some(first..last + 1)
        });
        let selection = RowSelection::from_consecutive_ranges(ranges, all);
        let mut batches = self.begin(columns, || {
            self.group(row_group, columns, rows.len().max(1), Some(selection))
        })?;
        match batches.next().transpose()? {
            Some(batch) if batch.num_rows() == rows.len() => Ok(batch),
            None if rows.is_empty() => Ok(RecordBatch::new_empty(batches.schema())),
            _ => Err(fewer()),
        }
    }

    fn group(
        &self,
        row_group: usize,
        columns: &[&str],
        batch_rows: usize,
        selection: Option<RowSelection>,
    ) -> Result<ParquetRecordBatchReader> {
        let (path, mask) = (&self.path, self.mask(columns));
        let chunks = Chunks::read(path, self.metadata.metadata(), row_group, &mask)?;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, self.metadata.clone())
                .with_projection(mask)
                .with_row_groups(vec![row_group])
                .with_batch_size(batch_rows);
        let builder = match selection {
            Some(selection) => builder.with_row_selection(selection),
            None => builder,
        };
        builder.build().map_err(|e| Error::corrupt(path, e))
    }

    fn mask(&self, columns: &[&str]) -> ProjectionMask {
        let fields = self.metadata.schema().fields().iter().enumerate();
        let wanted = fields.filter(|(_, field)| columns.contains(&field.name().as_str()));
        let of_file = self.metadata.metadata().file_metadata().schema_descr();
        ProjectionMask::roots(of_file, wanted.map(|(i, _)| i))
    }

    fn begin(
        &self,
        columns: &[&str],
        reader: impl FnOnce() -> Result<ParquetRecordBatchReader>,
    ) -> Result<Batches> {
        let mut schema = schema(self.def, columns)?;
        if self.texts == Texts::Dictionaries {
            let fields = schema.fields().iter();
            let fields: Vec<Field> = fields.map(|field| with_dictionary(field)).collect();
            schema = Arc::new(Schema::new(fields));
        }
        Ok(Batches {
            path: self.path.to_path_buf(),
            schema,
            rows: self.rows()?,
            reader: Some(guarded(&self.path, reader)?),
        })
    }
}

/// Bytes of the distinct values of a column of a row group, compressed, up to which
/// they are few.
const FEW_BYTES: i64 = 32 << 10;

/// Whether all values of a column lie as numbers into distinct ones, and these are few.
fn is_few(metadata: &ParquetMetaData, leaf: usize) -> bool {
    metadata.row_groups().iter().all(|group| {
        let column = group.column(leaf);
        let is_number = column.page_encoding_stats_mask().is_none_or(|pages| {
            let numbers = [Encoding::RLE_DICTIONARY, Encoding::PLAIN_DICTIONARY];
            pages
                .encodings()
                .all(|encoding| numbers.contains(&encoding))
        });
        let values = column.dictionary_page_offset();
        let bytes = values.map(|values| column.data_page_offset().saturating_sub(values));
        is_number && bytes.is_some_and(|bytes| (0..=FEW_BYTES).contains(&bytes))
    })
}

/// The field with a dictionary in the place of text.
fn with_dictionary(field: &Field) -> Field {
    match field.data_type() {
        DataType::Utf8 => {
            let text = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
            field.clone().with_data_type(text)
        }
        _ => field.clone(),
    }
}

/// The batches of one segment.
#[derive(Debug)]
pub struct Batches {
    path: PathBuf,
    schema: SchemaRef,
    rows: u64,
    reader: Option<ParquetRecordBatchReader>,
}

impl Batches {
    /// Opens a segment of a table for these columns, in this order.
    ///
    /// # Errors
    /// As [`SegmentReader`].
    pub fn open(
        path: impl Into<Location>,
        def: &'static TableDef,
        columns: &[&str],
    ) -> Result<Self> {
        SegmentReader::open(path, def, Texts::Values)?.batches(None, columns, BATCH_ROWS)
    }

    /// Schema of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Rows in the segment, as its footer says.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// Bounds over all row groups; of a column for which one has none, none.
fn bounds(def: &'static TableDef, metadata: &ParquetMetaData) -> Vec<Bounds> {
    let leaves = metadata.file_metadata().schema_descr().columns();
    let of_leaf = |(leaf, column): (usize, &Arc<ColumnDescriptor>)| {
        let [name] = column.path().parts() else {
            return None;
        };
        let column = def.column(name)?.name;
        if !page::is_pruned_by(def, column) {
            return None;
        }
        let mut groups = metadata.row_groups().iter().map(|group| {
            let statistics = group.columns().get(leaf)?.statistics()?;
            match statistics {
                Statistics::Int64(of) => Some((*of.min_opt()?, *of.max_opt()?)),
                _ => None,
            }
        });
        let first = groups.next()??;
        let all = groups.try_fold(first, |(min, max), group| {
            group.map(|group| (min.min(group.0), max.max(group.1)))
        });
        let (min, max) = all?;
        Some(Bounds { column, min, max })
    };
    leaves.iter().enumerate().filter_map(of_leaf).collect()
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        let path = &self.path;
        let next = guarded(path, || {
            reader
                .next()
                .transpose()
                .map_err(|e| Error::corrupt(path, e))
        });
        let batch = match next {
            Ok(batch) => batch.map(|batch| conform(path, &self.schema, &batch)),
            Err(e) => Some(Err(e)),
        };
        if !matches!(batch, Some(Ok(_))) {
            // Nothing that follows damage can be trusted.
            self.reader = None;
        }
        batch
    }
}

#[cfg(test)]
mod tests;
