//! The processes of a boot as arrays by node: what is known of each, as row
//! numbers into [`Rows`]. They are collected in order of their upid.

use std::ops::Range;

use arrow::array::{Array as _, AsArray as _, Int64Array};
use arrow::datatypes::Int32Type;

use super::rows::{Kind, NONE, Part, Rows};
use crate::Result;

/// How a process is known, the weakest way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Inferred,
    Exec,
    Fork,
    Snapshot,
}

impl Source {
    /// As it stands in `process.source`.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Inferred => "inferred",
            Self::Exec => "exec",
            Self::Fork => "fork",
            Self::Snapshot => "snapshot",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "snapshot" => Self::Snapshot,
            "fork" => Self::Fork,
            "exec" => Self::Exec,
            _ => Self::Inferred,
        }
    }
}

/// How sure a parent is; a surer one replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ParentFrom {
    Nothing,
    Exec,
    Snapshot,
    Fork,
}

/// Everything by node.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// Distinct, and ascending until they are put in another order.
    pub(super) upid: Vec<i64>,
    /// Node of the parent.
    pub(super) parent: Vec<u32>,
    pub(super) source: Vec<Source>,
    /// The best row that names it, for its pid.
    pub(super) known: Vec<u32>,
    /// The last row of `process` about it.
    pub(super) observed: Vec<u32>,
    /// The row that tells of its end.
    pub(super) ended: Vec<u32>,
    /// The row with its program, of `exec` or `process`.
    pub(super) image: Vec<u32>,
    /// The row with its name.
    pub(super) comm: Vec<u32>,
}

/// A program that a process ran from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Image {
    node: u32,
    ts_ns: i64,
    row: u32,
}

/// What is only needed while nodes are collected.
struct Draft {
    parent_from: Vec<ParentFrom>,
    /// When it was forked, where that was seen.
    fork_ns: Vec<Option<i64>>,
    images: Vec<Image>,
}

/// The values in another order, given as the index of each.
pub(super) fn permuted<T: Copy>(values: &[T], order: &[u32]) -> Vec<T> {
    order.iter().map(|at| values[*at as usize]).collect()
}

impl Nodes {
    /// Reads all rows.
    pub(super) fn collect(rows: &Rows) -> Result<Self> {
        let mut nodes = Self::of(distinct_upids(rows)?);
        let n = nodes.upid.len();
        let mut draft = Draft {
            parent_from: vec![ParentFrom::Nothing; n],
            fork_ns: vec![None; n],
            images: Vec::new(),
        };
        for part in &rows.parts {
            nodes.read(part, &mut draft)?;
        }
        draft.images.sort_unstable();
        nodes.give_images(rows, &draft);
        Ok(nodes)
    }

    fn of(upid: Vec<i64>) -> Self {
        let none = vec![NONE; upid.len()];
        Self {
            source: vec![Source::Inferred; upid.len()],
            parent: none.clone(),
            known: none.clone(),
            observed: none.clone(),
            ended: none.clone(),
            image: none.clone(),
            comm: none,
            upid,
        }
    }

    /// Puts the nodes in another order, given as the node for each place.
    pub(super) fn reorder(&mut self, order: &[u32]) {
        let mut place = vec![NONE; order.len()];
        for (at, node) in order.iter().enumerate() {
            place[*node as usize] = at as u32;
        }
        for parent in &mut self.parent {
            *parent = place.get(*parent as usize).copied().unwrap_or(NONE);
        }
        self.upid = permuted(&self.upid, order);
        self.source = permuted(&self.source, order);
        for rows in [
            &mut self.parent,
            &mut self.known,
            &mut self.observed,
            &mut self.ended,
            &mut self.image,
            &mut self.comm,
        ] {
            *rows = permuted(rows, order);
        }
    }

    /// How many of them nobody saw.
    pub(super) fn inferred(&self) -> u64 {
        let inferred = self.source.iter().filter(|s| **s == Source::Inferred);
        inferred.count() as u64
    }

    /// The node of each upid.
    fn find(&self, upids: &Int64Array) -> Vec<u32> {
        let mut finder = Finder::new(&self.upid);
        let node = |upid: Option<i64>| upid.map_or(NONE, |upid| finder.find(upid));
        upids.iter().map(node).collect()
    }

