//! Finds the runs of a program: its execs, and processes of that name that ran
//! already when recording began.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt as _;
use regex::Regex;

use crate::Result;
use crate::commands::steps::Steps;
use crate::forest::Forest;
use crate::session::{Session, Value};

/// A successful run of the program.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Index of the boot's forest.
    pub(super) forest: usize,
    /// The process.
    pub(super) node: u32,
    /// When, nanoseconds of CLOCK_BOOTTIME.
    pub(super) ts_ns: i64,
    /// Name of the program.
    pub(super) comm: String,
    /// Its command line.
    pub(super) cmdline: String,
    /// Stack of the code that forked or executed it.
    pub(super) stack: Option<Caller>,
    /// Whether it was there before the recording.
    pub(super) before: bool,
}

/// A stack that led to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Caller {
    pub(super) stack_id: i64,
    /// Whether it is that of the fork; else that of the exec.
    pub(super) forked: bool,
}

/// A program that a process ran at some time.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) ts_ns: i64,
    pub(super) comm: String,
    pub(super) cmdline: String,
}

/// All that is known of a program's runs.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In order of boot and time.
    pub(super) runs: Vec<Run>,
    /// Attempts that failed, without the steps of searches along `PATH`.
    pub(super) failed: usize,
    /// What the processes concerned and their ancestors executed, by forest and
    /// node, in order of time.
    pub(super) images: HashMap<(usize, u32), Vec<Image>>,
}

impl Found {
    /// Whether the program neither ran nor was tried.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.failed == 0
    }
}

/// Which execs match: on the name of the program, as the kernel shortens it and
/// in full, or on the command line. A failed exec has only the name that was
/// asked for.
const BY_NAME: &str = "(errno = 0 AND (regexp_like(comm, $pattern) \
    OR regexp_like(basename(exe), $pattern))) \
    OR regexp_like(basename(filename), $pattern)";
const BY_CMDLINE: &str = "regexp_like(cmdline, $pattern)";

/// Finds the runs.
pub(super) async fn find(
    session: &Session,
    forests: &[Forest],
    pattern: &Regex,
    by_cmdline: bool,
) -> Result<Found> {
    let matches = if by_cmdline { BY_CMDLINE } else { BY_NAME };
    let sql = format!(
        "SELECT boot_id, upid, ts_ns, exec_seq, comm, cmdline, errno, user_stack_id \
         FROM exec WHERE {matches}"
    );
    let value = || vec![("pattern", Value::from(pattern.as_str()))];
    let mut found = Found::default();
    let mut first_execs = HashSet::new();
    let steps = Steps::find(session).await?;
    for batch in session.ask(&sql, value()).await? {
        add_execs(&mut found, &mut first_execs, forests, &steps, &batch);
    }
    let sql = format!(
        "SELECT f.boot_id, f.child_upid, f.user_stack_id FROM fork f \
         JOIN (SELECT DISTINCT boot_id, upid FROM exec WHERE {matches}) e \
         ON e.boot_id = f.boot_id AND e.upid = f.child_upid \
         WHERE f.user_stack_id IS NOT NULL"
    );
    if !found.runs.is_empty() {
        let forks = session.ask(&sql, value()).await?;
        prefer_forks(&mut found, &first_execs, forests, &forks);
    }
    add_running(&mut found, forests, pattern, by_cmdline);
    found
        .runs
        .sort_by_key(|run| (run.forest, run.ts_ns, run.node));
    read_images(&mut found, session, forests).await?;
    Ok(found)
}

/// Columns of a batch by place.
fn text(batch: &RecordBatch, column: usize, row: usize) -> &str {
    let column = batch.column(column).as_string::<i32>();
    if column.is_valid(row) {
        column.value(row)
    } else {
        ""
    }
}

fn int(batch: &RecordBatch, column: usize, row: usize) -> Option<i64> {
    let column = batch.column(column).as_primitive::<Int64Type>();
    column.is_valid(row).then(|| column.value(row))
}

fn place(forests: &[Forest], boot_id: &str, upid: Option<i64>) -> Option<(usize, u32)> {
    let forest = forests.iter().position(|f| f.boot.boot_id == boot_id)?;
    Some((forest, forests[forest].node_of(upid?)?))
}

