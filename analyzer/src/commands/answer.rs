//! An answer on its way to the standard output: first what it cannot know.

use std::io::Write as _;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use whence_schemas::quote::printable;

use crate::loss::Completeness;
use crate::recording::Recordings;
use crate::render::{Format, Output, Rows, Screen};
use crate::{Error, Result};

/// An answer on its way to the standard output.
pub(super) struct Answer {
    pub(super) format: Format,
    pub(super) screen: Screen,
    pub(super) out: Output,
}

impl Answer {
    /// Begins an answer by saying what it cannot know: in it for people, beside
    /// it for machines.
    pub(super) fn begin(format: Format, recordings: &Recordings) -> Result<Self> {
        let mut this = Self::silent(format);
        this.completeness(&Completeness::of(recordings))?;
        Ok(this)
    }

    /// The same for one that goes on for a while, and is read as it comes.
    pub(super) fn begin_live(format: Format, recordings: &Recordings) -> Result<Self> {
        let mut this = Self::live(format);
        this.completeness(&Completeness::of(recordings))?;
        Ok(this)
    }

    /// One that is read as it comes, and ends with what it cannot know.
    pub(super) fn live(format: Format) -> Self {
        Self {
            format,
            screen: Screen::stdout(),
            out: Output::direct(),
        }
    }

    /// An answer of which the reader knows already what it cannot know.
    pub(super) fn silent(format: Format) -> Self {
        let screen = Screen::stdout();
        let out = match format.is_human() {
            true => Output::paged(screen),
            false => Output::direct(),
        };
        Self {
            format,
            screen,
            out,
        }
    }

    /// Says what the answer cannot know.
    pub(super) fn completeness(&mut self, completeness: &Completeness) -> Result<()> {
        for line in completeness.lines() {
            if !self.format.is_human() {
                eprintln!("whence: {line}");
            } else if completeness.is_complete() {
                self.line(&self.screen.dim(&line))?;
            } else {
                self.line(&self.screen.warning(&line))?;
            }
        }
        Ok(())
    }

    /// Writes a line that is printable already.
    pub(super) fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.out, "{}", line.trim_end()).map_err(Error::output)
    }

    /// Writes a title with an empty line above.
    pub(super) fn title(&mut self, title: &str) -> Result<()> {
        let title = self.screen.bold(&printable(title));
        self.line("")?;
        self.line(&title)
    }

    /// Writes rows in the format that was asked for.
    pub(super) fn rows(&mut self, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<()> {
        let mut rows = Rows::new(self.format, schema, &self.screen, &mut self.out)?;
        for batch in batches {
            rows.write(batch)?;
        }
        rows.finish()
    }

    /// Writes rows as they are made, until there are none.
    pub(super) fn row_by_row(
        &mut self,
        next: &mut impl FnMut() -> Result<RecordBatch>,
    ) -> Result<()> {
        let mut batch = next()?;
        let schema = batch.schema();
        let mut rows = Rows::new(self.format, &schema, &self.screen, &mut self.out)?;
        while batch.num_rows() > 0 {
            rows.write(&batch)?;
            batch = next()?;
        }
        rows.finish()
    }

    pub(super) fn finish(self) -> Result<()> {
        self.out.finish().map_err(Error::output)
    }
}
