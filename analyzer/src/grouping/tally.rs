//! The operator: adds up rows by group, and gives a row for each group, for who puts
//! together what was added up by each thread. What does not fit in memory is given
//! early: a group may come more than once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::exec_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, Partitioning,
    PlanProperties, SendableRecordBatchStream,
};
use futures::StreamExt as _;
use futures::stream;

use super::codes::Groups;
use super::conditions::{Condition, Conditions};
use super::sums::{Sum, Summed};

/// What is added up, and by what.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// What rows are to satisfy.
    pub(super) conditions: Vec<Condition>,
    /// Columns of the input that are there for more than that: the first ones.
    pub(super) kept: usize,
    /// What rows are grouped by.
    pub(super) by: Vec<Arc<dyn PhysicalExpr>>,
    /// What is added up.
    pub(super) sums: Vec<Summed>,
    /// What it comes to: the groups, and the parts of sums.
    pub(super) schema: SchemaRef,
}

/// The operator.
#[derive(Debug)]
pub(super) struct Tally {
    input: Arc<dyn ExecutionPlan>,
    question: Arc<Question>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl Tally {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, question: Arc<Question>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&question.schema)),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            input,
            question,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for Tally {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.question.by.iter().map(ToString::to_string);
        let sums = self.question.sums.iter();
        let sums = sums.map(|sum| sum.function.name().to_owned());
        let all = |texts: Vec<String>| texts.join(", ");
        write!(
            f,
            "Tally: by=[{}], sums=[{}]",
            all(by.collect()),
            all(sums.collect())
        )?;
        let conditions = self
            .question
            .conditions
            .iter()
            .map(|condition| match condition {
                Condition::Text(_, expr) | Condition::Row(expr) => expr.to_string(),
            });
        let conditions: Vec<String> = conditions.collect();
        match conditions.is_empty() {
            true => Ok(()),
            false => write!(f, ", conditions=[{}]", conditions.join(", ")),
        }
    }
}

