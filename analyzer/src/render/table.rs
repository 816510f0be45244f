//! Rows in aligned columns. The first rows are held back to find the widths;
//! the rest follow as they come.

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};

use whence_schemas::quote::printable;

use super::Screen;
use super::rows::{Out, cells};
use super::text::{fit, width};
use crate::{Error, Result};

/// Rows that decide the widths.
const MEASURED_ROWS: usize = 1_000;
/// Columns of a cell at most on a terminal. Cells of numbers and times are never
/// cut.
const WIDEST_ON_TERMINAL: usize = 60;
/// The same elsewhere.
const WIDEST: usize = 120;
/// Columns below which no cell is cut.
const LEAST_CELL: usize = 8;
const GAP: &str = "  ";
const TIMES: &str = "%Y-%m-%d %H:%M:%S%.3f";

pub(super) struct Table<'a> {
    schema: SchemaRef,
    screen: Screen,
    out: Out<'a>,
    held: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(schema: SchemaRef, screen: Screen, out: Out<'a>) -> Self {
        Self {
            schema,
            screen,
            out,
            held: Vec::new(),
            widths: None,
        }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.is_plan() {
            return self.plan(batch);
        }
        let mut rows = cells(batch, TIMES)?;
        for row in &mut rows {
            for (cell, field) in row.iter_mut().zip(self.schema.fields()) {
                self.shape(cell, field.data_type());
            }
        }
        if let Some(widths) = self.widths.clone() {
            return rows.iter().try_for_each(|row| self.line(row, &widths));
        }
        self.held.extend(rows);
        if self.held.len() >= MEASURED_ROWS {
            self.begin()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<()> {
        if self.widths.is_none() {
            self.begin()?;
        }
        self.out.flush().map_err(Error::output)
    }

    /// Rounds a number, cuts a text that is too wide.
    fn shape(&self, cell: &mut String, data_type: &DataType) {
        if data_type.is_floating() {
            rounded(cell);
        } else if !is_whole(data_type) {
            let widest = match self.screen.is_terminal {
                true => WIDEST_ON_TERMINAL,
                false => WIDEST,
            };
            *cell = fit(cell, widest);
        }
    }

    /// Whether the rows are those of EXPLAIN, which are lines of text.
    fn is_plan(&self) -> bool {
        let names = self.schema.fields().iter().map(|field| field.name());
        names.eq(["plan_type", "plan"])
    }

    fn plan(&mut self, batch: &RecordBatch) -> Result<()> {
        let text = |column: usize| batch.column(column).as_string_opt::<i32>();
        let (Some(types), Some(plans)) = (text(0), text(1)) else {
            return Ok(());
        };
        for row in 0..batch.num_rows() {
            let title = self.screen.bold(&printable(types.value(row)));
            writeln!(self.out, "{title}").map_err(Error::output)?;
            for line in plans.value(row).lines() {
                writeln!(self.out, "  {}", printable(line)).map_err(Error::output)?;
            }
        }
        self.widths = Some(Vec::new());
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        let names: Vec<String> = self
            .schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let mut widths: Vec<usize> = names.iter().map(|name| width(name)).collect();
        for row in &self.held {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = width(cell).max(*widest);
            }
        }
        if self.screen.is_terminal {
            let fields = self.schema.fields().iter();
            let fixed: Vec<bool> = fields.map(|f| is_whole(f.data_type())).collect();
            shrink(&mut widths, &fixed, self.screen.width);
        }
        let header = self.aligned(&names, &widths);
        let header = self.screen.bold(header.trim_end());
        writeln!(self.out, "{header}").map_err(Error::output)?;
        for row in std::mem::take(&mut self.held) {
            self.line(&row, &widths)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn line(&mut self, row: &[String], widths: &[usize]) -> Result<()> {
        let line = self.aligned(row, widths);
        writeln!(self.out, "{}", line.trim_end()).map_err(Error::output)
    }

    /// Cells in their columns, numbers to the right.
    fn aligned(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (i, (cell, columns)) in row.iter().zip(widths).enumerate() {
            if i > 0 {
                line.push_str(GAP);
            }
            let is_cut = self.screen.is_terminal && !is_whole(self.schema.field(i).data_type());
            let cell = match is_cut {
                true => fit(cell, *columns),
                false => cell.clone(),
            };
            let blank = " ".repeat(columns.saturating_sub(width(&cell)));
            if self.schema.field(i).data_type().is_numeric() {
                line.push_str(&blank);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&blank);
            }
        }
        line
    }
}

/// Whether values of a type are not cut: half a number is another number.
fn is_whole(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_temporal()
}

/// Rounds a number to three decimals, unless it is too large to have any.
fn rounded(cell: &mut String) {
    if let Ok(number) = cell.parse::<f64>()
        && number.abs() < 1e15
    {
        *cell = format!("{number:.3}");
    }
}

/// Takes from the widest columns that may be cut until all fit.
fn shrink(widths: &mut [usize], fixed: &[bool], columns: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(columns);
    while excess > 0 {
        let cut = widths.iter_mut().zip(fixed).filter(|(_, fixed)| !**fixed);
        let Some((widest, _)) = cut.max_by_key(|(width, _)| **width) else {
            return;
        };
        if *widest <= LEAST_CELL {
            return;
        }
        *widest -= 1;
        excess -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_columns_give_way_first() {
        let mut widths = [4, 30, 20];
        shrink(&mut widths, &[false; 3], 40);
        assert_eq!(widths, [4, 16, 16]);
        let mut narrow = [8, 8];
        shrink(&mut narrow, &[false; 2], 5);
        assert_eq!(narrow, [8, 8]);
    }

    #[test]
    fn numbers_do_not_give_way() {
        let mut widths = [4, 30, 20];
        shrink(&mut widths, &[false, true, false], 40);
        assert_eq!(widths, [4, 30, 8]);
        for (number, text) in [
            ("0.3333333", "0.333"),
            ("-2", "-2.000"),
            ("", ""),
            ("NaN", "NaN"),
        ] {
            let mut cell = number.to_owned();
            rounded(&mut cell);
            assert_eq!(cell, text);
        }
    }
}
