//! Groups runs by the chain of ancestors that led to them.
//!
//! A chain is what its processes are called and how they were called, not their
//! pids: a script that starts a subshell for each run is one chain. Chains are
//! interned from the root down, so each process is looked at once, however many
//! runs hang below it and however deep it is.

use hashbrown::{HashMap, HashSet};

use super::find::{Caller, Found, Run};
use super::period::{Period, period};
use crate::forest::Forest;
use crate::names::Names;

/// Links of a chain that are described at its begin, and at its end at the least: it
/// may be as long as there are processes.
const FIRST: usize = 1024;
const LAST: usize = 1024;

/// No link.
pub(super) const NONE: u32 = u32::MAX;

/// One link of chains: a program, and the link above it. Texts are numbers in
/// [`Found::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    parent: u32,
    forest: usize,
    comm: u32,
    cmdline: Option<u32>,
    form: Form,
}

/// How a link came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// A process with a program of its own.
    Process,
    /// A copy of its parent that executed nothing, such as a subshell.
    Copy,
    /// A program that its process had executed before the next one: same pid.
    Before,
}

/// A link as one chain has it.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) comm: String,
    pub(super) cmdline: Option<String>,
    pub(super) form: Form,
    /// The first of its processes, in order of their starts.
    pub(super) nodes: Vec<u32>,
    /// How many different processes it stands for in this chain.
    pub(super) processes: usize,
}

impl Link {
    /// Its process, if it is one.
    pub(super) fn only(&self) -> Option<u32> {
        match (self.processes, &self.nodes[..]) {
            (1, [node]) => Some(*node),
            _ => None,
        }
    }
}

/// A command line, and how often it was run.
#[derive(Clone, Debug)]
pub(super) struct Example {
    pub(super) cmdline: String,
    pub(super) runs: usize,
}

/// All runs of one chain.
#[derive(Debug)]
pub(super) struct Chain {
    /// Index of the boot's forest.
    pub(super) forest: usize,
    /// From the root down to the parent, without those in the middle of a long one.
    pub(super) links: Vec<Link>,
    /// How many are left out.
    pub(super) left_out: usize,
    /// How many of `links` come before them.
    pub(super) first: usize,
    /// Whether the root is one that nobody saw the origin of.
    pub(super) root: u32,
    /// Runs while it was recorded.
    pub(super) runs: usize,
    /// Processes that were there before.
    pub(super) before: usize,
    /// Name of the program, by how often.
    pub(super) comms: Vec<(String, usize)>,
    /// Distinct command lines, the most frequent first.
    pub(super) examples: Vec<Example>,
    /// First and last run, nanoseconds of CLOCK_BOOTTIME.
    pub(super) first_ns: i64,
    /// See `first_ns`.
    pub(super) last_ns: i64,
    /// Its rhythm.
    pub(super) period: Option<Period>,
    /// Stacks that led to runs, the most frequent first.
    pub(super) callers: Vec<(Caller, usize)>,
    /// One of the processes that ran it.
    pub(super) node: u32,
}

/// Groups all runs, the most frequent chain first. What only describes a chain
/// is there for the first `described`: a chain may be as long as there are
/// processes, and there may be as many.
pub(super) fn group(forests: &[Forest], found: &mut Found, described: usize) -> Vec<Chain> {
    let mut links = Links::default();
    let mut groups: HashMap<u32, Vec<&Run>> = HashMap::new();
    let mut order = Vec::new();
    let mut names = std::mem::take(&mut found.names);
    let of_runs: Vec<u32> = found
        .runs
        .iter()
        .map(|run| links.above(forests, found, &mut names, run))
        .collect();
    found.names = names;
    for (run, link) in found.runs.iter().zip(of_runs) {
        let group = groups.entry(link).or_insert_with(|| {
            order.push(link);
            Vec::new()
        });
        group.push(run);
    }
    let mut chains: Vec<(u32, Chain)> = order
        .into_iter()
        .filter_map(|link| Some((link, counted(groups.get(&link)?))))
        .collect();
    chains.sort_by(|a, b| {
        let key = |c: &Chain| (c.runs, c.before, c.last_ns);
        key(&b.1).cmp(&key(&a.1))
    });
    let states = links.states();
    for (link, chain) in chains.iter_mut().take(described) {
        if let Some(runs) = groups.get(link) {
            describe(chain, forests, found, (&links, &states), *link, runs);
        }
    }
    chains.into_iter().map(|(_, chain)| chain).collect()
}