    /// Takes in what a part tells.
    fn read(&mut self, part: &Part, draft: &mut Draft) -> Result<()> {
        let upids = part.i64(part.kind.upid())?;
        let named = part.kind.comm().and_then(|name| part.column(name));
        let of_row = self.find(upids);
        for (i, node) in of_row.iter().enumerate().filter(|(_, n)| **n != NONE) {
            let (node, row) = (*node as usize, part.start + i as u32);
            first(&mut self.known[node], row);
            if named.is_some_and(|comm| comm.is_valid(i)) {
                first(&mut self.comm[node], row);
            }
        }
        match part.kind {
            Kind::Process => self.read_process(part, &of_row, draft),
            Kind::Fork => self.read_fork(part, &of_row, draft),
            Kind::Exec => self.read_exec(part, &of_row, draft),
            Kind::Exit => {
                for (row, node) in rows_of(part, &of_row) {
                    self.ended[node] = row;
                }
                Ok(())
            }
            Kind::ForkParent | Kind::ExecParent | Kind::ProcessParent => Ok(()),
        }
    }

    fn read_process(&mut self, part: &Part, of_row: &[u32], draft: &mut Draft) -> Result<()> {
        let parents = self.find(part.i64("parent_upid")?);
        let ends = part.i64("end_ns").ok();
        let sources = part.text("source");
        let comms = part.column("comm");
        for (row, node) in rows_of(part, of_row) {
            let i = (row - part.start) as usize;
            let source = sources.as_ref().and_then(|sources| sources.value(i));
            let source = source.map_or(Source::Snapshot, Source::parse);
            self.source[node] = self.source[node].max(source);
            self.observed[node] = row;
            if ends.is_some_and(|ends| ends.is_valid(i)) {
                self.ended[node] = row;
            }
            if source != Source::Inferred && comms.is_some_and(|c| c.is_valid(i)) {
                draft.images.push(Image {
                    node: node as u32,
                    ts_ns: part.at_ns,
                    row,
                });
            }
            if parents[i] != NONE {
                let from = match source {
                    Source::Fork => ParentFrom::Fork,
                    Source::Snapshot => ParentFrom::Snapshot,
                    Source::Exec | Source::Inferred => ParentFrom::Exec,
                };
                self.adopt(node, parents[i], from, draft);
            }
        }
        Ok(())
    }

    fn read_fork(&mut self, part: &Part, of_row: &[u32], draft: &mut Draft) -> Result<()> {
        let parents = self.find(part.i64("parent_upid")?);
        let times = part.i64("ts_ns")?;
        for (row, node) in rows_of(part, of_row) {
            let i = (row - part.start) as usize;
            self.source[node] = self.source[node].max(Source::Fork);
            if parents[i] != NONE {
                draft.fork_ns[node].get_or_insert(times.value(i));
                self.adopt(node, parents[i], ParentFrom::Fork, draft);
            }
        }
        Ok(())
    }

    fn read_exec(&mut self, part: &Part, of_row: &[u32], draft: &mut Draft) -> Result<()> {
        let parents = self.find(part.i64("parent_upid")?);
        let times = part.i64("ts_ns")?;
        let errnos = part
            .column("errno")
            .and_then(|c| c.as_primitive_opt::<Int32Type>());
        for (row, node) in rows_of(part, of_row) {
            let i = (row - part.start) as usize;
            self.source[node] = self.source[node].max(Source::Exec);
            if errnos.is_none_or(|errnos| errnos.value(i) == 0) {
                draft.images.push(Image {
                    node: node as u32,
                    ts_ns: times.value(i),
                    row,
                });
            }
            if parents[i] != NONE {
                self.adopt(node, parents[i], ParentFrom::Exec, draft);
            }
        }
        Ok(())
    }

    fn adopt(&mut self, node: usize, parent: u32, from: ParentFrom, draft: &mut Draft) {
        if from > draft.parent_from[node] {
            draft.parent_from[node] = from;
            self.parent[node] = parent;
        }
    }

