//! The scan below a tally: texts are read as they lie, as numbers into the distinct
//! ones of a row group, and conditions are taken out of it where all columns are
//! quickly read: to read all and choose then costs less than to find the place of
//! each row that passes. What conditions say of whole row groups and pages still
//! keeps these from being read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::datasource::physical_plan::{
    FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_expr::utils::{collect_columns, split_conjunction};
use datafusion::physical_expr::{DynamicFilterTracking, PhysicalExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use super::conditions::Condition;

/// A plan that reads rows.
pub(super) struct Scan {
    /// Its columns are those of the plan before, and others for conditions.
    pub(super) plan: Arc<dyn ExecutionPlan>,
    /// Which of its columns are texts as numbers.
    pub(super) numbered: Vec<usize>,
    /// What its rows are still to satisfy.
    pub(super) conditions: Vec<Condition>,
}

/// Columns that an expression refers to.
pub(super) fn indices(expr: &Arc<dyn PhysicalExpr>) -> Vec<usize> {
    collect_columns(expr).iter().map(Column::index).collect()
}

/// Text as numbers into distinct ones.
fn numbers() -> DataType {
    DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())
}

impl Scan {
    /// The same rows, with those of the wanted columns that are few texts in all
    /// files as numbers; `None` if the plan is no scan of files.
    pub(super) fn of(input: &Arc<dyn ExecutionPlan>, wanted: &[usize]) -> Result<Option<Self>> {
        if input.is::<RepartitionExec>() {
            let [below] = input.children()[..] else {
                return Ok(None);
            };
            let Some(mut scan) = Self::of(below, wanted)? else {
                return Ok(None);
            };
            scan.plan = replace_children_if_necessary(Arc::clone(input), vec![scan.plan])?;
            return Ok(Some(scan));
        }
        let scan = input.downcast_ref::<DataSourceExec>();
        let of_files = scan.and_then(|scan| scan.downcast_to_file_source::<ParquetSource>());
        let Some((config, source)) = of_files else {
            return Ok(None);
        };
        let Some(projection) = source.projection() else {
            return Ok(None);
        };
        Files {
            config,
            source,
            projection,
        }
        .scan(wanted)
    }
}

/// A scan of files as it is.
struct Files<'a> {
    config: &'a FileScanConfig,
    source: &'a ParquetSource,
    projection: &'a ProjectionExprs,
}

