//! The SQL engine over recordings: its tables, its functions, its bounds.
//!
//! Memory is bounded by a pool; what does not fit is spilled to a folder that
//! only this user can read and that is removed at the end. Only questions are
//! allowed unless the user says otherwise: text from a stranger, such as a
//! query in a bug report, must not write or read files.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use whence_schemas::{TABLES, process};

use crate::catalog::SegmentTable;
use crate::forest::ProcessTable;
use crate::functions::Notes;
use crate::grouping::GroupByNumbers;
use crate::interrupt::Temporary;
use crate::recording::Recordings;
use crate::{Error, Result, functions, store};

/// Consumers of memory that an error names.
const NAMED_CONSUMERS: usize = 3;

/// The bounds of a session.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Bytes of memory for queries; half of what the machine has if `None`.
    pub max_memory: Option<u64>,
    /// Whether SQL may write and create.
    pub allow_write: bool,
}

/// Recordings and the engine that answers questions about them.
#[expect(
    missing_debug_implementations,
    reason = "the engine's context has none"
)]
pub struct Session {
    /// What is asked.
    pub recordings: Recordings,
    context: SessionContext,
    notes: Notes,
    allow_write: bool,
    _temporary: Temporary,
    /// Removes the folder for spilling when it is dropped.
    _spill: tempfile::TempDir,
}

impl Session {
    /// A session over recordings.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder for spilling cannot be made.
    pub fn new(mut recordings: Recordings, limits: &Limits) -> Result<Self> {
        recordings.memory = memory(limits.max_memory);
        let spill = tempfile::Builder::new()
            .prefix("whence-")
            .tempdir()
            .map_err(|source| Error::Io {
                action: "create",
                object: "a folder for spilling; set TMPDIR to one that can be written".into(),
                source,
            })?;
        let runtime = runtime(Arc::clone(&recordings.memory), spill.path().to_path_buf())?;
        let state = SessionStateBuilder::new_with_default_features()
            .with_config(config())
            .with_runtime_env(runtime)
            .with_physical_optimizer_rule(Arc::new(GroupByNumbers));
        let context = SessionContext::new_with_state(state.build());
        let segments = store::of(recordings.all.iter()).map_err(DataFusionError::from)?;
        context.register_object_store(store::url()?.as_ref(), segments);
        for def in TABLES.iter().filter(|def| def.name != process::DEF.name) {
            let table = SegmentTable::new(def, recordings.all.iter())?;
            context.register_table(def.name, Arc::new(table))?;
        }
        let table = ProcessTable::new(recordings.clone())?;
        context.register_table(process::DEF.name, Arc::new(table))?;
        let notes = functions::register(&context, &recordings)?;
        Ok(Self {
            recordings,
            context,
            notes,
            allow_write: limits.allow_write,
            _temporary: Temporary::new(spill.path()),
            _spill: spill,
        })
    }

    /// The state that plans are made in.
    #[must_use]
    pub fn state(&self) -> SessionState {
        self.context.state()
    }

    /// What functions have said beside their rows since the last time.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.take()
    }

    /// The statements of a text.
    ///
    /// # Errors
    /// [`Error::Query`] with the place of a syntax error.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        let dialect = datafusion::sql::sqlparser::dialect::GenericDialect {};
        let parsed = datafusion::sql::parser::DFParser::parse_sql_with_dialect(sql, &dialect);
        let statements = parsed.map_err(|e| Error::from(e).in_sql(sql))?;
        Ok(statements.into_iter().collect())
    }

    /// Plans one statement, and refuses it if it does more than ask.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Usage`] for a statement that is not allowed.
    pub async fn plan(&self, statement: Statement) -> Result<DataFrame> {
        let state = self.context.state();
        if !self.allow_write {
            refuse_writing(&statement)?;
        }
        self.spare_recordings(&statement)?;
        let plan = state.statement_to_plan(statement).await?;
        self.check(&plan)?;
        Ok(self.context.execute_logical_plan(plan).await?)
    }

    /// Runs one question to the end, with values for its `$name` placeholders.
    ///
    /// # Errors
    /// [`Error::Query`], [`Error::Limit`], [`Error::Corrupt`].
    pub async fn ask(&self, sql: &str, values: Vec<(&str, Value)>) -> Result<Vec<RecordBatch>> {
        let frame = self.frame(sql, values).await?;
        Ok(frame.collect().await?)
    }

    /// Plans a question of this program, with values for its placeholders.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn frame(&self, sql: &str, values: Vec<(&str, Value)>) -> Result<DataFrame> {
        let frame = self.context.sql(sql).await?;
        if values.is_empty() {
            return Ok(frame);
        }
        Ok(frame.with_param_values(values)?)
    }

    /// Begins to run a plan: the batches of rows as they come, and the plan,
    /// which counts what it reads.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn start(&self, frame: DataFrame) -> Result<(Running, SendableRecordBatchStream)> {
        let tasks = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        let batches = execute_stream(Arc::clone(&plan), tasks)?;
        Ok((Running(plan), batches))
    }

    /// Refuses to write where rows are read from.
    fn spare_recordings(&self, statement: &Statement) -> Result<()> {
        match statement {
            Statement::Explain(explain) => self.spare_recordings(&explain.statement),
            Statement::CopyTo(copy) => self.spare(&copy.target),
            // What is inserted into such a table is written there.
            Statement::CreateExternalTable(table) => {
                table.locations.iter().try_for_each(|at| self.spare(at))
            }
            _ => Ok(()),
        }
    }

    fn spare(&self, target: &str) -> Result<()> {
        let path = target.strip_prefix("file://").unwrap_or(target);
        // A pattern may stand for anything below the folder before it.
        let (path, is_pattern) = match path.find(['*', '?', '[']) {
            Some(at) => (path[..at].rsplit_once('/').map_or("", |(dir, _)| dir), true),
            None => (path, false),
        };
        let Some(real) = nearest(Path::new(path)) else {
            return Ok(());
        };
        let meets = |dir: &Path| real.starts_with(dir) || (is_pattern && dir.starts_with(&real));
        match self.recordings.all.iter().find(|r| meets(&r.dir)) {
            Some(recording) => Err(Error::Usage(format!(
                "{target:?} lies in the recording {}; name a place outside of it",
                recording.dir.display()
            ))),
            None => Ok(()),
        }
    }

    fn check(&self, plan: &LogicalPlan) -> Result<()> {
        if self.allow_write {
            return Ok(());
        }
        let options = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        options
            .verify_plan(plan)
            .map_err(|_| refused("it does more than ask"))
    }
}

