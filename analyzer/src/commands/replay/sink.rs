//! Where events go: lines for people, rows for machines.

use std::io::Write as _;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::Event;
use crate::commands::Answer;
use crate::render::{Output, Rows};
use crate::{Error, Result};

/// Rows that are written together.
const ROWS: usize = 1024;

/// Where events go.
pub(super) enum Sink<'a> {
    Lines(&'a mut Output),
    Rows {
        rows: Box<Rows<'a>>,
        /// Parts of batches that are not written yet.
        held: Vec<RecordBatch>,
    },
}

impl<'a> Sink<'a> {
    /// For events of that schema, in the format of the answer.
    pub(super) fn new(answer: &'a mut Answer, schema: &Schema) -> Result<Self> {
        if answer.format.is_human() {
            return Ok(Self::Lines(&mut answer.out));
        }
        let schema = std::sync::Arc::new(schema.clone());
        let rows = Rows::new(answer.format, &schema, &answer.screen, &mut answer.out)?;
        Ok(Self::Rows {
            rows: Box::new(rows),
            held: Vec::new(),
        })
    }

    pub(super) fn write(&mut self, event: &Event<'_>) -> Result<()> {
        match self {
            Self::Lines(out) => {
                let line = event.line();
                writeln!(out, "{}", line.trim_end()).map_err(Error::output)
            }
            Self::Rows { held, .. } => {
                held.push(event.batch.slice(event.row, 1));
                match held.len() >= ROWS {
                    true => self.write_held(),
                    false => Ok(()),
                }
            }
        }
    }

    fn write_held(&mut self) -> Result<()> {
        if let Self::Rows { rows, held } = self
            && let Some(first) = held.first()
        {
            let batch = arrow::compute::concat_batches(&first.schema(), held.iter())?;
            held.clear();
            rows.write(&batch)?;
        }
        Ok(())
    }

    /// Shows what was written so far.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.write_held()?;
        match self {
            Self::Lines(out) => out.flush().map_err(Error::output),
            Self::Rows { rows, .. } => rows.flush(),
        }
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        match self {
            Self::Lines(_) => Ok(()),
            Self::Rows { rows, .. } => rows.finish(),
        }
    }
}
