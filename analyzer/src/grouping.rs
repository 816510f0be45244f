//! Groups rows by numbers of texts, not by texts.
//!
//! A column of few texts lies in the file as numbers into the distinct ones of a row
//! group. The engine would make a text of each row, hash it and compare it. This rule
//! changes plans so that such columns are read as they lie, and rows are grouped by
//! one number for all texts of a row that they are grouped by; the few groups that
//! are left have texts again. Nothing above the aggregate notices.

mod exprs;
mod tuples;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use exprs::{Number, Text};
use tuples::Tuples;

/// Name of the column with the number.
const NUMBER: &str = "number of texts";

/// The rule.
#[derive(Debug)]
pub(crate) struct GroupByNumbers {
    memory: Arc<dyn MemoryPool>,
}

impl GroupByNumbers {
    /// The rule, with what distinct texts may take.
    pub(crate) const fn new(memory: Arc<dyn MemoryPool>) -> Self {
        Self { memory }
    }
}

impl PhysicalOptimizerRule for GroupByNumbers {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let aggregate = plan.downcast_ref::<AggregateExec>();
            let changed = aggregate.map(|aggregate| self.changed(aggregate));
            Ok(match changed.transpose()?.flatten() {
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

impl GroupByNumbers {
    /// An aggregate that gives the same rows, if there are texts to be numbered.
    fn changed(&self, aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let groups = aggregate.group_expr();
        let reads_rows = matches!(
            aggregate.mode(),
            AggregateMode::Partial | AggregateMode::Single
        );
        if !reads_rows || !groups.is_single() || aggregate.limit_options().is_some() {
            return Ok(None);
        }
        // What is numbered must be used for nothing else.
        let used = used_by_sums(aggregate);
        let is_text = |expr: &Arc<dyn PhysicalExpr>| {
            let column = expr.downcast_ref::<Column>()?.index();
            let others = groups.expr().iter().map(|(other, _)| other);
            let others = others.filter(|other| !Arc::ptr_eq(other, expr));
            let mut used = used.clone();
            used.extend(others.flat_map(indices));
            (!used.contains(&column)).then_some(column)
        };
        let columns: Vec<Option<usize>> = groups.expr().iter().map(|(e, _)| is_text(e)).collect();
        let wanted: Vec<usize> = columns.iter().flatten().copied().collect();
        let Some((input, numbered)) = as_numbers(aggregate.input(), &wanted)? else {
            return Ok(None);
        };
        let memory = MemoryConsumer::new("distinct texts").register(&self.memory);
        let tuples = Arc::new(Tuples::new(memory));
        let is_numbered = |at: usize| columns[at].is_some_and(|c| numbered.contains(&c));
        let (texts, others): (Vec<usize>, Vec<usize>) =
            (0..columns.len()).partition(|at| is_numbered(*at));
        let column = |at: &usize| Arc::clone(&groups.expr()[*at].0);
        let number = Number::new(texts.iter().map(column).collect(), Arc::clone(&tuples));
        let mut by: Vec<(Arc<dyn PhysicalExpr>, String)> = vec![(Arc::new(number), NUMBER.into())];
        by.extend(others.iter().map(|at| groups.expr()[*at].clone()));
        let schema = input.schema();
        let changed = AggregateExec::try_new(
            *aggregate.mode(),
            PhysicalGroupBy::new_single(by),
            aggregate.aggr_expr().to_vec(),
            aggregate.filter_expr().to_vec(),
            input,
            schema,
        )?;
        let place = |list: &[usize], at: usize| list.iter().position(|other| *other == at);
        let fields = aggregate.schema();
        let back = fields.fields().iter().enumerate().map(|(at, field)| {
            let column = |index: usize| Column::new(changed.schema().field(index).name(), index);
            let expr: Arc<dyn PhysicalExpr> = match (place(&texts, at), place(&others, at)) {
                (Some(of), _) => {
                    let number = Arc::new(column(0));
                    Arc::new(Text::new(
                        number,
                        of,
                        field.is_nullable(),
                        Arc::clone(&tuples),
                    ))
                }
                (_, Some(other)) => Arc::new(column(1 + other)),
                _ => Arc::new(column(at + 1 - texts.len())),
            };
            ProjectionExpr::new(expr, field.name().clone())
        });
        let back: Vec<ProjectionExpr> = back.collect();
        let changed = ProjectionExec::try_new(back, Arc::new(changed))?;
        let is_same = changed.schema().fields() == fields.fields();
        Ok(is_same.then(|| Arc::new(changed) as Arc<dyn ExecutionPlan>))
    }
}

/// Columns that an expression refers to.
fn indices(expr: &Arc<dyn PhysicalExpr>) -> Vec<usize> {
    collect_columns(expr).iter().map(Column::index).collect()
}

/// Columns that are summed, or by which rows are chosen or ordered for that.
fn used_by_sums(aggregate: &AggregateExec) -> Vec<usize> {
    let mut used = Vec::new();
    for sum in aggregate.aggr_expr() {
        used.extend(sum.expressions().iter().flat_map(indices));
        used.extend(
            sum.order_bys()
                .iter()
                .flat_map(|order| indices(&order.expr)),
        );
    }
    let filters = aggregate.filter_expr().iter().flatten();
    used.extend(filters.flat_map(indices));
    used
}

/// A plan, and which of its columns are numbers.
type Numbered = (Arc<dyn ExecutionPlan>, Vec<usize>);

/// The same rows, with those of the wanted columns that are few texts in all files as
/// numbers into dictionaries; `None` if there is none.
fn as_numbers(input: &Arc<dyn ExecutionPlan>, wanted: &[usize]) -> Result<Option<Numbered>> {
    if input.is::<RepartitionExec>() {
        let [below] = input.children()[..] else {
            return Ok(None);
        };
        let Some((below, numbered)) = as_numbers(below, wanted)? else {
            return Ok(None);
        };
        let input = replace_children_if_necessary(Arc::clone(input), vec![below])?;
        return Ok(Some((input, numbered)));
    }
    let scan = input.downcast_ref::<DataSourceExec>();
    let of_files = scan.and_then(|scan| scan.downcast_to_file_source::<ParquetSource>());
    let Some((config, source)) = of_files else {
        return Ok(None);
    };
    let Some(projection) = source.projection() else {
        return Ok(None);
    };
    let exprs: Vec<&Arc<dyn PhysicalExpr>> = projection.iter().map(|p| &p.expr).collect();
    let predicate = source.filter();
    let filtered = predicate.iter().flat_map(indices).collect::<Vec<_>>();
    let files = || config.file_groups.iter().flat_map(|group| group.iter());
    let numbered_in = |schema: &SchemaRef, name: &str| {
        let field = schema.field_with_name(name);
        field.is_ok_and(|field| matches!(field.data_type(), DataType::Dictionary(_, _)))
    };
    // By column of the scan, its column of the table.
    let column = |at: &usize| {
        let column = exprs.get(*at)?.downcast_ref::<Column>()?;
        let others = exprs.iter().enumerate().filter(|(other, _)| other != at);
        let mut others = others.flat_map(|(_, other)| indices(other));
        let is_alone = !others.any(|other| other == column.index());
        let field = source
            .table_schema()
            .file_schema()
            .fields()
            .get(column.index())?;
        let is_text = *field.data_type() == DataType::Utf8;
        let is_few = files().all(|file| {
            let schema = file.arrow_schema.as_ref();
            schema.is_some_and(|schema| numbered_in(schema, column.name()))
        });
        (is_text && is_alone && is_few && !filtered.contains(&column.index()))
            .then(|| column.index())
    };
    let numbered: Vec<(usize, usize)> = wanted
        .iter()
        .filter_map(|at| Some((*at, column(at)?)))
        .collect();
    if numbered.is_empty() {
        return Ok(None);
    }
    let of_table = source.table_schema();
    let fields = of_table.file_schema().fields().iter().enumerate();
    let fields = fields.map(|(at, field)| match numbered.iter().any(|(_, n)| *n == at) {
        true => Arc::new(Field::new(field.name(), numbers(), field.is_nullable())),
        false => Arc::clone(field),
    });
    let schema = TableSchema::builder(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
        .with_table_partition_cols(of_table.table_partition_cols().to_vec())
        .build();
    let options = source.table_parquet_options().clone();
    let changed = ParquetSource::new(schema).with_table_parquet_options(options);
    let changed = match predicate {
        Some(predicate) => changed.with_predicate(predicate),
        None => changed,
    };
    let Some(changed) = changed.try_pushdown_projection(projection)? else {
        return Ok(None);
    };
    let config = FileScanConfigBuilder::from(config.clone()).with_source(changed);
    let scan = DataSourceExec::from_data_source(config.build());
    Ok(Some((
        scan,
        numbered.into_iter().map(|(at, _)| at).collect(),
    )))
}

/// Text as numbers into distinct ones.
fn numbers() -> DataType {
    DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())
}