/// A plan that runs.
#[derive(Clone, Debug)]
pub struct Running(Arc<dyn ExecutionPlan>);

impl Running {
    /// Rows and bytes that were read so far.
    #[must_use]
    pub fn read(&self) -> (usize, usize) {
        let mut read = (0, 0);
        let mut plans: Vec<&Arc<dyn ExecutionPlan>> = vec![&self.0];
        while let Some(plan) = plans.pop() {
            let below = plan.children();
            if let (true, Some(metrics)) = (below.is_empty(), plan.metrics()) {
                read.0 += metrics.output_rows().unwrap_or(0);
                let bytes = metrics.sum_by_name("bytes_scanned");
                read.1 += bytes.map_or(0, |bytes| bytes.as_usize());
            }
            plans.extend(below);
        }
        read
    }
}

/// The folder in which a path is, or would be made: the nearest that exists.
fn nearest(path: &Path) -> Option<PathBuf> {
    let here = |p: &Path| match p.as_os_str().is_empty() {
        true => Path::new(".").canonicalize(),
        false => p.canonicalize(),
    };
    path.ancestors().find_map(|p| here(p).ok())
}

/// A value for a placeholder.
pub type Value = datafusion::scalar::ScalarValue;

/// Statements that are refused before they are planned, since planning itself
/// may touch files.
fn refuse_writing(statement: &Statement) -> Result<()> {
    match statement {
        Statement::CreateExternalTable(_) => Err(refused("it creates a table from files")),
        Statement::CopyTo(_) => Err(refused("it writes files")),
        Statement::Reset(_) => Err(refused("it changes settings")),
        Statement::Statement(_) => Ok(()),
        Statement::Explain(explain) => refuse_writing(&explain.statement),
    }
}

fn refused(what: &str) -> Error {
    Error::Usage(format!(
        "the statement is refused: {what}; allow it with --allow-write if you trust it"
    ))
}

/// Bytes of memory that may be used: half of what the machine has if `None`.
#[must_use]
pub fn max_bytes(max_memory: Option<u64>) -> usize {
    let bytes = max_memory.unwrap_or_else(default_memory);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The memory that questions may take together, such as half of what the
/// machine has.
#[must_use]
pub fn memory(max_memory: Option<u64>) -> Arc<dyn MemoryPool> {
    let bytes = max_bytes(max_memory);
    let named = NonZeroUsize::new(NAMED_CONSUMERS).unwrap_or(NonZeroUsize::MIN);
    Arc::new(TrackConsumersPool::new(FairSpillPool::new(bytes), named))
}

fn runtime(memory: Arc<dyn MemoryPool>, spill: PathBuf) -> Result<Arc<RuntimeEnv>> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![spill]));
    Ok(RuntimeEnvBuilder::new()
        .with_memory_pool(memory)
        .with_disk_manager_builder(disk)
        .build_arc()?)
}

/// Half of the machine's memory, at least 256 MiB.
fn default_memory() -> u64 {
    // SAFETY: sysconf only reads; it has no preconditions.
    let (pages, size) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    let bytes = u64::try_from(pages).unwrap_or(0) * u64::try_from(size).unwrap_or(0);
    (bytes / 2).max(256 << 20)
}

fn config() -> SessionConfig {
    let mut options = ConfigOptions::new();
    options.catalog.information_schema = true;
    // Errors then name the place in the question.
    options.sql_parser.collect_spans = true;
    let parquet = &mut options.execution.parquet;
    // Command lines are wide and filters on them selective: decode only what
    // passes.
    parquet.pushdown_filters = true;
    parquet.reorder_filters = true;
    // Functions then see one type of text and one of lists.
    parquet.schema_force_view_types = false;
    SessionConfig::from(options)
}