fn add_execs(
    found: &mut Found,
    first_execs: &mut HashSet<(usize, u32, i64)>,
    forests: &[Forest],
    steps: &Steps,
    batch: &RecordBatch,
) {
    let seq = batch.column(3).as_primitive::<Int32Type>();
    let errno = batch.column(6).as_primitive::<Int32Type>();
    for row in 0..batch.num_rows() {
        if errno.value(row) != 0 {
            let (upid, ts_ns) = (int(batch, 1, row), int(batch, 2, row));
            let is_step = steps.contains(
                text(batch, 0, row),
                upid.unwrap_or_default(),
                ts_ns.unwrap_or_default(),
            );
            found.failed += usize::from(!is_step);
            continue;
        }
        let place = place(forests, text(batch, 0, row), int(batch, 1, row));
        let (Some((forest, node)), Some(ts_ns)) = (place, int(batch, 2, row)) else {
            continue;
        };
        if seq.is_null(row) || seq.value(row) <= 1 {
            first_execs.insert((forest, node, ts_ns));
        }
        let stack = int(batch, 7, row).map(|stack_id| Caller {
            stack_id,
            forked: false,
        });
        found.runs.push(Run {
            forest,
            node,
            ts_ns,
            comm: text(batch, 4, row).to_owned(),
            cmdline: text(batch, 5, row).to_owned(),
            stack,
            before: false,
        });
    }
}

/// At the first exec of a process, the code that forked it is the cause: the
/// exec's own stack is that of the child, still in the old program.
fn prefer_forks(
    found: &mut Found,
    first_execs: &HashSet<(usize, u32, i64)>,
    forests: &[Forest],
    forks: &[RecordBatch],
) {
    let mut stacks = HashMap::new();
    for batch in forks {
        for row in 0..batch.num_rows() {
            let place = place(forests, text(batch, 0, row), int(batch, 1, row));
            if let (Some(place), Some(stack_id)) = (place, int(batch, 2, row)) {
                stacks.insert(place, stack_id);
            }
        }
    }
    for run in &mut found.runs {
        let is_first = first_execs.contains(&(run.forest, run.node, run.ts_ns));
        if let (true, Some(stack_id)) = (is_first, stacks.get(&(run.forest, run.node))) {
            run.stack = Some(Caller {
                stack_id: *stack_id,
                forked: true,
            });
        }
    }
}

/// Adds processes that match and executed nothing while it was recorded. A copy
/// of a parent that matches too is no run of its own.
fn add_running(found: &mut Found, forests: &[Forest], pattern: &Regex, by_cmdline: bool) {
    let ran: HashSet<(usize, u32)> = found.runs.iter().map(|r| (r.forest, r.node)).collect();
    for (at, forest) in forests.iter().enumerate() {
        let matches = |node: u32| {
            let name = |path: &str| pattern.is_match(path.rsplit('/').next().unwrap_or(path));
            match by_cmdline {
                true => forest
                    .cmdline(node)
                    .is_some_and(|line| pattern.is_match(line)),
                false => pattern.is_match(forest.comm(node)) || forest.exe(node).is_some_and(name),
            }
        };
        for node in forest.nodes().filter(|node| matches(*node)) {
            let is_copy = forest.parent(node).is_some_and(|parent| {
                forest.comm(parent) == forest.comm(node)
                    && forest.cmdline(parent) == forest.cmdline(node)
            });
            if is_copy || ran.contains(&(at, node)) || forest.source(node) == "exec" {
                continue;
            }
            found.runs.push(Run {
                forest: at,
                node,
                ts_ns: forest.start_ns(node),
                comm: forest.comm(node).to_owned(),
                cmdline: forest.title(node).to_owned(),
                stack: None,
                before: forest.source(node) != "fork",
            });
        }
    }
}

/// Reads what the processes in all chains executed, to know which program each
/// ran at the moment of a fork.
async fn read_images(found: &mut Found, session: &Session, forests: &[Forest]) -> Result<()> {
    let mut wanted: HashSet<(usize, u32)> = HashSet::new();
    for run in &found.runs {
        let forest = &forests[run.forest];
        let mut at = Some(run.node);
        // Above a process that was seen, all were seen.
        while let Some(node) = at.filter(|node| wanted.insert((run.forest, *node))) {
            at = forest.parent(node);
        }
    }
    let sql = "SELECT boot_id, upid, ts_ns, comm, cmdline FROM exec WHERE errno = 0";
    let mut batches = session.frame(sql, vec![]).await?.execute_stream().await?;
    while let Some(batch) = batches.try_next().await? {
        for row in 0..batch.num_rows() {
            let place = place(forests, text(&batch, 0, row), int(&batch, 1, row));
            let (Some(place), Some(ts_ns)) = (place, int(&batch, 2, row)) else {
                continue;
            };
            if wanted.contains(&place) {
                found.images.entry(place).or_default().push(Image {
                    ts_ns,
                    comm: text(&batch, 3, row).to_owned(),
                    cmdline: text(&batch, 4, row).to_owned(),
                });
            }
        }
    }
    for images in found.images.values_mut() {
        images.sort_by_key(|image| image.ts_ns);
    }
    Ok(())
}
