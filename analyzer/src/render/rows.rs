//! Writes batches of rows in any format, as they come.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use whence_schemas::quote::printable;

use super::csv::Csv;
use super::json::Json;
use super::table::Table;
use super::{Format, Screen};
use crate::{Error, Result};

/// Where answers go.
pub(super) type Out<'a> = &'a mut (dyn Write + Send);

/// A sink for the rows of one answer.
#[expect(missing_debug_implementations, reason = "holds writers")]
pub struct Rows<'a>(Sink<'a>);

enum Sink<'a> {
    Table(Table<'a>),
    Json(Json<'a>),
    Csv(Csv<'a>),
    Parquet(Box<ArrowWriter<Out<'a>>>),
    Arrow(Box<StreamWriter<Out<'a>>>),
}

impl<'a> Rows<'a> {
    /// A sink for rows of that schema.
    ///
    /// # Errors
    /// [`Error::Usage`] for bytes on a terminal; [`Error::Write`].
    pub fn new(format: Format, schema: &SchemaRef, screen: &Screen, out: Out<'a>) -> Result<Self> {
        if format.is_binary() && screen.is_terminal {
            return Err(Error::Usage(
                "a terminal cannot show this format; send the output to a file".into(),
            ));
        }
        let schema = schema.clone();
        Ok(Self(match format {
            Format::Table => Sink::Table(Table::new(schema, *screen, out)),
            Format::Json => Sink::Json(Json::new(out)),
            Format::Csv => Sink::Csv(Csv::new(&schema, out)?),
            Format::Parquet => {
                let writer = ArrowWriter::try_new(out, schema, None).map_err(parquet_error)?;
                Sink::Parquet(Box::new(writer))
            }
            Format::Arrow => Sink::Arrow(Box::new(StreamWriter::try_new(out, &schema)?)),
        }))
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.0 {
            Sink::Table(table) => table.write(batch),
            Sink::Json(json) => json.write(batch),
            Sink::Csv(csv) => csv.write(batch),
            Sink::Parquet(writer) => writer.write(batch).map_err(parquet_error),
            Sink::Arrow(writer) => Ok(writer.write(batch)?),
        }
    }

    /// Shows what was written so far, where the format has lines.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.0 {
            Sink::Json(json) => json.flush(),
            Sink::Csv(csv) => csv.flush(),
            Sink::Table(_) | Sink::Parquet(_) | Sink::Arrow(_) => Ok(()),
        }
    }

    /// Writes what is still held back, and the end.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(self) -> Result<()> {
        match self.0 {
            Sink::Table(table) => table.finish(),
            Sink::Json(json) => json.finish(),
            Sink::Csv(csv) => csv.finish(),
            Sink::Parquet(writer) => writer.close().map(drop).map_err(parquet_error),
            Sink::Arrow(mut writer) => Ok(writer.finish()?),
        }
    }
}

fn parquet_error(error: parquet::errors::ParquetError) -> Error {
    match error {
        parquet::errors::ParquetError::External(e) => match e.downcast::<std::io::Error>() {
            Ok(e) => Error::output(*e),
            Err(e) => Error::Query(e.to_string().into()),
        },
        error => Error::Query(error.to_string().into()),
    }
}

/// The cells of a batch as printable text, NULL as nothing.
pub(super) fn cells(batch: &RecordBatch, times: &str) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::new()
        .with_null("")
        .with_timestamp_tz_format(Some(times))
        .with_timestamp_format(Some(times));
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let cells = columns.iter().map(|column| {
            let text = column.value(row).try_to_string()?;
            Ok(printable(&text).into_owned())
        });
        rows.push(cells.collect::<Result<Vec<_>>>()?);
    }
    Ok(rows)
}
