//! How tables are encoded in Parquet.
//!
//! Zstandard at level 1, since it is paid for on the production host. Columns
//! that grow are delta-packed; the others use a dictionary, which Parquet drops
//! by itself where values do not repeat. Statistics are kept per page only
//! where queries prune by them: time and process.

use parquet::basic::{Compression, Encoding as PageEncoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::table::{BOOT_ID, Encoding, TableDef};
use crate::{FORMAT_VERSION, layout};

/// Rows in a row group, at most: also what bounds the writer's memory.
pub const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Bytes in memory for a row group, at most, but for a single batch.
pub const ROW_GROUP_BYTES: usize = 16 << 20;

/// Writer properties of a table.
#[must_use]
pub fn properties(def: &TableDef) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("whence ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(vec![
            KeyValue::new("whence.format_version".into(), FORMAT_VERSION.to_string()),
            KeyValue::new("whence.table".into(), def.name.to_string()),
        ]));
    for column in def.columns {
        let path = ColumnPath::from(column.name);
        if column.encoding == Encoding::Delta {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), PageEncoding::DELTA_BINARY_PACKED);
        }
        if column.name == def.time_column || column.name.ends_with("upid") {
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Page);
        }
    }
    properties
        .set_column_dictionary_enabled(ColumnPath::from(BOOT_ID), true)
        .build()
}

/// Whether a path looks like a segment of some recording.
#[must_use]
pub fn is_segment(path: &std::path::Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| layout::segment_number(name).is_some())
}
