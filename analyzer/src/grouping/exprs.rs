//! The number of a row's texts, and the texts of a number, as expressions.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray as _, Int32Array, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Int32Type, Schema};
use datafusion::common::exec_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::tuples::Tuples;
use crate::combinations::{Combinations, Texts};

/// Row groups whose numbers are remembered: one for each thread that reads.
const REMEMBERED: usize = 32;

/// The number of the texts in some columns.
#[derive(Debug)]
pub(super) struct Number {
    columns: Vec<Arc<dyn PhysicalExpr>>,
    tuples: Arc<Tuples>,
    seen: Mutex<Vec<Combinations>>,
}

impl Number {
    pub(super) const fn new(columns: Vec<Arc<dyn PhysicalExpr>>, tuples: Arc<Tuples>) -> Self {
        Self {
            columns,
            tuples,
            seen: Mutex::new(Vec::new()),
        }
    }

    /// What is known of the row group that these columns are of; nobody else has it
    /// meanwhile.
    fn seen(&self, columns: &[&Texts]) -> Combinations {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.iter().position(|seen| seen.is_of(columns)) {
            Some(at) => seen.remove(at),
            None => Combinations::new(columns),
        }
    }

    fn remember(&self, combinations: Combinations) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() == REMEMBERED {
            seen.remove(0);
        }
        seen.push(combinations);
    }
}

impl PhysicalExpr for Number {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let arrays = self.columns.iter().map(|column| {
            let array = column.evaluate(batch)?;
            array.into_array(batch.num_rows())
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let texts = arrays.iter().map(|array| array.as_dictionary_opt());
        let Some(texts) = texts.collect::<Option<Vec<&Texts>>>() else {
            return exec_err!("{self} is not of texts as numbers");
        };
        let mut numbers: Vec<i32> = Vec::with_capacity(batch.num_rows());
        let mut seen = self.seen(&texts);
        seen.each(
            &texts,
            |texts| self.tuples.number(texts),
            |_, number| numbers.push(number as i32),
        )?;
        self.remember(seen);
        Ok(ColumnarValue::Array(Arc::new(Int32Array::from(numbers))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.columns.iter().collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self::new(children, Arc::clone(&self.tuples))))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        write!(f, "number({})", columns.join(", "))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.columns == other.columns && Arc::ptr_eq(&self.tuples, &other.tuples)
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.columns.hash(state);
    }
}

/// One of the texts that a number stands for.
#[derive(Debug)]
pub(super) struct Text {
    number: Arc<dyn PhysicalExpr>,
    /// Which of them.
    place: usize,
    is_nullable: bool,
    tuples: Arc<Tuples>,
}

impl Text {
    pub(super) fn new(
        number: Arc<dyn PhysicalExpr>,
        place: usize,
        is_nullable: bool,
        tuples: Arc<Tuples>,
    ) -> Self {
        Self {
            number,
            place,
            is_nullable,
            tuples,
        }
    }
}

impl PhysicalExpr for Text {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(self.is_nullable)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let numbers = self.number.evaluate(batch)?.into_array(batch.num_rows())?;
        let Some(numbers) = numbers.as_primitive_opt::<Int32Type>() else {
            return exec_err!("{} is no number of texts", self.number);
        };
        let mut texts = StringBuilder::with_capacity(numbers.len(), numbers.len() * 16);
        let each = numbers.values().iter().map(|number| *number as u32);
        let mut bytes = 0_usize;
        self.tuples.texts(each, self.place, |text| {
            bytes = bytes.saturating_add(text.map_or(0, str::len));
            // More than that does not fit in an array.
            if i32::try_from(bytes).is_ok() {
                texts.append_option(text);
            }
        });
        if texts.values_slice().len() != bytes {
            let text = format!("{bytes} bytes of text do not fit in a batch of rows");
            return Err(DataFusionError::ResourcesExhausted(text));
        }
        Ok(ColumnarValue::Array(Arc::new(texts.finish())))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.number]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(number) = children.pop() else {
            return exec_err!("{self} needs a number");
        };
        let tuples = Arc::clone(&self.tuples);
        Ok(Arc::new(Self::new(
            number,
            self.place,
            self.is_nullable,
            tuples,
        )))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text({}, {})", self.number, self.place)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.number.eq(&other.number)
            && self.place == other.place
            && Arc::ptr_eq(&self.tuples, &other.tuples)
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
        self.place.hash(state);
    }
}