/// Distinct links of all chains, and the link of each process.
#[derive(Default)]
struct Links {
    keys: Vec<Key>,
    by_key: HashMap<Key, u32>,
    /// Link of a process as it was at a time: by forest, node and the number of
    /// programs that it had executed by then.
    of_process: HashMap<(usize, u32, usize), u32>,
}

impl Links {
    /// The link right above a run: what its process ran before, else its
    /// parent.
    fn above(&mut self, forests: &[Forest], found: &Found, names: &mut Names, run: &Run) -> u32 {
        let images = found.images.of(run.forest, run.node);
        let earlier = images.partition_point(|image| image.ts_ns < run.ts_ns);
        let forest = &forests[run.forest];
        let mut link = match forest.parent(run.node) {
            Some(parent) => {
                let at_ns = forest.start_ns(run.node);
                self.of(forest, found, names, run.forest, parent, at_ns)
            }
            None => NONE,
        };
        for image in &images[..earlier] {
            link = self.intern(Key {
                parent: link,
                forest: run.forest,
                comm: image.comm,
                cmdline: Some(image.cmdline),
                form: Form::Before,
            });
        }
        link
    }

    /// The link of a process as it was at a moment.
    fn of(
        &mut self,
        forest: &Forest,
        found: &Found,
        names: &mut Names,
        at_forest: usize,
        node: u32,
        at_ns: i64,
    ) -> u32 {
        // Up to a process whose link is known, then down again.
        let mut todo = Vec::new();
        let (mut at, mut when) = (Some(node), at_ns);
        let mut link = NONE;
        while let Some(node) = at {
            let images = found.images.of(at_forest, node);
            let executed = images.partition_point(|i| i.ts_ns <= when);
            if let Some(known) = self.of_process.get(&(at_forest, node, executed)) {
                link = *known;
                break;
            }
            todo.push((node, executed));
            when = forest.start_ns(node);
            at = forest.parent(node);
        }
        for (node, executed) in todo.into_iter().rev() {
            let state = (at_forest, node, executed);
            link = self.link(forest, found, names, state, link);
            self.of_process.insert(state, link);
        }
        link
    }

    fn link(
        &mut self,
        forest: &Forest,
        found: &Found,
        names: &mut Names,
        (at, node, executed): (usize, u32, usize),
        parent: u32,
    ) -> u32 {
        let images = found.images.of(at, node);
        let own = executed.checked_sub(1).and_then(|last| images.get(last));
        let above = self.keys.get(parent as usize);
        let (comm, cmdline) = match (own, above) {
            (Some(image), _) => (image.comm, Some(image.cmdline)),
            // It executed something only later: until then it was a copy.
            (None, Some(above)) if !images.is_empty() && forest.source(node) == "fork" => {
                (above.comm, above.cmdline)
            }
            _ => (
                names.intern(forest.comm(node)),
                forest.cmdline(node).map(|line| names.intern(line)),
            ),
        };
        let same = above.is_some_and(|above| above.comm == comm && above.cmdline == cmdline);
        if own.is_none() && same {
            if above.is_some_and(|above| above.form == Form::Copy) {
                return parent;
            }
            return self.intern(Key {
                parent,
                forest: at,
                comm,
                cmdline,
                form: Form::Copy,
            });
        }
        self.intern(Key {
            parent,
            forest: at,
            comm,
            cmdline,
            form: Form::Process,
        })
    }

    fn intern(&mut self, key: Key) -> u32 {
        if let Some(known) = self.by_key.get(&key) {
            return *known;
        }
        let link = self.keys.len() as u32;
        self.keys.push(key);
        self.by_key.insert(key, link);
        link
    }

    /// The links of each process: of all programs that it ran.
    fn states(&self) -> States {
        let links = self.of_process.iter();
        let mut states: Vec<_> = links
            .map(|((forest, node, _), link)| ((*forest, *node), *link))
            .collect();
        states.sort_unstable();
        States(states)
    }

    /// Links from a root down to this one.
    fn down_to(&self, link: u32) -> Vec<u32> {
        let up = std::iter::successors(Some(link), |link| {
            self.keys.get(*link as usize).map(|key| key.parent)
        });
        let mut links: Vec<u32> = up.take_while(|link| *link != NONE).collect();
        links.reverse();
        links
    }
}

/// Links by forest and node, in order.
struct States(Vec<((usize, u32), u32)>);

impl States {
    fn of(&self, process: (usize, u32)) -> impl Iterator<Item = u32> {
        let first = self.0.partition_point(|(of, _)| *of < process);
        let of_process = self.0[first..].iter();
        let of_process = of_process.take_while(move |(of, _)| *of == process);
        of_process.map(|(_, link)| *link)
    }
}

