//! Comma-separated values as RFC 4180 has them. Cells are made printable, so
//! that a spreadsheet or a terminal sees no control characters.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::rows::{Out, cells};
use crate::{Error, Result};

const TIMES: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

pub(super) struct Csv<'a> {
    out: Out<'a>,
}

impl<'a> Csv<'a> {
    pub(super) fn new(schema: &SchemaRef, out: Out<'a>) -> Result<Self> {
        let header: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
        let mut this = Self { out };
        this.line(&header)?;
        Ok(this)
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for row in cells(batch, TIMES)? {
            self.line(&row)?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(Error::output)
    }

    pub(super) fn finish(self) -> Result<()> {
        self.out.flush().map_err(Error::output)
    }

    fn line(&mut self, cells: &[String]) -> Result<()> {
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        writeln!(self.out, "{}", cells.join(",")).map_err(Error::output)
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cells_that_need_it_are_quoted() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"x\""), "\"say \"\"x\"\"\"");
    }
}
