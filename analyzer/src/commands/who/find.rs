//! Finds the runs of a program: its execs, and processes of that name that ran
//! already when recording began.

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use hashbrown::{HashMap, HashSet};
use regex::Regex;
use whence_schemas::fork;
use whence_schemas::read::Texts;

use super::execs::{Chosen, Exec, Execs, OfForests};
use super::images::{Image, Images};
use crate::Result;
use crate::forest::{Column, Forest, Upids};
use crate::names::Names;
use crate::recording::{Recording, Recordings};
use crate::scan;

/// A successful run of the program. Texts are numbers in [`Found::names`].
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Index of the boot's forest.
    pub(super) forest: usize,
    /// The process.
    pub(super) node: u32,
    /// When, nanoseconds of CLOCK_BOOTTIME.
    pub(super) ts_ns: i64,
    /// Name of the program.
    pub(super) comm: u32,
    /// Its command line.
    pub(super) cmdline: u32,
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

/// All that is known of a program's runs.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In order of boot and time.
    pub(super) runs: Vec<Run>,
    /// Attempts that failed, without the steps of searches along `PATH`.
    pub(super) failed: usize,
    /// What the processes concerned and their ancestors executed.
    pub(super) images: Images,
    /// The texts.
    pub(super) names: Names,
}

impl Found {
    /// Whether the program neither ran nor was tried.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.failed == 0
    }
}

/// Columns of all processes, by which they are found.
pub(super) const FIRST: &[Column] = &[Column::Comm, Column::Exe, Column::Source];
/// Columns of those that were found and of their ancestors.
pub(super) const LATER: &[Column] = &[Column::Pid, Column::StartNs, Column::Cmdline];

/// The nodes of some processes by upid, for each forest.
type Nodes = Vec<HashMap<i64, u32>>;

/// Finds the runs.
pub(super) fn find(
    recordings: &Recordings,
    forests: &mut [Forest],
    execs: &Execs,
    pattern: &Regex,
    by_cmdline: bool,
) -> Result<Found> {
    let matching = execs.matching(pattern, by_cmdline)?;
    let ran = nodes(forests, &matching)?;
    let running = running(forests, &ran, pattern, by_cmdline)?;
    let concerned = above(forests, &ran, &running)?;
    let of_forest = |of: &HashMap<i64, u32>| of.keys().copied().collect();
    let mut upids: OfForests = concerned.iter().map(of_forest).collect();
    for exec in matching.iter().filter(|exec| exec.errno == libc::ENOENT) {
        upids[exec.forest].insert(exec.upid);
    }
    let mut chosen = execs.of(&upids)?;
    chosen.extend_from_slice(&matching);
    chosen.sort_unstable();
    chosen.dedup();
    let mut found = Found::default();
    let read = execs.read(&chosen, &mut found.names)?;
    let matching: HashSet<Chosen> = matching.into_iter().collect();
    let is_match = |exec: &&Exec| matching.contains(&exec.of);
    found.failed = failed(read.iter().filter(is_match), &read);
    let mut first_execs = vec![HashMap::new(); forests.len()];
    for exec in read
        .iter()
        .filter(|exec| exec.of.errno == 0)
        .filter(is_match)
    {
        let of = exec.of;
        let Some(node) = ran[of.forest].get(&of.upid).copied() else {
            continue;
        };
        if exec.seq.is_none_or(|seq| seq <= 1) {
            first_execs[of.forest].insert(of.upid, found.runs.len());
        }
        found.runs.push(Run {
            forest: of.forest,
            node,
            ts_ns: exec.ts_ns,
            comm: exec.comm,
            cmdline: exec.cmdline,
            stack: exec.stack.map(|stack_id| Caller {
                stack_id,
                forked: false,
            }),
            before: false,
        });
    }
    prefer_forks(&mut found, &first_execs, recordings)?;
    for (forest, nodes) in running.into_iter().enumerate() {
        add_running(&mut found, &forests[forest], forest, &nodes);
    }
    found
        .runs
        .sort_by_key(|run| (run.forest, run.ts_ns, forests[run.forest].upid(run.node)));
    found.images = images(forests, &concerned, &read);
    Ok(found)
}

/// How many of these execs failed. A step of a search along `PATH` did not: the
/// process executed the same arguments from another folder then.
fn failed<'a>(matching: impl Iterator<Item = &'a Exec>, all: &[Exec]) -> usize {
    let failed: Vec<&Exec> = matching.filter(|exec| exec.of.errno != 0).collect();
    let mut missed: HashMap<(usize, i64), Vec<&Exec>> = HashMap::new();
    for exec in failed.iter().filter(|exec| exec.of.errno == libc::ENOENT) {
        let of = (exec.of.forest, exec.of.upid);
        missed.entry(of).or_default().push(exec);
    }
    let mut steps = HashSet::new();
    for exec in all.iter().filter(|exec| exec.of.errno == 0) {
        let of = (exec.of.forest, exec.of.upid);
        let before = missed.get(&of).into_iter().flatten();
        let before = before.filter(|m| m.ts_ns < exec.ts_ns && m.cmdline == exec.cmdline);
        steps.extend(before.map(|miss| miss.of));
    }
    failed.len() - steps.len()
}

/// The nodes of processes that succeeded to execute.
fn nodes(forests: &[Forest], execs: &[Chosen]) -> Result<Nodes> {
    let mut upids: OfForests = vec![Upids::default(); forests.len()];
    for exec in execs.iter().filter(|exec| exec.errno == 0) {
        upids[exec.forest].insert(exec.upid);
    }
    let of_forest = |(forest, upids): (&Forest, &Upids)| {
        let nodes = forest.nodes_of(upids)?.into_iter();
        Ok(nodes.map(|node| (forest.upid(node), node)).collect())
    };
    forests.iter().zip(&upids).map(of_forest).collect()
}

