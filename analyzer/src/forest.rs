//! The processes of one boot as a forest of arrays, in pre-order: a subtree is a
//! range of nodes.
//!
//! A finished recording holds them so; for one that was cut off, and where
//! several recordings are of one boot, they are derived from the events. The
//! numbers of a file are never trusted: each parent must be on the path down to
//! the row before, or the forest is numbered anew, so a hostile file can give a
//! wrong tree but no loop.

mod fetch;
mod load;
mod table;
mod upids;

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array as _, ArrayRef, AsArray as _, DictionaryArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type, Int64Type};
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::{DefaultHashBuilder, HashTable};
use whence_schemas::tree::NONE;

use crate::Result;
use crate::recording::{Boot, Recordings};
use crate::scan;

pub use table::ProcessTable;
pub use upids::Upids;

/// A column of `process` that a forest holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named as the columns are")]
pub enum Column {
    Upid,
    ParentUpid,
    Pid,
    StartNs,
    EndNs,
    Comm,
    Exe,
    Cmdline,
    ExitCode,
    ExitSignal,
    Source,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Upid,
        Self::ParentUpid,
        Self::Pid,
        Self::StartNs,
        Self::EndNs,
        Self::Comm,
        Self::Exe,
        Self::Cmdline,
        Self::ExitCode,
        Self::ExitSignal,
        Self::Source,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Upid => "upid",
            Self::ParentUpid => "parent_upid",
            Self::Pid => "pid",
            Self::StartNs => "start_ns",
            Self::EndNs => "end_ns",
            Self::Comm => "comm",
            Self::Exe => "exe",
            Self::Cmdline => "cmdline",
            Self::ExitCode => "exit_code",
            Self::ExitSignal => "exit_signal",
            Self::Source => "source",
        }
    }
}

/// The processes of one boot.
#[derive(Debug)]
pub struct Forest {
    /// Which boot.
    pub boot: Boot,
    /// Processes whose parent link closed a cycle.
    pub cycles: usize,
    upid: Vec<i64>,
    /// Node of the parent, or [`NONE`].
    parent: Vec<u32>,
    depth: Vec<u32>,
    /// Last node of the subtree.
    last: Vec<u32>,
    /// All nodes: a slice of it is a subtree.
    order: Vec<u32>,
    chunks: Vec<Chunk>,
    /// Where the chunks have each column.
    places: [Option<usize>; Column::ALL.len()],
    /// What the chunks do not have.
    rest: Option<fetch::Rest>,
    by_upid: OnceLock<(HashTable<u32>, DefaultHashBuilder)>,
    /// Nodes without a parent, in order.
    roots: OnceLock<Vec<u32>>,
    /// What all of this takes.
    memory: MemoryReservation,
}

/// Rows of `process`, for the nodes from `start` on.
#[derive(Debug)]
struct Chunk {
    start: usize,
    batch: RecordBatch,
}

impl Forest {
    /// The forests of all boots.
    ///
    /// # Errors
    /// If a segment turns out to be damaged, or memory does not suffice.
    pub fn load_all(recordings: &Recordings) -> Result<Vec<Self>> {
        Self::load_all_with(recordings, &Column::ALL)
    }

    /// The same with some columns, which is faster. Those that are left out read
    /// as if they were not known; the links are always there.
    ///
    /// # Errors
    /// As [`load_all`](Self::load_all).
    pub fn load_all_with(recordings: &Recordings, columns: &[Column]) -> Result<Vec<Self>> {
        Self::load_all_in_parts(recordings, columns, &[])
    }

    /// The same with the columns `first` for all processes. Those of `later` are
    /// not known until they are [fetched](Self::fetch) for some.
    ///
    /// # Errors
    /// As [`load_all`](Self::load_all).
    pub fn load_all_in_parts(
        recordings: &Recordings,
        first: &[Column],
        later: &[Column],
    ) -> Result<Vec<Self>> {
        let boots = recordings.boots();
        boots
            .iter()
            .map(|boot| load::forest(recordings, boot, first, later))
            .collect()
    }