impl ExecutionPlan for Tally {
    fn name(&self) -> &'static str {
        "Tally"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in &self.question.by {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else {
            return exec_err!("a tally needs rows");
        };
        Ok(Arc::new(Self::new(input, Arc::clone(&self.question))))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let memory = MemoryConsumer::new("groups").register(context.memory_pool());
        let running = Running {
            input: self.input.execute(partition, Arc::clone(&context))?,
            batch_rows: context.session_config().batch_size(),
            conditions: Conditions::new(&self.question.conditions),
            table: Table::new(Arc::clone(&self.question))?,
            memory,
            ready: VecDeque::new(),
            rows: 0,
            was_in_vain: false,
            is_done: false,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        let batches = stream::try_unfold(running, |mut running| async {
            Ok(running.next().await?.map(|batch| (batch, running)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.question.schema),
            batches,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// What one thread does.
struct Running {
    input: SendableRecordBatchStream,
    batch_rows: usize,
    conditions: Conditions,
    table: Table,
    memory: MemoryReservation,
    /// What is to be given.
    ready: VecDeque<RecordBatch>,
    /// In the table.
    rows: usize,
    was_in_vain: bool,
    is_done: bool,
    metrics: BaselineMetrics,
}

/// Rows after which it is seen whether nearly each is a group of its own.
const SEEN_ROWS: usize = 100_000;

impl Running {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                self.metrics.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            if self.is_done {
                return Ok(None);
            }
            let batch = self.input.next().await.transpose()?;
            let time = self.metrics.elapsed_compute().clone();
            let _timer = time.timer();
            match batch {
                Some(batch) => {
                    let batch = self.conditions.chosen(batch, self.table.question.kept)?;
                    if batch.num_rows() == 0 {
                        continue;
                    }
                    self.table.add(&batch)?;
                    self.rows += batch.num_rows();
                    let bytes = self.table.bytes();
                    if self.is_in_vain() || self.memory.try_resize(bytes).is_err() {
                        self.give()?;
                    }
                }
                None => {
                    self.give()?;
                    self.is_done = true;
                }
            }
        }
    }

    /// Whether nearly each row is a group of its own: who puts all together does the
    /// same once more then.
    fn is_in_vain(&mut self) -> bool {
        let groups = self.table.groups.len();
        self.was_in_vain |= self.rows >= SEEN_ROWS && groups > self.rows / 5 * 4;
        self.was_in_vain
    }

    /// Gives all groups that there are, and forgets them.
    fn give(&mut self) -> Result<()> {
        let table = Table::new(Arc::clone(&self.table.question))?;
        let full = std::mem::replace(&mut self.table, table);
        self.ready = full.batches(self.batch_rows)?;
        self.memory.free();
        self.rows = 0;
        Ok(())
    }
}

/// Groups with their sums.
struct Table {
    question: Arc<Question>,
    types: Vec<DataType>,
    groups: Groups,
    sums: Vec<Sum>,
}

impl Table {
    fn new(question: Arc<Question>) -> Result<Self> {
        let fields = question.schema.fields().iter().take(question.by.len());
        let types: Vec<DataType> = fields.map(|field| field.data_type().clone()).collect();
        let sums = question.sums.iter().map(Sum::new);
        Ok(Self {
            sums: sums.collect::<Result<_>>()?,
            groups: Groups::new(&types),
            types,
            question,
        })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let by = self.question.by.iter();
        let columns = by.map(|by| by.evaluate(batch)?.into_array(batch.num_rows()));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        self.groups.find(&columns)?;
        let groups = self.groups.len();
        for sum in &mut self.sums {
            sum.add(batch, self.groups.of_rows(), groups)?;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let sums: usize = self.sums.iter().map(Sum::bytes).sum();
        self.groups.bytes() + sums
    }

    fn batches(mut self, batch_rows: usize) -> Result<VecDeque<RecordBatch>> {
        let groups = self.groups.len();
        let parts = self.sums.iter_mut().map(Sum::take);
        let parts: Vec<Vec<ArrayRef>> = parts.collect::<Result<_>>()?;
        let starts = (0..groups).step_by(batch_rows.max(1));
        let batch = |start: usize| {
            let rows = batch_rows.min(groups - start);
            let mut columns = self.groups.values(start..start + rows, &self.types)?;
            columns.extend(parts.iter().flatten().map(|part| part.slice(start, rows)));
            Ok(RecordBatch::try_new(
                Arc::clone(&self.question.schema),
                columns,
            )?)
        };
        starts.map(batch).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::{AsArray as _, Int64Array};
    use arrow::datatypes::{Field, Int64Type, Schema};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::functions_aggregate::sum::sum_udaf;
    use datafusion::physical_expr::aggregate::AggregateExprBuilder;
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_plan::common::collect;

    use super::*;

    /// Adds up 200,000 rows by `key`, and gives the sums and how many rows these came in.
    async fn added_up(
        memory: Arc<dyn MemoryPool>,
        key: fn(i64) -> i64,
    ) -> (BTreeMap<i64, i64>, usize) {
        let field = |name| Field::new(name, DataType::Int64, true);
        let schema = Arc::new(Schema::new(vec![field("key"), field("value")]));
        let rows = |start: i64| {
            let keys: Int64Array = (start..start + 1_000).map(|row| Some(key(row))).collect();
            let values: Int64Array = (start..start + 1_000).map(Some).collect();
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(keys), Arc::new(values)])
        };
        let batches: Vec<_> = (0..200).map(|at| rows(at * 1_000).unwrap()).collect();
        let input = MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&schema), None);
        let value = col("value", &schema).unwrap();
        let sum = AggregateExprBuilder::new(sum_udaf(), vec![value])
            .schema(Arc::clone(&schema))
            .alias("sum")
            .build();
        let question = Question {
            conditions: Vec::new(),
            kept: 2,
            by: vec![col("key", &schema).unwrap()],
            sums: vec![Summed {
                function: Arc::new(sum.unwrap()),
                filter: None,
            }],
            schema: Arc::new(Schema::new(vec![field("key"), field("sum")])),
        };
        let tally = Tally::new(input.unwrap(), Arc::new(question));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(memory);
        let context = TaskContext::default().with_runtime(runtime.build_arc().unwrap());
        let batches = tally.execute(0, Arc::new(context)).unwrap();
        let (mut sums, mut rows) = (BTreeMap::new(), 0);
        for batch in collect(batches).await.unwrap() {
            let column = |at: usize| batch.column(at).as_primitive::<Int64Type>().values();
            for (key, sum) in column(0).iter().zip(column(1)) {
                *sums.entry(*key).or_default() += sum;
            }
            rows += batch.num_rows();
        }
        (sums, rows)
    }

    fn expected(key: fn(i64) -> i64) -> BTreeMap<i64, i64> {
        let mut sums = BTreeMap::new();
        (0..200_000).for_each(|row| *sums.entry(key(row)).or_default() += row);
        sums
    }

    #[tokio::test]
    async fn what_does_not_fit_in_memory_comes_in_parts() {
        let key = |row| row % 10_000 * 1_000_003;
        let (sums, rows) = added_up(Arc::new(UnboundedMemoryPool::default()), key).await;
        assert_eq!(rows, 10_000);
        assert!(sums == expected(key));
        let (sums, rows) = added_up(Arc::new(GreedyMemoryPool::new(100_000)), key).await;
        assert!(rows > 20_000, "{rows}");
        assert!(sums == expected(key));
    }

    #[tokio::test]
    async fn rows_that_are_groups_of_their_own_are_given_as_they_come() {
        // Those of the second half have the keys of the first.
        let key = |row| row % 150_000 * 1_000_003;
        let (sums, rows) = added_up(Arc::new(UnboundedMemoryPool::default()), key).await;
        assert_eq!(rows, 200_000);
        assert!(sums == expected(key));
    }
}