    /// Finds the program of each process, parents first.
    fn give_images(&mut self, rows: &Rows, draft: &Draft) {
        let images = ImagesByNode::new(&draft.images, self.upid.len());
        let mut inherited = vec![NONE; self.upid.len()];
        for node in 0..self.upid.len() {
            let parent = self.parent[node] as usize;
            if let Some(fork_ns) = draft.fork_ns[node]
                && parent < node
            {
                let at_fork = images.at(parent, fork_ns);
                inherited[node] = match (at_fork, images.first(parent)) {
                    (Some(row), _) => row,
                    (None, _) if inherited[parent] != NONE => inherited[parent],
                    (None, Some(row)) if rows.kind(row) == Some(Kind::Process) => row,
                    (None, _) => NONE,
                };
            }
            match images.last(node) {
                Some(own) => {
                    self.image[node] = own;
                    self.comm[node] = own;
                }
                None => {
                    self.image[node] = inherited[node];
                    first(&mut self.comm[node], inherited[node]);
                }
            }
        }
    }
}

/// Sets what is not set.
fn first(place: &mut u32, row: u32) {
    if *place == NONE {
        *place = row;
    }
}

/// The rows of a part that name a process, with its node.
fn rows_of<'a>(part: &Part, of_row: &'a [u32]) -> impl Iterator<Item = (u32, usize)> + use<'a> {
    let start = part.start;
    of_row
        .iter()
        .enumerate()
        .filter(|(_, node)| **node != NONE)
        .map(move |(i, node)| (start + i as u32, *node as usize))
}

fn distinct_upids(rows: &Rows) -> Result<Vec<i64>> {
    let mut upids: Vec<i64> = Vec::new();
    let mut of_part: Vec<i64> = Vec::new();
    for part in &rows.parts {
        // Few of a part's parents are different ones.
        of_part.extend(part.i64(part.kind.upid())?.iter().flatten());
        of_part.sort_unstable();
        of_part.dedup();
        upids.append(&mut of_part);
    }
    // Not the unstable one: what is ascending already is only merged.
    upids.sort();
    upids.dedup();
    upids.shrink_to_fit();
    Ok(upids)
}

/// Finds values in an ascending array, fast where one is near the last: events
/// come nearly in order of starts.
struct Finder<'a> {
    upids: &'a [i64],
    at: usize,
}

impl<'a> Finder<'a> {
    fn new(upids: &'a [i64]) -> Self {
        Self { upids, at: 0 }
    }

    /// Node of a process.
    fn find(&mut self, upid: i64) -> u32 {
        let range = self.range(upid);
        let start = range.start;
        self.at = start + self.upids[range].partition_point(|u| *u < upid);
        match self.upids.get(self.at) {
            Some(found) if *found == upid => self.at as u32,
            _ => {
                self.at = 0;
                NONE
            }
        }
    }

    /// A range that holds the value or the place for it, by doubling steps from
    /// where the last one was.
    fn range(&self, upid: i64) -> Range<usize> {
        let n = self.upids.len();
        let mut step = 1;
        if self.upids.get(self.at).is_some_and(|u| *u <= upid) {
            let mut low = self.at;
            while low + step < n && self.upids[low + step] <= upid {
                low += step;
                step *= 2;
            }
            return low..(low + step).min(n);
        }
        let mut high = self.at.min(n);
        while step <= high && self.upids[high - step] > upid {
            high -= step;
            step *= 2;
        }
        high.saturating_sub(step)..high
    }
}

/// Images in order of node and time, with the place of each node's.
struct ImagesByNode<'a> {
    images: &'a [Image],
    starts: Vec<u32>,
}

impl<'a> ImagesByNode<'a> {
    fn new(images: &'a [Image], nodes: usize) -> Self {
        let mut starts = vec![0; nodes + 1];
        for image in images {
            starts[image.node as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        Self { images, starts }
    }

    fn of(&self, node: usize) -> &'a [Image] {
        &self.images[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    fn first(&self, node: usize) -> Option<u32> {
        self.of(node).first().map(|image| image.row)
    }

    fn last(&self, node: usize) -> Option<u32> {
        self.of(node).last().map(|image| image.row)
    }

    /// The one that ran at a moment.
    fn at(&self, node: usize, ts_ns: i64) -> Option<u32> {
        let images = self.of(node);
        let after = images.partition_point(|image| image.ts_ns <= ts_ns);
        images[..after].last().map(|image| image.row)
    }
}