    /// How many processes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.upid.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.upid.is_empty()
    }

    /// The node of a process.
    #[must_use]
    pub fn node_of(&self, upid: i64) -> Option<u32> {
        let (table, hasher) = self.by_upid.get_or_init(|| self.index());
        let is_it = |node: &u32| self.upid[*node as usize] == upid;
        table.find(hasher.hash_one(upid), is_it).copied()
    }

    /// The nodes of some processes, in pre-order: for many at once.
    ///
    /// # Errors
    /// Never.
    pub fn nodes_of(&self, upids: &Upids) -> Result<Vec<u32>> {
        const JOB_NODES: usize = 64 * 1024;
        let jobs = self.len().div_ceil(JOB_NODES);
        let found = scan::each(jobs, Vec::new, |found: &mut Vec<u32>, at| {
            let start = at * JOB_NODES;
            let end = (start + JOB_NODES).min(self.len());
            let nodes = (start..end).filter(|node| upids.contains(self.upid[*node]));
            found.extend(nodes.map(|node| node as u32));
            Ok(())
        })?;
        let mut found: Vec<u32> = found.into_iter().flatten().collect();
        found.sort_unstable();
        Ok(found)
    }

    fn index(&self) -> (HashTable<u32>, DefaultHashBuilder) {
        let hasher = DefaultHashBuilder::default();
        let hash = |node: &u32| hasher.hash_one(self.upid[*node as usize]);
        let mut table = HashTable::with_capacity(self.len());
        for node in self.nodes() {
            table.insert_unique(hash(&node), node, hash);
        }
        (table, hasher)
    }

    /// Nodes of processes with this pid.
    pub fn nodes_of_pid(&self, pid: i32) -> impl Iterator<Item = u32> {
        self.nodes().filter(move |node| self.pid(*node) == pid)
    }

    /// All nodes, in pre-order; siblings are in order of their starts.
    pub fn nodes(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.upid.len() as u32
    }

    /// The nodes for which a text that is known satisfies a condition. It is
    /// asked once for each distinct text of a chunk.
    ///
    /// # Errors
    /// Never, but for a panic in the condition.
    pub fn matching(
        &self,
        column: Column,
        condition: impl Fn(&str) -> bool + Sync,
    ) -> Result<Vec<u32>> {
        let jobs = self.chunks.len();
        let found = scan::each(jobs, Vec::new, |found: &mut Vec<Vec<u32>>, at| {
            let chunk = &self.chunks[at];
            let Some(texts) = self.texts(chunk, column) else {
                return Ok(());
            };
            let values = texts.values().as_string::<i32>();
            let is_match: Vec<bool> = values
                .iter()
                .map(|value| value.is_some_and(&condition))
                .collect();
            let keys = texts.keys().iter().enumerate();
            let nodes = keys.filter(|(_, key)| key.is_some_and(|key| is_match[key as usize]));
            found.push(nodes.map(|(row, _)| (chunk.start + row) as u32).collect());
            Ok(())
        })?;
        let mut found: Vec<u32> = found.into_iter().flatten().flatten().collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The distinct names of processes.
    #[must_use]
    pub fn comms(&self) -> BTreeSet<&str> {
        let chunks = self.chunks.iter();
        chunks
            .filter_map(|chunk| self.texts(chunk, Column::Comm))
            .flat_map(|texts| texts.values().as_string::<i32>().iter().flatten())
            .collect()
    }

    /// Identity of the process.
    #[must_use]
    pub fn upid(&self, node: u32) -> i64 {
        self.upid[node as usize]
    }

    /// The process that forked it.
    #[must_use]
    pub fn parent(&self, node: u32) -> Option<u32> {
        match self.parent[node as usize] {
            NONE => None,
            parent => Some(parent),
        }
    }

    /// Its ancestors, the parent first.
    pub fn ancestors(&self, node: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(self.parent(node), |node| self.parent(*node))
    }

    /// The root above it, or itself.
    #[must_use]
    pub fn root(&self, node: u32) -> u32 {
        let roots = self.roots.get_or_init(|| {
            let is_root = |node: &u32| self.parent(*node).is_none();
            self.nodes().filter(is_root).collect()
        });
        let after = roots.partition_point(|root| *root <= node);
        after.checked_sub(1).map_or(node, |at| roots[at])
    }

    /// Distance from its root.
    #[must_use]
    pub fn depth(&self, node: u32) -> u32 {
        self.depth[node as usize]
    }

    /// Itself and its descendants, in pre-order.
    #[must_use]
    pub fn subtree(&self, node: u32) -> &[u32] {
        &self.order[node as usize..=self.last[node as usize] as usize]
    }

    /// All nodes in pre-order.
    #[must_use]
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self, node: u32) -> i32 {
        self.number::<Int32Type>(node, Column::Pid).unwrap_or(0)
    }

    /// Start, nanoseconds of CLOCK_BOOTTIME.
    #[must_use]
    pub fn start_ns(&self, node: u32) -> i64 {
        self.number::<Int64Type>(node, Column::StartNs).unwrap_or(0)
    }

    /// End; `None` while it runs.
    #[must_use]
    pub fn end_ns(&self, node: u32) -> Option<i64> {
        self.number::<Int64Type>(node, Column::EndNs)
    }

    /// Exit status.
    #[must_use]
    pub fn exit_code(&self, node: u32) -> Option<i32> {
        self.number::<Int32Type>(node, Column::ExitCode)
    }

    /// Signal that ended it.
    #[must_use]
    pub fn exit_signal(&self, node: u32) -> Option<i32> {
        self.number::<Int32Type>(node, Column::ExitSignal)
    }

    /// Name; empty if not known.
    #[must_use]
    pub fn comm(&self, node: u32) -> &str {
        self.text(node, Column::Comm).unwrap_or("")
    }

    /// Path of its program.
    #[must_use]
    pub fn exe(&self, node: u32) -> Option<&str> {
        self.text(node, Column::Exe)
    }

    /// Quoted arguments; `None` for kernel threads and where not known.
    #[must_use]
    pub fn cmdline(&self, node: u32) -> Option<&str> {
        self.text(node, Column::Cmdline)
            .filter(|line| !line.is_empty())
    }

    /// How it is known: `fork`, `exec`, `snapshot`, `inferred`.
    #[must_use]
    pub fn source(&self, node: u32) -> &str {
        self.text(node, Column::Source).unwrap_or("inferred")
    }

    /// Wall-clock time of its start, microseconds since 1970.
    #[must_use]
    pub fn start_us(&self, node: u32) -> i64 {
        self.boot.clock.wall_us(self.start_ns(node))
    }

    /// A text that a person recognizes it by: its command line, or its name.
    #[must_use]
    pub fn title(&self, node: u32) -> &str {
        self.cmdline(node).unwrap_or_else(|| self.comm(node))
    }

    /// The column with a value of a node, and the row in that.
    fn value(&self, node: u32, column: Column) -> Option<(&ArrayRef, usize)> {
        let node = node as usize;
        let at = self.chunks.partition_point(|chunk| chunk.start <= node) - 1;
        let row = node - self.chunks[at].start;
        match self.places[column as usize] {
            Some(place) => Some((self.chunks[at].batch.column(place), row)),
            None => self.rest.as_ref()?.value(column, at, row),
        }
    }

    fn number<T: ArrowPrimitiveType>(&self, node: u32, column: Column) -> Option<T::Native> {
        let (values, row) = self.value(node, column)?;
        let values = values.as_primitive_opt::<T>()?;
        values.is_valid(row).then(|| values.value(row))
    }

    fn texts<'a>(
        &self,
        chunk: &'a Chunk,
        column: Column,
    ) -> Option<&'a DictionaryArray<Int32Type>> {
        let place = self.places[column as usize]?;
        chunk.batch.column(place).as_dictionary_opt()
    }

    fn text(&self, node: u32, column: Column) -> Option<&str> {
        let (texts, row) = self.value(node, column)?;
        let texts = texts.as_dictionary_opt::<Int32Type>()?;
        let key = texts.key(row)?;
        Some(texts.values().as_string::<i32>().value(key))
    }
}

/// Shared by all that ask for the same forests.
pub type Forests = Arc<Vec<Forest>>;
