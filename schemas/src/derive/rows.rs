//! The input rows of a derivation as one space of row numbers.
//!
//! Each event tells of up to two processes: a fork of the child and of its
//! parent. So each batch takes part once for each [`Kind`] of statement that
//! it makes, and a row number says both which row and in which role. Columns
//! are gathered from any mix of rows without copying a value before that.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Int32Array, Int64Array, RecordBatch, StringArray,
    StringBuilder, new_null_array,
};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::error::ArrowError;

use crate::{Error, Result, process};

/// No row.
pub(super) const NONE: u32 = crate::tree::NONE;

/// What a row tells of the process that it is read for, in falling order of
/// how much is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Process,
    Fork,
    Exec,
    Exit,
    ForkParent,
    ExecParent,
    ProcessParent,
}

impl Kind {
    /// The column that names the process.
    pub(super) const fn upid(self) -> &'static str {
        match self {
            Self::Process | Self::Exec | Self::Exit => "upid",
            Self::Fork => "child_upid",
            Self::ForkParent | Self::ExecParent | Self::ProcessParent => "parent_upid",
        }
    }

    /// The column with its process id.
    pub(super) const fn pid(self) -> &'static str {
        match self {
            Self::Process | Self::Exec | Self::Exit => "pid",
            Self::Fork => "child_pid",
            Self::ForkParent => "parent_pid",
            Self::ExecParent | Self::ProcessParent => "ppid",
        }
    }

    /// The column with its name.
    pub(super) const fn comm(self) -> Option<&'static str> {
        match self {
            Self::Process | Self::Fork | Self::Exec | Self::Exit | Self::ForkParent => Some("comm"),
            Self::ExecParent => Some("parent_comm"),
            Self::ProcessParent => None,
        }
    }
}

/// A batch in one role.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) batch: RecordBatch,
    /// When the rows were true, for [`Kind::Process`].
    pub(super) at_ns: i64,
    /// Number of the first row.
    pub(super) start: u32,
}

impl Part {
    /// A column of integers that must be there.
    pub(super) fn i64(&self, name: &str) -> Result<&Int64Array> {
        self.batch
            .column_by_name(name)
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
            .ok_or_else(|| wrong(format!("the input has no column {name} of 64-bit integers")))
    }

    /// A column of text, if it is there.
    pub(super) fn text(&self, name: &str) -> Option<Text<'_>> {
        Text::of(self.column(name)?).ok()
    }

    /// A column, if it is there.
    pub(super) fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.batch.column_by_name(name)
    }
}

/// All parts, one after the other.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) parts: Vec<Part>,
    next: u32,
}