/// Processes that match and executed nothing while it was recorded, in order, for
/// each forest. A copy of a parent that matches too is no run of its own.
fn running(
    forests: &mut [Forest],
    ran: &Nodes,
    pattern: &Regex,
    by_cmdline: bool,
) -> Result<Vec<Vec<u32>>> {
    let mut all = Vec::new();
    for (forest, ran) in forests.iter_mut().zip(ran) {
        let matching = |column, name: fn(&str) -> &str| {
            forest.matching(column, |text| pattern.is_match(name(text)))
        };
        let mut nodes = match by_cmdline {
            true => forest.matching(Column::Cmdline, |line| {
                !line.is_empty() && pattern.is_match(line)
            })?,
            false => {
                let mut nodes = matching(Column::Comm, |comm| comm)?;
                nodes.extend(matching(Column::Exe, basename)?);
                nodes
            }
        };
        nodes.retain(|node| {
            !ran.contains_key(&forest.upid(*node)) && forest.source(*node) != "exec"
        });
        nodes.sort_unstable();
        nodes.dedup();
        let parents = nodes.iter().filter_map(|node| forest.parent(*node));
        let mut described: Vec<u32> = nodes.iter().copied().chain(parents).collect();
        described.sort_unstable();
        described.dedup();
        forest.fetch(&[Column::Cmdline], &described)?;
        nodes.retain(|node| {
            let is_copy = forest.parent(*node).is_some_and(|parent| {
                forest.comm(parent) == forest.comm(*node)
                    && forest.cmdline(parent) == forest.cmdline(*node)
            });
            !is_copy
        });
        all.push(nodes);
    }
    Ok(all)
}

fn add_running(found: &mut Found, forest: &Forest, at: usize, nodes: &[u32]) {
    for node in nodes.iter().copied() {
        found.runs.push(Run {
            forest: at,
            node,
            ts_ns: forest.start_ns(node),
            comm: found.names.intern(forest.comm(node)),
            cmdline: found.names.intern(forest.title(node)),
            stack: None,
            before: forest.source(node) != "fork",
        });
    }
}

/// The processes in all chains, which are described. What they executed tells
/// which program each ran at the moment of a fork.
fn above(forests: &mut [Forest], ran: &Nodes, running: &[Vec<u32>]) -> Result<Nodes> {
    let mut concerned = Vec::new();
    for ((forest, ran), running) in forests.iter_mut().zip(ran).zip(running) {
        let mut is_above = vec![false; forest.len()];
        let mut is_run = vec![false; forest.len()];
        for node in ran.values().chain(running).copied() {
            is_run[node as usize] = true;
            for above in forest.ancestors(node) {
                // Above a process that was seen, all were seen.
                if std::mem::replace(&mut is_above[above as usize], true) {
                    break;
                }
            }
        }
        let chosen = |is: &dyn Fn(usize) -> bool| -> Vec<u32> {
            forest.nodes().filter(|node| is(*node as usize)).collect()
        };
        let above = chosen(&|node| is_above[node]);
        let all = chosen(&|node| is_above[node] || is_run[node]);
        forest.fetch(&[Column::Pid, Column::StartNs], &all)?;
        forest.fetch(&[Column::Cmdline], &above)?;
        concerned.push(all.iter().map(|node| (forest.upid(*node), *node)).collect());
    }
    Ok(concerned)
}

/// What the processes concerned executed.
fn images(forests: &[Forest], concerned: &Nodes, execs: &[Exec]) -> Images {
    let mut of_forest = vec![Vec::new(); forests.len()];
    for exec in execs.iter().filter(|exec| exec.of.errno == 0) {
        if let Some(node) = concerned[exec.of.forest].get(&exec.of.upid) {
            let image = Image {
                ts_ns: exec.ts_ns,
                comm: exec.comm,
                cmdline: exec.cmdline,
            };
            of_forest[exec.of.forest].push((*node, image));
        }
    }
    Images::new(forests.iter().map(Forest::len).zip(of_forest))
}

/// At the first exec of a process, the code that forked it is the cause: the
/// exec's own stack is that of the child, still in the old program.
fn prefer_forks(
    found: &mut Found,
    first_execs: &[HashMap<i64, usize>],
    recordings: &Recordings,
) -> Result<()> {
    if first_execs.iter().all(HashMap::is_empty) {
        return Ok(());
    }
    let all: Vec<&Recording> = recordings.all.iter().collect();
    let forest_of = recordings.boot_numbers();
    let of_forest = |of: &HashMap<i64, usize>| of.keys().copied().collect();
    let upids: OfForests = first_execs.iter().map(of_forest).collect();
    let forks = scan::rows(
        &all,
        &fork::DEF,
        &["child_upid", "user_stack_id"],
        Texts::Dictionaries,
        Vec::new,
        |forks, place, batch| {
            let int = |i: usize| batch.column(i).as_primitive::<Int64Type>();
            let (child, stack) = (int(0), int(1));
            let forest = forest_of[place.recording];
            let rows = child.values().iter().enumerate();
            let rows = rows
                .filter(|(row, child)| upids[forest].may_contain(**child) && stack.is_valid(*row));
            forks.extend(rows.filter_map(|(row, child)| {
                let run = first_execs[forest].get(child)?;
                Some((*run, place, row, stack.value(row)))
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

/// What follows the last slash of a path.
pub(super) fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
