//! How tables are encoded in Parquet.
//!
//! Zstandard at level 1, since it is paid for on the production host. Columns
//! that grow are delta-packed. The others use a dictionary if their values
//! repeat in the first rows of the segment. If not, a dictionary would store
//! each value and an index to it: numbers are delta-packed then, and texts leave
//! out what they begin with like the text before, but for archives, whose texts
//! always have a dictionary. Statistics are kept per page
//! only where queries prune by them: time and process.

use std::collections::HashSet;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type};

use parquet::basic::{Compression, Encoding as PageEncoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::table::{BOOT_ID, ColumnDef, Encoding, TableDef};
use crate::{FORMAT_VERSION, layout};

/// Rows in a row group, at most: also what bounds the writer's memory.
pub const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Bytes in memory for a row group, at most, but for a single batch.
pub const ROW_GROUP_BYTES: usize = 16 << 20;

/// How much is spent on a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As little as is good enough: it is paid for on the production host.
    Recording,
    /// More, once and elsewhere, for smaller files that are read faster.
    Archive,
}

/// Key in the footer of a segment that was written with [`Effort::Archive`].
pub const ARCHIVED: &str = "whence.archived";

impl Effort {
    /// Bytes in memory for a row group, at most, but for a single batch.
    #[must_use]
    pub const fn row_group_bytes(self) -> usize {
        match self {
            Self::Recording => ROW_GROUP_BYTES,
            Self::Archive => 8 * ROW_GROUP_BYTES,
        }
    }

    /// Bytes of the distinct values of a column of a row group, beyond which
    /// they are no longer kept apart.
    const fn dictionary_bytes(self) -> usize {
        match self {
            Self::Recording => 1 << 20,
            Self::Archive => 8 << 20,
        }
    }

    fn level(self) -> ZstdLevel {
        match self {
            Self::Recording => ZstdLevel::default(),
            Self::Archive => ZstdLevel::try_new(9).unwrap_or_default(),
        }
    }
}

/// Rows by which is judged whether values repeat.
const JUDGED_ROWS: usize = 4096;

/// Writer properties of a segment that begins with these rows.
#[must_use]
pub fn properties(def: &TableDef, first: Option<&RecordBatch>, effort: Effort) -> WriterProperties {
    let mut facts = vec![
        KeyValue::new("whence.format_version".into(), FORMAT_VERSION.to_string()),
        KeyValue::new("whence.table".into(), def.name.to_string()),
    ];
    if effort == Effort::Archive {
        facts.push(KeyValue::new(ARCHIVED.into(), "1".to_string()));
    }
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("whence ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(Compression::ZSTD(effort.level()))
        .set_dictionary_page_size_limit(effort.dictionary_bytes())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(facts));
    for column in def.columns {
        let values = first.and_then(|batch| batch.column_by_name(column.name));
        let path = leaf(column);
        if let Some(encoding) = encoding(column, values.map(AsRef::as_ref), effort) {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), encoding);
        }
        if is_pruned_by(def, column.name) {
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Page);
        }
    }
    properties
        .set_column_dictionary_enabled(ColumnPath::from(BOOT_ID), true)
        .build()
}

/// Path of the values of a column.
fn leaf(column: &ColumnDef) -> ColumnPath {
    let path = match (column.data_type)() {
        DataType::List(item) => vec![column.name.into(), "list".into(), item.name().clone()],
        _ => vec![column.name.into()],
    };
    ColumnPath::new(path)
}

/// How a column is encoded, unless by a dictionary.
fn encoding(
    column: &ColumnDef,
    values: Option<&dyn Array>,
    effort: Effort,
) -> Option<PageEncoding> {
    let packed = Some(PageEncoding::DELTA_BINARY_PACKED);
    if column.encoding == Encoding::Delta {
        return packed;
    }
    let mut values = values?;
    if let Some(list) = values.as_list_opt::<i32>() {
        values = list.values().as_ref();
    }
    let repeats = match values.data_type() {
        DataType::Int64 => repeat(values.as_primitive::<Int64Type>().iter()),
        DataType::Int32 => repeat(values.as_primitive::<Int32Type>().iter()),
        DataType::Utf8 => repeat(values.as_string::<i32>().iter()),
        _ => true,
    };
    match values.data_type() {
        _ if repeats => None,
        // Over a whole row group, texts repeat more than in its first rows, and an
        // archive has room for all distinct ones.
        DataType::Utf8 if effort == Effort::Archive => None,
        DataType::Utf8 => Some(PageEncoding::DELTA_BYTE_ARRAY),
        _ => packed,
    }
}

/// Whether there are at least two of each of the first values, on average.
fn repeat<T: Eq + std::hash::Hash>(values: impl Iterator<Item = Option<T>>) -> bool {
    let mut judged = 0;
    let distinct: HashSet<T> = values
        .take(JUDGED_ROWS)
        .flatten()
        .inspect(|_| judged += 1)
        .collect();
    distinct.len() * 2 <= judged || judged == 0
}

/// Whether queries prune pages and segments by a column: it places rows in time,
/// or names their process.
#[must_use]
pub fn is_pruned_by(def: &TableDef, column: &str) -> bool {
    column == def.time_column || column == "time" || column.ends_with("upid")
}

/// Whether a path looks like a segment of some recording.
#[must_use]
pub fn is_segment(path: &std::path::Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| layout::segment_number(name).is_some())
}
