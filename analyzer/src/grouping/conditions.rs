//! What rows must satisfy to be added up. A condition on a text is asked once for
//! each distinct text of a row group, whatever it is.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{FilterBuilder, and, prep_null_mask_filter};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;

use super::memo::Memo;
use crate::combinations::Texts;

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// On the text in a column of numbers; it is column 0 for the expression.
    Text(usize, Arc<dyn PhysicalExpr>),
    /// On a row.
    Row(Arc<dyn PhysicalExpr>),
}

/// Conditions with what is known of them.
#[derive(Debug)]
pub(super) struct Conditions {
    all: Vec<(Condition, Memo<Seen>)>,
}

/// Which texts of a dictionary satisfy a condition.
#[derive(Debug)]
struct Seen {
    /// By key; the last one is for no text.
    is_met: Vec<bool>,
    is_met_by_all_texts: bool,
}

impl Conditions {
    pub(super) fn new(all: &[Condition]) -> Self {
        let all = all
            .iter()
            .map(|condition| (condition.clone(), Memo::default()));
        Self { all: all.collect() }
    }

    /// The rows of a batch that satisfy all of them, without the columns after the
    /// first `kept`, which are there for conditions only.
    pub(super) fn chosen(&mut self, batch: RecordBatch, kept: usize) -> Result<RecordBatch> {
        let mut met: Option<BooleanArray> = None;
        for (condition, seen) in &mut self.all {
            let own = match condition {
                Condition::Text(column, expr) => on_text(batch.column(*column), expr, seen)?,
                Condition::Row(expr) => Some(on_row(&batch, expr)?),
            };
            met = match (met, own) {
                (Some(met), Some(own)) => Some(and(&met, &own)?),
                (met, own) => met.or(own),
            };
        }
        let columns: Vec<usize> = (0..kept.min(batch.num_columns())).collect();
        let batch = batch.project(&columns)?;
        Ok(match met.filter(|met| met.true_count() < met.len()) {
            Some(met) => FilterBuilder::new(&met)
                .optimize()
                .build()
                .filter_record_batch(&batch)?,
            None => batch,
        })
    }
}

fn on_row(batch: &RecordBatch, expr: &Arc<dyn PhysicalExpr>) -> Result<BooleanArray> {
    let met = expr.evaluate(batch)?.into_array(batch.num_rows())?;
    let Some(met) = met.as_boolean_opt() else {
        return Err(DataFusionError::Internal(format!("{expr} is no condition")));
    };
    Ok(match met.null_count() {
        0 => met.clone(),
        _ => prep_null_mask_filter(met),
    })
}

/// Which rows satisfy a condition on a text; `None` if all do.
fn on_text(
    column: &ArrayRef,
    expr: &Arc<dyn PhysicalExpr>,
    seen: &mut Memo<Seen>,
) -> Result<Option<BooleanArray>> {
    let column: &Texts = column.as_dictionary_opt().ok_or_else(|| {
        DataFusionError::Internal(format!("{} is not texts as numbers", column.data_type()))
    })?;
    let values = column.values();
    let seen = seen.of(values, || ask(values, expr))?;
    let is_met = &seen.is_met;
    let keys = column.keys();
    let none = is_met.len() - 1;
    if seen.is_met_by_all_texts && (keys.null_count() == 0 || is_met[none]) {
        return Ok(None);
    }
    let numbers = keys.values();
    let is_met = match keys.null_count() {
        0 => BooleanBuffer::collect_bool(keys.len(), |row| is_met[numbers[row] as usize]),
        _ => BooleanBuffer::collect_bool(keys.len(), |row| {
            is_met[if keys.is_valid(row) {
                numbers[row] as usize
            } else {
                none
            }]
        }),
    };
    Ok(Some(BooleanArray::new(is_met, None)))
}

/// Asks a condition for each text of a dictionary, and for none.
fn ask(values: &ArrayRef, expr: &Arc<dyn PhysicalExpr>) -> Result<Seen> {
    let field = Field::new("text", DataType::Utf8, true);
    let schema = Arc::new(Schema::new(vec![field]));
    let mut is_met = Vec::with_capacity(values.len() + 1);
    for texts in [Arc::clone(values), new_null_array(&DataType::Utf8, 1)] {
        let met = on_row(
            &RecordBatch::try_new(Arc::clone(&schema), vec![texts])?,
            expr,
        )?;
        is_met.extend(met.values().iter());
    }
    Ok(Seen {
        is_met_by_all_texts: is_met[..values.len()].iter().all(|is_met| *is_met),
        is_met,
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::Int32Array;
    use arrow::datatypes::Int32Type;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{Column, binary, is_not_null, is_null, lit};

    use super::*;

    /// The numbers of the rows that are left.
    fn chosen(conditions: &[Condition]) -> Vec<i32> {
        let texts: Texts = [Some("x"), None, Some("y"), Some("x"), None, Some("x")]
            .into_iter()
            .collect();
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..6));
        let batch = [("number", numbers), ("text", Arc::new(texts) as ArrayRef)];
        let batch = RecordBatch::try_from_iter(batch).unwrap();
        let batch = Conditions::new(conditions).chosen(batch, 1).unwrap();
        assert_eq!(batch.num_columns(), 1);
        batch
            .column(0)
            .as_primitive::<Int32Type>()
            .values()
            .to_vec()
    }

    type Expr = Arc<dyn PhysicalExpr>;

    fn text(of: fn(Expr) -> Result<Expr>) -> Condition {
        Condition::Text(1, of(Arc::new(Column::new("text", 0))).unwrap())
    }

    fn compared(left: Expr, op: Operator, right: Expr, of: DataType) -> Result<Expr> {
        let field = |name| Field::new(name, of.clone(), true);
        binary(
            left,
            op,
            right,
            &Schema::new(vec![field("number"), field("text")]),
        )
    }

    #[test]
    fn conditions_on_texts_are_those_on_rows() {
        let is_x = text(|text| compared(text, Operator::Eq, lit("x"), DataType::Utf8));
        let is_some = text(is_not_null);
        let number: Expr = Arc::new(Column::new("number", 0));
        let is_small = compared(number, Operator::Lt, lit(4), DataType::Int32).unwrap();
        let is_small = Condition::Row(is_small);
        assert_eq!(chosen(&[]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(chosen(std::slice::from_ref(&is_x)), [0, 3, 5]);
        assert_eq!(chosen(&[text(is_null)]), [1, 4]);
        // All texts of the dictionary, but not all rows.
        assert_eq!(chosen(std::slice::from_ref(&is_some)), [0, 2, 3, 5]);
        assert_eq!(chosen(&[is_small, is_some, is_x]), [0, 3]);
    }
}
