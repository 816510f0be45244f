//! Finds the runs of a program: its execs, and processes of that name that ran
//! already when recording began.

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use hashbrown::{HashMap, HashSet};
use regex::Regex;
use whence_schemas::fork;
use whence_schemas::read::Texts;

use super::execs::Execs;
use crate::Result;
use crate::forest::{Column, Forest};
use crate::recording::{Recording, Recordings};
use crate::scan;

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

/// Finds the runs.
pub(super) fn find(
    recordings: &Recordings,
    forests: &[Forest],
    execs: &Execs,
    pattern: &Regex,
    by_cmdline: bool,
) -> Result<Found> {
    let mut found = Found::default();
    let matching = execs.matching(pattern, by_cmdline)?;
    let failed = matching.iter().filter(|exec| exec.errno != 0);
    let steps = execs.steps(failed)?;
    found.failed = matching
        .iter()
        .filter(|exec| exec.errno != 0 && !steps.contains(&exec.row))
        .count();
    let ran = || matching.iter().filter(|exec| exec.errno == 0);
    let nodes = nodes(forests, ran().map(|exec| (exec.forest, exec.upid)))?;
    let mut first_execs = HashMap::new();
    for exec in ran() {
        let Some(node) = nodes.get(&(exec.forest, exec.upid)).copied() else {
            continue;
        };
        if exec.seq.is_none_or(|seq| seq <= 1) {
            first_execs.insert((exec.forest, exec.upid), found.runs.len());
        }
        found.runs.push(Run {
            forest: exec.forest,
            node,
            ts_ns: exec.ts_ns,
            comm: execs.comm(exec.row).to_owned(),
            cmdline: execs.cmdline(exec.row).to_owned(),
            stack: exec.stack.map(|stack_id| Caller {
                stack_id,
                forked: false,
            }),
            before: false,
        });
    }
    prefer_forks(&mut found, &first_execs, recordings)?;
    add_running(&mut found, forests, pattern, by_cmdline)?;
    found
        .runs
        .sort_by_key(|run| (run.forest, run.ts_ns, forests[run.forest].upid(run.node)));
    found.images = execs.images(forests, &above(&found, forests))?;
    Ok(found)
}

/// The nodes of processes, given by forest and upid.
fn nodes(
    forests: &[Forest],
    upids: impl Iterator<Item = (usize, i64)>,
) -> Result<HashMap<(usize, i64), u32>> {
    let mut by_forest: Vec<HashSet<i64>> = vec![HashSet::new(); forests.len()];
    for (forest, upid) in upids {
        by_forest[forest].insert(upid);
    }
    let mut nodes = HashMap::new();
    for (at, (forest, upids)) in forests.iter().zip(&by_forest).enumerate() {
        for node in forest.nodes_of(upids)? {
            nodes.insert((at, forest.upid(node)), node);
        }
    }
    Ok(nodes)
}

/// At the first exec of a process, the code that forked it is the cause: the
/// exec's own stack is that of the child, still in the old program.
fn prefer_forks(
    found: &mut Found,
    first_execs: &HashMap<(usize, i64), usize>,
    recordings: &Recordings,
) -> Result<()> {
    if first_execs.is_empty() {
        return Ok(());
    }
    let all: Vec<&Recording> = recordings.all.iter().collect();
    let forest_of = recordings.boot_numbers();
    let forks = scan::rows(
        &all,
        &fork::DEF,
        &["child_upid", "user_stack_id"],
        Texts::Dictionaries,
        Vec::new,
        |forks, place, batch| {
            let int = |i: usize| batch.column(i).as_primitive::<Int64Type>();
            let (child, stack) = (int(0), int(1));
            let rows = (0..batch.num_rows()).filter(|row| stack.is_valid(*row));
            forks.extend(rows.filter_map(|row| {
                let key = (forest_of[place.recording], child.value(row));
                Some((*first_execs.get(&key)?, place, row, stack.value(row)))
            }));
            Ok(())
        },
    )?;
    let mut forks: Vec<_> = forks.into_iter().flatten().collect();
    forks.sort_unstable();
    for (run, _, _, stack_id) in forks {
        found.runs[run].stack = Some(Caller {
            stack_id,
            forked: true,
        });
    }
    Ok(())
}

/// Adds processes that match and executed nothing while it was recorded. A copy
/// of a parent that matches too is no run of its own.
fn add_running(
    found: &mut Found,
    forests: &[Forest],
    pattern: &Regex,
    by_cmdline: bool,
) -> Result<()> {
    let ran: HashSet<(usize, u32)> = found.runs.iter().map(|r| (r.forest, r.node)).collect();
    for (at, forest) in forests.iter().enumerate() {
        let matching = |column, name: fn(&str) -> &str| {
            forest.matching(column, |text| pattern.is_match(name(text)))
        };
        let nodes = match by_cmdline {
            true => forest.matching(Column::Cmdline, |line| {
                !line.is_empty() && pattern.is_match(line)
            })?,
            false => {
                let mut nodes = matching(Column::Comm, |comm| comm)?;
                nodes.extend(matching(Column::Exe, basename)?);
                nodes.sort_unstable();
                nodes.dedup();
                nodes
            }
        };
        for node in nodes {
            if ran.contains(&(at, node)) || forest.source(node) == "exec" {
                continue;
            }
            let is_copy = forest.parent(node).is_some_and(|parent| {
                forest.comm(parent) == forest.comm(node)
                    && forest.cmdline(parent) == forest.cmdline(node)
            });
            if is_copy {
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
    Ok(())
}

/// What follows the last slash of a path.
pub(super) fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The processes in all chains: what they executed tells which program each ran
/// at the moment of a fork.
fn above(found: &Found, forests: &[Forest]) -> HashMap<(usize, i64), u32> {
    let mut wanted = HashMap::new();
    for run in &found.runs {
        let forest = &forests[run.forest];
        let mut at = Some(run.node);
        // Above a process that was seen, all were seen.
        while let Some(node) = at {
            if wanted
                .insert((run.forest, forest.upid(node)), node)
                .is_some()
            {
                break;
            }
            at = forest.parent(node);
        }
    }
    wanted
}
