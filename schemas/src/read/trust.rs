//! How far the content of a segment is believed: its columns, its rows and its
//! decoder.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, ListArray, RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::file::metadata::ParquetMetaData;

use crate::{Error, Result, TableDef};

/// Checks the columns of a file against the table: those that both have must
/// be of one type.
///
/// # Errors
/// [`Error::Corrupt`].
pub fn check(path: &Path, def: &'static TableDef, file: &Schema) -> Result<()> {
    for field in def.schema().fields() {
        let Ok(found) = file.field_with_name(field.name()) else {
            continue;
        };
        if !same_type(field.data_type(), found.data_type()) {
            return Err(Error::corrupt(
                path,
                format!(
                    "column {} is {}, not {}",
                    field.name(),
                    found.data_type(),
                    field.data_type()
                ),
            ));
        }
    }
    Ok(())
}

/// Most rows that a byte of a file stands for. A row group of the most rows, all of
/// them the same, still takes some hundred bytes to describe each of its columns.
const MOST_ROWS_PER_BYTE: u64 = 256;

/// Checks that a file has not more rows than it can hold: of a column that it lacks,
/// as many are made up as it says.
pub(super) fn check_rows(path: &Path, metadata: &ParquetMetaData, bytes: u64) -> Result<()> {
    let mut rows = 0_u64;
    for group in metadata.row_groups() {
        let of_group = u64::try_from(group.num_rows()).map_err(|e| Error::corrupt(path, e))?;
        rows = rows.saturating_add(of_group);
    }
    if rows > bytes.saturating_mul(MOST_ROWS_PER_BYTE) {
        let reason = format!("{rows} rows do not fit into its {bytes} bytes");
        return Err(Error::corrupt(path, reason));
    }
    Ok(())
}

/// Runs a decoder on a file of unknown origin: a panic in it is damage of the
/// file, not the end of the program.
pub(super) fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(Error::corrupt(path, "its content cannot be decoded")))
}

/// Whether values of both types are the same, whatever the items of a list are
/// called.
fn same_type(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::List(a), DataType::List(b)) => same_type(a.data_type(), b.data_type()),
        (a, b) => a == b,
    }
}

/// The batch with exactly the columns of `schema`.
pub(super) fn conform(path: &Path, schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) => retype(column, field.data_type()).map_err(|e| Error::corrupt(path, e)),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|e| Error::corrupt(path, e))
}

fn retype(
    column: &ArrayRef,
    wanted: &DataType,
) -> std::result::Result<ArrayRef, arrow::error::ArrowError> {
    match (wanted, column.as_list_opt::<i32>()) {
        (DataType::List(item), Some(list)) => Ok(Arc::new(ListArray::try_new(
            Arc::clone(item),
            list.offsets().clone(),
            Arc::clone(list.values()),
            list.nulls().cloned(),
        )?)),
        _ => Ok(Arc::clone(column)),
    }
}
