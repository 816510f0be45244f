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
const FIRST: usize = 128;
const LAST: usize = 128;

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

/// How much is said of the processes of a long chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Of all links that are described. It takes a look at each process up to the root.
    Whole,
    /// Of those at the end.
    End,
}

/// All runs of one chain.
#[derive(Debug)]
pub(super) struct Chain {
    /// The link right above the runs.
    link: u32,
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

/// All runs by their chain.
pub(super) struct Groups {
    links: Links,
    states: States,
    /// The runs of each link, by their places in [`Found::runs`].
    runs: HashMap<u32, Vec<u32>>,
}

/// Groups all runs, and counts those of each chain: the most frequent chain first.
pub(super) fn group(forests: &[Forest], found: &mut Found) -> (Groups, Vec<Chain>) {
    let mut links = Links::default();
    let mut groups: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut order = Vec::new();
    let mut names = std::mem::take(&mut found.names);
    for (at, run) in (0..).zip(&found.runs) {
        let link = links.above(forests, found, &mut names, run);
        let group = groups.entry(link).or_insert_with(|| {
            order.push(link);
            Vec::new()
        });
        group.push(at);
    }
    found.names = names;
    let groups = Groups {
        states: links.states(),
        links,
        runs: groups,
    };
    let counted = |link| counted(link, &groups.runs(link, found));
    let mut chains: Vec<Chain> = order.into_iter().map(counted).collect();
    chains.sort_by(|a, b| {
        let key = |c: &Chain| (c.runs, c.before, c.last_ns);
        key(b).cmp(&key(a))
    });
    (groups, chains)
}

impl Groups {
    fn runs<'a>(&self, link: u32, found: &'a Found) -> Vec<&'a Run> {
        let runs = self.runs.get(&link).into_iter().flatten();
        runs.map(|at| &found.runs[*at as usize]).collect()
    }
}

/// Distinct links of all chains, and the link of each process.
#[derive(Default)]
struct Links {
    keys: Vec<Key>,
    /// Links above each.
    depths: Vec<u32>,
    /// The last of the [`FIRST`] links down to each, or itself.
    heads: Vec<u32>,
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
        let above = self.depths.get(key.parent as usize);
        let depth = above.map_or(0, |depth| depth + 1);
        self.keys.push(key);
        self.depths.push(depth);
        self.heads.push(match (depth as usize) < FIRST {
            true => link,
            false => self.heads[key.parent as usize],
        });
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

    /// Links from this one up to its root.
    fn up(&self, link: u32) -> impl Iterator<Item = u32> {
        let known = |link: u32| (link != NONE).then_some(link);
        std::iter::successors(known(link), move |link| {
            known(self.keys.get(*link as usize)?.parent)
        })
    }

    /// The first and the last links down to this one, and how many are left out between
    /// them. At the end is a process with a program of its own, if there is one: it is
    /// what is said to have run the program.
    fn ends(&self, link: u32) -> (Vec<u32>, usize, Vec<u32>) {
        let is_own = |link: u32| self.keys[link as usize].form == Form::Process;
        let mut last = Vec::new();
        let mut has_own = false;
        for link in self.up(link) {
            if last.len() >= LAST && has_own {
                break;
            }
            has_own |= is_own(link);
            last.push(link);
        }
        last.reverse();
        let mut first = match last.first() {
            Some(top) if self.depths[*top as usize] > 0 => {
                let above = self.keys[*top as usize].parent;
                self.up(self.heads[above as usize]).collect()
            }
            _ => Vec::new(),
        };
        first.reverse();
        let above = last.first().map_or(0, |top| self.depths[*top as usize]);
        let left_out = above as usize - first.len();
        (first, left_out, last)
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
fn counted(link: u32, runs: &[&Run]) -> Chain {
    let times = recorded(runs);
    let timed = match times.is_empty() {
        true => runs.iter().map(|run| run.ts_ns).collect(),
        false => times.clone(),
    };
    Chain {
        link,
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

impl Groups {
    /// Adds what describes a chain.
    pub(super) fn describe(
        &self,
        chain: &mut Chain,
        forests: &[Forest],
        found: &Found,
        detail: Detail,
    ) {
        let forest = &forests[chain.forest];
        let runs = &self.runs(chain.link, found)[..];
        let (first, left_out, last) = self.links.ends(chain.link);
        chain.first = first.len();
        chain.left_out = left_out;
        let is_end_only = detail == Detail::End && left_out > 0;
        let looked_at = if is_end_only { &[][..] } else { &first[..] };
        let shown: HashSet<u32> = looked_at.iter().chain(&last).copied().collect();
        let above = Above {
            forest,
            states: &self.states,
            forest_at: chain.forest,
            is_end_only,
        };
        let processes = above.processes(runs, &shown);
        let nodes: HashSet<u32> = runs.iter().map(|run| run.node).collect();
        let text = |number: u32| found.names.name(number).to_owned();
        let as_link = |id: u32| {
            let key = &self.links.keys[id as usize];
            let (nodes, count) = match processes.get(&id) {
                Some((nodes, count)) => (nodes.clone(), *count),
                None if !shown.contains(&id) => (Vec::new(), 0),
                // A program that the process itself ran before.
                None => (vec![runs[0].node], nodes.len()),
            };
            Link {
                comm: text(key.comm),
                cmdline: key.cmdline.map(text),
                form: key.form,
                nodes,
                processes: count,
            }
        };
        chain.links = first.iter().chain(&last).copied().map(as_link).collect();
        chain.root = forest.root(runs[0].node);
        tell(chain, found, runs);
    }
}

/// Adds what is said of the runs of a chain themselves.
fn tell(chain: &mut Chain, found: &Found, runs: &[&Run]) {
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

/// The processes above runs.
struct Above<'a> {
    forest: &'a Forest,
    states: &'a States,
    forest_at: usize,
    /// Whether all links that are looked for are at the end.
    is_end_only: bool,
}

impl Above<'_> {
    /// For each of these links, some of its processes and how many there are.
    fn processes(&self, runs: &[&Run], shown: &HashSet<u32>) -> HashMap<u32, (Vec<u32>, usize)> {
        let mut seen = HashSet::new();
        let mut counted: HashMap<u32, (Vec<u32>, usize)> = HashMap::new();
        for run in runs {
            let mut at = self.forest.parent(run.node);
            while let Some(node) = at.filter(|node| seen.insert(*node)) {
                let links = self.states.of((self.forest_at, node));
                let mut is_shown = false;
                for link in links.filter(|link| shown.contains(link)) {
                    is_shown = true;
                    let (nodes, count) = counted.entry(link).or_default();
                    nodes.push(node);
                    nodes.sort_unstable();
                    nodes.truncate(REMEMBERED);
                    *count += 1;
                }
                // Those above it are above the end.
                if self.is_end_only && !is_shown {
                    break;
                }
                at = self.forest.parent(node);
            }
        }
        counted
    }
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
