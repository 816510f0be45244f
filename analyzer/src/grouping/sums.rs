//! Sums of groups of rows. Counts and sums of integers, which nearly all questions
//! are about, are added up here; any other is done by the engine's own function.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};

/// What is added up, and by which rows of a group.
#[derive(Clone, Debug)]
pub(super) struct Summed {
    pub(super) function: Arc<AggregateFunctionExpr>,
    pub(super) filter: Option<Arc<dyn PhysicalExpr>>,
}

/// A sum for each group.
pub(super) enum Sum {
    /// How many rows, or values.
    Count {
        of: Option<Arc<dyn PhysicalExpr>>,
        counts: Vec<i64>,
    },
    /// Of integers; none if there was no value.
    Ints {
        of: Arc<dyn PhysicalExpr>,
        sums: Vec<i64>,
        has_value: Vec<bool>,
    },
    /// What the engine adds up.
    Other {
        of: Vec<Arc<dyn PhysicalExpr>>,
        filter: Option<Arc<dyn PhysicalExpr>>,
        function: Box<dyn GroupsAccumulator>,
    },
}

impl Sum {
    pub(super) fn new(summed: &Summed) -> Result<Self> {
        let function = &summed.function;
        let of = function.expressions();
        let is_plain = summed.filter.is_none()
            && !function.is_distinct()
            && !function.ignore_nulls()
            && function.order_bys().is_empty();
        let is_int = function.field().data_type() == &DataType::Int64;
        // The engine's functions sort by what they are given after what they add up.
        let orders = function.order_bys().iter();
        let orders = orders.map(|order| Arc::clone(&order.expr));
        Ok(match (function.fun().name(), &of[..]) {
            ("count", [of]) if is_plain => Self::Count {
                of: (!is_constant(of)).then(|| Arc::clone(of)),
                counts: Vec::new(),
            },
            ("sum", [of]) if is_plain && is_int => Self::Ints {
                of: Arc::clone(of),
                sums: Vec::new(),
                has_value: Vec::new(),
            },
            _ => Self::Other {
                of: of.iter().cloned().chain(orders).collect(),
                filter: summed.filter.clone(),
                function: accumulator(function)?,
            },
        })
    }

    /// Adds rows of these groups, of which there are so many by now.
    pub(super) fn add(
        &mut self,
        batch: &RecordBatch,
        of_rows: &[u32],
        groups: usize,
    ) -> Result<()> {
        match self {
            Self::Count { of, counts } => {
                counts.resize(groups, 0);
                let values = of.as_ref().map(|of| evaluate(of, batch)).transpose()?;
                match values.as_ref().and_then(|values| values.logical_nulls()) {
                    Some(nulls) => {
                        for (group, is_value) in of_rows.iter().zip(nulls.iter()) {
                            counts[*group as usize] += i64::from(is_value);
                        }
                    }
                    None => of_rows
                        .iter()
                        .for_each(|group| counts[*group as usize] += 1),
                }
            }
            Self::Ints {
                of,
                sums,
                has_value,
            } => {
                sums.resize(groups, 0);
                has_value.resize(groups, false);
                let values = evaluate(of, batch)?;
                let values = arrow::compute::cast(&values, &DataType::Int64)?;
                let values = values.as_primitive::<Int64Type>();
                let rows = of_rows.iter().map(|group| *group as usize);
                match values.null_count() {
                    0 => {
                        for (group, value) in rows.zip(values.values()) {
                            sums[group] = sums[group].wrapping_add(*value);
                            has_value[group] = true;
                        }
                    }
                    _ => {
                        for (group, value) in rows.zip(values.iter()) {
                            sums[group] = sums[group].wrapping_add(value.unwrap_or(0));
                            has_value[group] |= value.is_some();
                        }
                    }
                }
            }
            Self::Other {
                of,
                filter,
                function,
            } => {
                let of_rows: Vec<usize> = of_rows.iter().map(|group| *group as usize).collect();
                let values = of.iter().map(|of| evaluate(of, batch));
                let values = values.collect::<Result<Vec<_>>>()?;
                let filter = filter.as_ref().map(|filter| evaluate(filter, batch));
                let filter: Option<BooleanArray> =
                    filter.transpose()?.map(|f| f.as_boolean().clone());
                function.update_batch(&values, &of_rows, filter.as_ref(), groups)?;
            }
        }
        Ok(())
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Count { counts, .. } => counts.len() * size_of::<i64>(),
            Self::Ints { sums, .. } => sums.len() * (size_of::<i64>() + 1),
            Self::Other { function, .. } => function.size(),
        }
    }

    /// What was added up, as columns for who puts parts together; nothing is left.
    pub(super) fn take(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(match self {
            Self::Count { counts, .. } => vec![Arc::new(Int64Array::from(std::mem::take(counts)))],
            Self::Ints {
                sums, has_value, ..
            } => {
                let has_value = std::mem::take(has_value);
                let sums = std::mem::take(sums).into();
                vec![Arc::new(Int64Array::try_new(sums, Some(has_value.into()))?)]
            }
            Self::Other { function, .. } => function.state(EmitTo::All)?,
        })
    }
}

fn is_constant(of: &Arc<dyn PhysicalExpr>) -> bool {
    let literal = of.downcast_ref::<Literal>();
    literal.is_some_and(|literal| !literal.value().is_null())
}

fn evaluate(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(batch)?.into_array(batch.num_rows())
}

fn accumulator(function: &Arc<AggregateFunctionExpr>) -> Result<Box<dyn GroupsAccumulator>> {
    if function.groups_accumulator_supported() {
        return function.create_groups_accumulator();
    }
    let function = Arc::clone(function);
    let one = move || function.create_accumulator();
    Ok(Box::new(GroupsAccumulatorAdapter::new(one)))
}