impl Files<'_> {
    fn scan(&self, wanted: &[usize]) -> Result<Option<Scan>> {
        let predicate = self.source.filter();
        let columns = |of: &Arc<dyn PhysicalExpr>| indices(of);
        let filtered: Vec<usize> = predicate.iter().flat_map(columns).collect();
        // Columns of the table, by those of the scan.
        let numbered: Vec<(usize, usize)> = wanted
            .iter()
            .filter_map(|at| Some((*at, self.few_texts(*at)?)))
            .collect();
        if let Some(predicate) = &predicate
            && let Some(scan) = self.without_conditions(predicate, &numbered)?
        {
            return Ok(Some(scan));
        }
        let numbered: Vec<(usize, usize)> = numbered
            .into_iter()
            .filter(|(_, column)| !filtered.contains(column))
            .collect();
        let of_table: Vec<usize> = numbered.iter().map(|(_, column)| *column).collect();
        let Some(plan) = self.read(&of_table, self.projection, true)? else {
            return Ok(None);
        };
        Ok(Some(Scan {
            plan,
            numbered: numbered.into_iter().map(|(at, _)| at).collect(),
            conditions: Vec::new(),
        }))
    }

    /// The scan without its conditions, if these and its columns allow that.
    fn without_conditions(
        &self,
        predicate: &Arc<dyn PhysicalExpr>,
        numbered: &[(usize, usize)],
    ) -> Result<Option<Scan>> {
        if DynamicFilterTracking::classify(predicate).contains_dynamic_filter() {
            return Ok(None);
        }
        let mut of_table: Vec<usize> = numbered.iter().map(|(_, column)| *column).collect();
        let mut exprs: Vec<ProjectionExpr> = self.projection.iter().cloned().collect();
        let schema = self.source.table_schema().table_schema();
        let is_quick = |(at, p): (usize, &ProjectionExpr)| {
            let of = p.expr.data_type(schema);
            numbered.iter().any(|(other, _)| *other == at) || of.is_ok_and(|of| of.is_primitive())
        };
        if !exprs.iter().enumerate().all(is_quick) {
            return Ok(None);
        }
        let mut conditions = Vec::new();
        for part in split_conjunction(predicate) {
            let columns = indices(part);
            let text = match columns[..] {
                [column] if self.is_few_texts(column) => Some(column),
                _ => None,
            };
            if text.is_some_and(|column| !of_table.contains(&column)) {
                of_table.extend(text);
            }
            conditions.push((part, text));
        }
        // What is read as numbers is used as such only.
        let is_misused = |(part, text): &(&Arc<dyn PhysicalExpr>, Option<usize>)| {
            is_volatile(part)
                || text.is_none() && indices(part).iter().any(|at| of_table.contains(at))
        };
        let is_plain = |p: &ProjectionExpr| p.expr.is::<Column>();
        let mut computed = exprs.iter().filter(|p| !is_plain(p));
        if conditions.iter().any(is_misused)
            || computed.any(|p| indices(&p.expr).iter().any(|at| of_table.contains(at)))
        {
            return Ok(None);
        }
        let mut place = |column: usize| {
            let is_it = |p: &ProjectionExpr| {
                let of = p.expr.downcast_ref::<Column>();
                of.is_some_and(|of| of.index() == column)
            };
            exprs.iter().position(is_it).unwrap_or_else(|| {
                let name = schema.field(column).name();
                let of = Arc::new(Column::new(name, column));
                exprs.push(ProjectionExpr::new(of, name.clone()));
                exprs.len() - 1
            })
        };
        let mut placed = Vec::new();
        for (part, text) in conditions {
            placed.push(match text {
                Some(column) => Condition::Text(place(column), moved(part, |_| 0)?),
                None => Condition::Row(moved(part, &mut place)?),
            });
        }
        let projection = ProjectionExprs::new(exprs);
        let plan = self.read(&of_table, &projection, false)?;
        Ok(plan.map(|plan| Scan {
            plan,
            numbered: numbered.iter().map(|(at, _)| *at).collect(),
            conditions: placed,
        }))
    }

    /// The column of the table that one of the scan is, if that is of few texts and
    /// nothing else is made of it.
    fn few_texts(&self, at: usize) -> Option<usize> {
        let exprs: Vec<&Arc<dyn PhysicalExpr>> = self.projection.iter().map(|p| &p.expr).collect();
        let column = exprs.get(at)?.downcast_ref::<Column>()?.index();
        let others = exprs.iter().enumerate().filter(|(other, _)| *other != at);
        let mut others = others.flat_map(|(_, other)| indices(other));
        (!others.any(|other| other == column) && self.is_few_texts(column)).then_some(column)
    }

    /// Whether a column of the table lies as numbers in all files.
    fn is_few_texts(&self, column: usize) -> bool {
        let fields = self.source.table_schema().file_schema().fields();
        let Some(field) = fields.get(column) else {
            return false;
        };
        let mut files = self
            .config
            .file_groups
            .iter()
            .flat_map(|group| group.iter());
        let is_numbered = |schema: &Arc<Schema>| {
            let field = schema.field_with_name(field.name());
            field.is_ok_and(|field| matches!(field.data_type(), DataType::Dictionary(_, _)))
        };
        *field.data_type() == DataType::Utf8
            && files.all(|file| file.arrow_schema.as_ref().is_some_and(is_numbered))
    }

    /// The scan with these columns of the table as numbers.
    fn read(
        &self,
        numbered: &[usize],
        projection: &ProjectionExprs,
        filters: bool,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let of_table = self.source.table_schema();
        let fields = of_table.file_schema().fields().iter().enumerate();
        let fields = fields.map(|(at, field)| match numbered.contains(&at) {
            true => Arc::new(Field::new(field.name(), numbers(), field.is_nullable())),
            false => Arc::clone(field),
        });
        let schema = TableSchema::builder(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
            .with_table_partition_cols(of_table.table_partition_cols().to_vec())
            .build();
        let options = self.source.table_parquet_options().clone();
        let mut source = ParquetSource::new(schema).with_table_parquet_options(options);
        if let Some(predicate) = self.source.filter() {
            source = source.with_predicate(predicate);
        }
        if !filters {
            source = source.with_pushdown_filters(false);
        }
        let Some(source) = source.try_pushdown_projection(projection)? else {
            return Ok(None);
        };
        let config = FileScanConfigBuilder::from(self.config.clone()).with_source(source);
        Ok(Some(DataSourceExec::from_data_source(config.build())))
    }
}

fn is_volatile(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.is_volatile_node() || expr.children().into_iter().any(is_volatile)
}

/// An expression with its columns at other places.
fn moved(
    expr: &Arc<dyn PhysicalExpr>,
    mut place: impl FnMut(usize) -> usize,
) -> Result<Arc<dyn PhysicalExpr>> {
    Arc::clone(expr)
        .transform(|expr| {
            Ok(match expr.downcast_ref::<Column>() {
                Some(column) => {
                    let column = Column::new(column.name(), place(column.index()));
                    Transformed::yes(Arc::new(column) as Arc<dyn PhysicalExpr>)
                }
                None => Transformed::no(expr),
            })
        })
        .data()
}
