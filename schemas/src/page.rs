//! How tables are encoded in Parquet.
//!
//! Zstandard at level 1, since it is paid for on the production host. Columns
//! that grow are delta-packed. The others use a dictionary or not, whichever is
//! smaller for the first rows of the segment: a dictionary stores each distinct
//! value and an index for each row. Without one, numbers are delta-packed and
//! texts leave out what they begin with like the text before. Texts are tried both
//! ways, since it is what compression makes of them that counts, and a dictionary,
//! which is read faster, may be a little larger; those of archives always have one.
//! Statistics are kept per page only where queries prune by them: time and process.

use std::collections::HashSet;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type};

use parquet::basic::{Compression, Encoding as PageEncoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::table::{BOOT_ID, ColumnDef, Encoding, TableDef};
use crate::texts;
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

/// Values by which a column is judged: runs of neighbours, from all over its first
/// rows, since these may be those of one program.
const JUDGED_RUNS: usize = 8;
const JUDGED_RUN: usize = 512;

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
    if column.encoding == Encoding::Delta {
        return Some(PageEncoding::DELTA_BINARY_PACKED);
    }
    let mut values = values?;
    if let Some(list) = values.as_list_opt::<i32>() {
        values = list.values().as_ref();
    }
    let packs = match values.data_type() {
        DataType::Int64 => {
            let values = values.as_primitive::<Int64Type>().iter();
            pack(values.flatten(), i64::BITS)
        }
        DataType::Int32 => {
            let values = values.as_primitive::<Int32Type>().iter();
            pack(values.flatten().map(i64::from), i32::BITS)
        }
        // Over a whole row group, texts repeat more than in its first rows, and an
        // archive has room for all distinct ones.
        DataType::Utf8 if effort == Effort::Archive => return None,
        DataType::Utf8 => {
            let texts: Vec<&str> = judged(values.as_string::<i32>().iter().flatten());
            return texts::front_coded(&texts).then_some(PageEncoding::DELTA_BYTE_ARRAY);
        }
        _ => false,
    };
    packs.then_some(PageEncoding::DELTA_BINARY_PACKED)
}

/// The values by which a column is judged.
fn judged<T: Copy>(values: impl Iterator<Item = T>) -> Vec<T> {
    let values: Vec<T> = values.collect();
    if values.len() <= JUDGED_RUNS * JUDGED_RUN {
        return values;
    }
    let apart = values.len() / JUDGED_RUNS;
    let runs = values.chunks_exact(apart).map(|run| &run[..JUDGED_RUN]);
    runs.flatten().copied().collect()
}

/// Whether there are at least two of each value, on average.
fn repeat<T: Eq + std::hash::Hash>(values: &[T]) -> bool {
    distinct(values) * 2 <= values.len()
}

fn distinct<T: Eq + std::hash::Hash>(values: &[T]) -> usize {
    values.iter().collect::<HashSet<_>>().len()
}

/// Whether numbers of so many bits are smaller delta-packed than as indices to a
/// dictionary, which hashes may be even if few of them repeat.
fn pack(values: impl Iterator<Item = i64>, width: u32) -> bool {
    let values = judged(values);
    if repeat(&values) {
        return false;
    }
    let distinct = distinct(&values) as u64;
    let indices = values.len() as u64 * u64::from(distinct.ilog2() + 1);
    packed_bits(&values) < indices + distinct * u64::from(width)
}

/// Bits that deltas take, which are packed by groups with the width of the widest
/// (<https://parquet.apache.org/docs/file-format/data-pages/encodings/>).
fn packed_bits(values: &[i64]) -> u64 {
    const GROUP: usize = 64;
    let deltas: Vec<i64> = values
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    let bits = |group: &[i64]| {
        let least = group.iter().min().copied().unwrap_or_default();
        let widest = group
            .iter()
            .map(|delta| delta.wrapping_sub(least).cast_unsigned())
            .max();
        let width = u64::BITS - widest.unwrap_or_default().leading_zeros();
        u64::from(width) * group.len() as u64
    };
    deltas.chunks(GROUP).map(bits).sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_get_a_dictionary_where_some_repeat_and_none_where_none_does() {
        let hash = |i: u64| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes()).cast_signed();
        assert!(!pack((0..4096).map(|i| hash(i % 2600)), i64::BITS));
        assert!(pack((0..4096).map(hash), i64::BITS));
    }

    #[test]
    fn numbers_that_grow_are_packed_and_those_that_repeat_are_not() {
        assert!(pack(0..4096, i64::BITS));
        assert!(!pack((0..4096).map(|i| i % 3), i32::BITS));
        assert!(!pack(std::iter::empty(), i64::BITS));
    }
}