impl Rows {
    /// Adds batches in one role.
    pub(super) fn add(&mut self, kind: Kind, batches: &[RecordBatch], at_ns: i64) -> Result<()> {
        for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
            let end = u32::try_from(batch.num_rows())
                .ok()
                .and_then(|rows| self.next.checked_add(rows))
                .filter(|end| *end < NONE)
                .ok_or_else(|| wrong("there are more than four billion events".into()))?;
            self.parts.push(Part {
                kind,
                batch: batch.clone(),
                at_ns,
                start: self.next,
            });
            self.next = end;
        }
        Ok(())
    }

    /// Role of a row.
    pub(super) fn kind(&self, row: u32) -> Option<Kind> {
        self.locate(row).map(|(part, _)| self.parts[part].kind)
    }

    /// Part of a row, and its place there.
    fn locate(&self, row: u32) -> Option<(usize, usize)> {
        let part = self
            .parts
            .partition_point(|part| part.start <= row)
            .checked_sub(1)?;
        let at = (row - self.parts[part].start) as usize;
        (row < self.next).then_some((part, at))
    }

    /// The place of a row, if it is in that part.
    fn within(&self, part: usize, row: u32) -> Option<(usize, usize)> {
        let of_part = self.parts.get(part)?;
        let at = row.checked_sub(of_part.start)? as usize;
        (at < of_part.batch.num_rows()).then_some((part, at))
    }

    /// The values of a column for these rows. NULL where there is no row, or
    /// where a row's kind has no such column.
    pub(super) fn gather(
        &self,
        data_type: &DataType,
        column: impl Fn(Kind) -> Option<&'static str>,
        rows: &[u32],
    ) -> Result<ArrayRef> {
        if *data_type == DataType::Utf8 {
            return self.gather_text(column, rows);
        }
        let null = new_null_array(data_type, 1);
        let mut arrays: Vec<&dyn arrow::array::Array> = vec![null.as_ref()];
        let mut array_of = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let Some(array) = column(part.kind).and_then(|name| part.column(name)) else {
                array_of.push(0);
                continue;
            };
            if array.data_type() != data_type {
                return Err(misfit(array, data_type));
            }
            array_of.push(arrays.len());
            arrays.push(array.as_ref());
        }
        let mut picks = Vec::with_capacity(rows.len());
        // Rows mostly follow each other in one part.
        let mut near = 0;
        for row in rows {
            let place = self.within(near, *row).or_else(|| self.locate(*row));
            picks.push(match place {
                Some((part, at)) if array_of[part] > 0 => (array_of[part], at),
                _ => (0, 0),
            });
            near = place.map_or(near, |(part, _)| part);
        }
        interleave(&arrays, &picks).map_err(table_error)
    }

    /// [`gather`](Self::gather) for text, which the input may have as values or
    /// as numbers into distinct ones.
    fn gather_text(
        &self,
        column: impl Fn(Kind) -> Option<&'static str>,
        rows: &[u32],
    ) -> Result<ArrayRef> {
        let mut texts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let array = column(part.kind).and_then(|name| part.column(name));
            texts.push(array.map(Text::of).transpose()?);
        }
        let mut builder = StringBuilder::with_capacity(rows.len(), rows.len() * 8);
        let mut near = 0;
        for row in rows {
            let place = self.within(near, *row).or_else(|| self.locate(*row));
            let text = place.and_then(|(part, at)| texts[part].as_ref()?.value(at));
            builder.append_option(text);
            near = place.map_or(near, |(part, _)| part);
        }
        Ok(Arc::new(builder.finish()))
    }

    /// Bytes of the command line in a row.
    pub(super) fn cmdline_bytes(&self, row: u32) -> usize {
        self.locate(row)
            .and_then(|(part, at)| {
                let lines = self.parts[part].column("cmdline")?;
                Some(Text::of(lines).ok()?.value(at)?.len())
            })
            .unwrap_or(0)
    }

    /// [`gather`](Self::gather) for 64-bit integers.
    pub(super) fn gather_i64(
        &self,
        column: impl Fn(Kind) -> Option<&'static str>,
        rows: &[u32],
    ) -> Result<Int64Array> {
        let array = self.gather(&DataType::Int64, column, rows)?;
        Ok(array.as_primitive::<Int64Type>().clone())
    }
}

/// A column of text.
pub(super) enum Text<'a> {
    Values(&'a StringArray),
    Dictionary(&'a Int32Array, &'a StringArray),
}

impl<'a> Text<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self> {
        if let Some(values) = array.as_string_opt::<i32>() {
            return Ok(Self::Values(values));
        }
        let dictionary = array.as_dictionary_opt::<Int32Type>();
        dictionary
            .and_then(|d| Some(Self::Dictionary(d.keys(), d.values().as_string_opt()?)))
            .ok_or_else(|| misfit(array, &DataType::Utf8))
    }

    pub(super) fn value(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Values(values) => values.is_valid(row).then(|| values.value(row)),
            Self::Dictionary(keys, values) => {
                let key = keys.is_valid(row).then(|| keys.value(row) as usize)?;
                Some(values.value(key))
            }
        }
    }
}

fn misfit(array: &ArrayRef, wanted: &DataType) -> Error {
    wrong(format!(
        "the input has {} where {wanted} belongs",
        array.data_type()
    ))
}

pub(super) fn table_error(cause: ArrowError) -> Error {
    Error::Table {
        table: process::DEF.name,
        cause,
    }
}

fn wrong(reason: String) -> Error {
    table_error(ArrowError::SchemaError(reason))
}