/// A chain of runs, counted only.
fn counted(runs: &[&Run]) -> Chain {
    let times = recorded(runs);
    let timed = match times.is_empty() {
        true => runs.iter().map(|run| run.ts_ns).collect(),
        false => times.clone(),
    };
    Chain {
        forest: runs[0].forest,
        links: Vec::new(),
        left_out: 0,
        first: 0,
        root: runs[0].node,
        runs: times.len(),
        before: runs.len() - times.len(),
        comms: Vec::new(),
        examples: Vec::new(),
        first_ns: timed.iter().copied().min().unwrap_or(0),
        last_ns: timed.iter().copied().max().unwrap_or(0),
        period: None,
        callers: Vec::new(),
        node: runs[0].node,
    }
}

/// When those ran that were recorded.
fn recorded(runs: &[&Run]) -> Vec<i64> {
    let runs = runs.iter().filter(|run| !run.before);
    runs.map(|run| run.ts_ns).collect()
}

/// Adds what describes a chain.
fn describe(
    chain: &mut Chain,
    forests: &[Forest],
    found: &Found,
    (links, states): (&Links, &States),
    link: u32,
    runs: &[&Run],
) {
    let forest = &forests[chain.forest];
    let text = |number: u32| found.names.name(number).to_owned();
    let nodes: HashSet<u32> = runs.iter().map(|run| run.node).collect();
    let mut path = links.down_to(link);
    let own = |link: &u32| links.keys[*link as usize].form == Form::Process;
    // The last process of its own is what is said to have run the program.
    let last = path.iter().rposition(own).unwrap_or(0);
    let last = last.min(path.len().saturating_sub(LAST));
    chain.first = FIRST.min(last);
    chain.left_out = last - chain.first;
    path.drain(chain.first..last);
    let shown: HashSet<u32> = path.iter().copied().collect();
    let processes = processes(forest, states, chain.forest, runs, &shown);
    let run_nodes = nodes.len();
    let as_link = |id: u32| {
        let key = &links.keys[id as usize];
        let (nodes, count) = match processes.get(&id) {
            Some((nodes, count)) => (nodes.clone(), *count),
            // A program that the process itself ran before.
            None => (vec![runs[0].node], run_nodes),
        };
        Link {
            comm: text(key.comm),
            cmdline: key.cmdline.map(text),
            form: key.form,
            nodes,
            processes: count,
        }
    };
    let up = std::iter::once(runs[0].node).chain(forest.ancestors(runs[0].node));
    chain.root = up.last().unwrap_or(runs[0].node);
    chain.links = path.into_iter().map(as_link).collect();
    let named = |counts: HashMap<u32, usize>| {
        let counts = counts.into_iter();
        by_count(counts.map(|(number, n)| (found.names.name(number), n)))
    };
    chain.comms = named(counts(runs.iter().map(|run| run.comm)))
        .into_iter()
        .map(|(comm, n)| (comm.to_owned(), n))
        .collect();
    chain.examples = named(counts(runs.iter().map(|run| run.cmdline)))
        .into_iter()
        .map(|(cmdline, runs)| Example {
            cmdline: cmdline.to_owned(),
            runs,
        })
        .collect();
    chain.period = period(&recorded(runs));
    let ran = runs.iter().filter(|run| !run.before);
    chain.callers = by_count(counts(ran.filter_map(|run| run.stack)).into_iter());
}

/// Processes of a link that are remembered one by one.
const REMEMBERED: usize = 3;

/// For each of these links above the runs, some of its processes and how many there
/// are.
fn processes(
    forest: &Forest,
    states: &States,
    forest_at: usize,
    runs: &[&Run],
    shown: &HashSet<u32>,
) -> HashMap<u32, (Vec<u32>, usize)> {
    let mut seen = HashSet::new();
    let mut counted: HashMap<u32, (Vec<u32>, usize)> = HashMap::new();
    for run in runs {
        let mut at = forest.parent(run.node);
        while let Some(node) = at.filter(|node| seen.insert(*node)) {
            let links = states.of((forest_at, node));
            for link in links.filter(|link| shown.contains(link)) {
                let (nodes, count) = counted.entry(link).or_default();
                nodes.push(node);
                nodes.sort_unstable();
                nodes.truncate(REMEMBERED);
                *count += 1;
            }
            at = forest.parent(node);
        }
    }
    counted
}

/// Distinct values with their number.
fn counts<T: Eq + std::hash::Hash>(values: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}

/// The most frequent first.
fn by_count<T: Ord>(counts: impl Iterator<Item = (T, usize)>) -> Vec<(T, usize)> {
    let mut counts: Vec<(T, usize)> = counts.collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts
}
