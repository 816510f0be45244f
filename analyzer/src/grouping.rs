//! Adds up groups of rows by numbers, not by texts and hashes.
//!
//! A column of few texts lies in the file as numbers into the distinct ones of a row
//! group. The engine would make a text of each row, hash it and compare it. This rule
//! changes plans so that such columns are read as they lie, conditions on texts are
//! asked once for each distinct one, and rows are added up in arrays by the number of
//! their group; the few groups that are left have texts again. Nothing above the
//! aggregate notices.

mod codes;
mod conditions;
mod ints;
mod memo;
mod scan;
mod sums;
mod tally;
mod texts;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};

use scan::{Scan, indices};
use sums::Summed;
use tally::{Question, Tally};

/// The rule.
#[derive(Debug)]
pub(crate) struct GroupByNumbers;

impl PhysicalOptimizerRule for GroupByNumbers {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let aggregate = plan.downcast_ref::<AggregateExec>();
            Ok(match aggregate.map(changed).transpose()?.flatten() {
                Some(changed) => Transformed::yes(changed),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "GroupByNumbers"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An operator that gives the same rows, if groups are such that it pays.
fn changed(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let groups = aggregate.group_expr();
    let by: Vec<&Arc<dyn PhysicalExpr>> = groups.expr().iter().map(|(by, _)| by).collect();
    let is_partial = *aggregate.mode() == AggregateMode::Partial;
    let is_whole = *aggregate.mode() == AggregateMode::Single;
    if !(is_partial || is_whole) || !groups.is_single() || by.is_empty() {
        return Ok(None);
    }
    if aggregate.limit_options().is_some() {
        return Ok(None);
    }
    // What is numbered must be used for nothing else.
    let used = used_by_sums(aggregate);
    let text = |expr: &&Arc<dyn PhysicalExpr>| {
        let column = expr.downcast_ref::<Column>()?.index();
        let others = by.iter().filter(|other| !Arc::ptr_eq(other, expr));
        let mut used = used
            .iter()
            .copied()
            .chain(others.flat_map(|other| indices(other)));
        (!used.any(|other| other == column)).then_some(column)
    };
    let texts: Vec<Option<usize>> = by.iter().map(text).collect();
    let input = aggregate.input();
    let types = by.iter().map(|by| by.data_type(&input.schema()));
    let types: Vec<DataType> = types.collect::<Result<_>>()?;
    if !types.iter().all(codes::has_codes) {
        return Ok(None);
    }
    let wanted: Vec<usize> = texts.iter().flatten().copied().collect();
    let Some(scan) = Scan::of(input, &wanted)? else {
        return Ok(None);
    };
    let is_numbered = |column: &Option<usize>| column.is_some_and(|at| scan.numbered.contains(&at));
    let mut groups = types.iter().zip(&texts);
    if groups.any(|(of, column)| *of == DataType::Utf8 && !is_numbered(column)) {
        return Ok(None);
    }
    let sums = aggregate.aggr_expr().iter().zip(aggregate.filter_expr());
    let sums = sums.map(|(function, filter)| Summed {
        function: Arc::clone(function),
        filter: filter.clone(),
    });
    let partial = match is_partial {
        true => Arc::clone(&aggregate.schema()),
        false => part_of(aggregate)?.schema(),
    };
    let question = Question {
        conditions: scan.conditions,
        kept: input.schema().fields().len(),
        by: by.into_iter().cloned().collect(),
        sums: sums.collect(),
        schema: partial,
    };
    let tally = Arc::new(Tally::new(scan.plan, Arc::new(question)));
    if is_partial {
        return Ok(Some(tally));
    }
    let whole = AggregateExec::try_new(
        AggregateMode::Final,
        aggregate.group_expr().as_final(),
        aggregate.aggr_expr().to_vec(),
        vec![None; aggregate.aggr_expr().len()],
        tally,
        aggregate.input_schema(),
    )?;
    Ok(Some(Arc::new(whole)))
}

/// The aggregate as what one of several threads does of it.
fn part_of(aggregate: &AggregateExec) -> Result<AggregateExec> {
    AggregateExec::try_new(
        AggregateMode::Partial,
        aggregate.group_expr().clone(),
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        Arc::clone(aggregate.input()),
        aggregate.input_schema(),
    )
}

/// Columns that are summed, or by which rows are chosen or ordered for that.
fn used_by_sums(aggregate: &AggregateExec) -> Vec<usize> {
    let mut used = Vec::new();
    for sum in aggregate.aggr_expr() {
        used.extend(sum.expressions().iter().flat_map(indices));
        let orders = sum.order_bys().iter();
        used.extend(orders.flat_map(|order| indices(&order.expr)));
    }
    let filters = aggregate.filter_expr().iter().flatten();
    used.extend(filters.flat_map(indices));
    used
}
