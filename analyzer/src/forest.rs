//! The processes of one boot as a forest of arrays, in order of their starts.
//!
//! A finished recording holds them; for one that was cut off, and where several
//! recordings are of one boot, they are derived from the events. The links and
//! numbers of a file are never trusted: parents are looked up again and the
//! forest numbered again, so a hostile file can give a wrong tree but no loop.

mod table;

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type, Int64Type};
use whence_schemas::derive::{
    self, EXEC_COLUMNS, EXIT_COLUMNS, Events, FORK_COLUMNS, Processes, Seen,
};
use whence_schemas::read::Batches;
use whence_schemas::tree::{self, Numbering};
use whence_schemas::{TableDef, exec, exit, fork, process};

use crate::Result;
use crate::recording::{Boot, Recording, Recordings};

pub use table::ProcessTable;

/// Columns of `process` that a forest holds.
const COLUMNS: &[&str] = &[
    "upid",
    "parent_upid",
    "pid",
    "start_ns",
    "end_ns",
    "comm",
    "exe",
    "cmdline",
    "exit_code",
    "exit_signal",
    "source",
];

/// The processes of one boot.
#[derive(Debug)]
pub struct Forest {
    /// Which boot.
    pub boot: Boot,
    /// Processes whose parent link closed a cycle.
    pub cycles: usize,
    upid: Vec<i64>,
    parent: Vec<Option<u32>>,
    numbering: Numbering,
    /// Nodes in pre-order.
    order: Vec<u32>,
    /// The row of each node: files are in pre-order, nodes in order of starts.
    row: Vec<u32>,
    batches: Vec<RecordBatch>,
    /// First row of each batch.
    starts: Vec<usize>,
}

impl Forest {
    /// The forest of a boot.
    ///
    /// # Errors
    /// If a segment turns out to be damaged.
    pub fn load(recordings: &Recordings, boot: &Boot) -> Result<Self> {
        if let Some(recording) = complete(recordings, boot) {
            let batches = read(recording, &process::DEF, COLUMNS)?;
            if let Some(forest) = Self::of(boot, batches) {
                return Ok(forest);
            }
        }
        let wanted: Vec<usize> = COLUMNS
            .iter()
            .filter_map(|name| process::DEF.schema().index_of(name).ok())
            .collect();
        let processes = derive_boot(recordings, boot, COLUMNS)?;
        let batches = processes
            .ranges()
            .map(|range| processes.batch(range, &wanted, &boot.boot_id))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(boot, batches).unwrap_or_else(|| Self::empty(boot)))
    }

    /// The forests of all boots.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_all(recordings: &Recordings) -> Result<Vec<Self>> {
        let boots = recordings.boots();
        boots
            .iter()
            .map(|boot| Self::load(recordings, boot))
            .collect()
    }

    fn empty(boot: &Boot) -> Self {
        Self {
            boot: boot.clone(),
            cycles: 0,
            upid: Vec::new(),
            parent: Vec::new(),
            numbering: Numbering::default(),
            order: Vec::new(),
            row: Vec::new(),
            batches: Vec::new(),
            starts: Vec::new(),
        }
    }

    /// Links rows that are each of another process; `None` if they are not.
    fn of(boot: &Boot, mut batches: Vec<RecordBatch>) -> Option<Self> {
        batches.retain(|batch| batch.num_rows() > 0);
        let column = |batch: &RecordBatch, name: &str| {
            let column = batch.column_by_name(name)?;
            Some(column.as_primitive_opt::<Int64Type>()?.clone())
        };
        let mut forest = Self::empty(boot);
        let (mut upids, mut parents) = (Vec::new(), Vec::new());
        for batch in &batches {
            forest.starts.push(upids.len());
            let upid = column(batch, "upid")?;
            if upid.null_count() > 0 {
                return None;
            }
            upids.extend_from_slice(upid.values());
            parents.extend(column(batch, "parent_upid")?.iter());
        }
        let mut row: Vec<u32> = (0..u32::try_from(upids.len()).ok()?).collect();
        row.sort_by_key(|row| upids[*row as usize]);
        forest.upid = row.iter().map(|row| upids[*row as usize]).collect();
        if !forest.upid.is_sorted_by(|a, b| a < b) {
            return None;
        }
        forest.parent = row
            .iter()
            .map(|row| forest.node_of(parents[*row as usize]?))
            .collect();
        forest.row = row;
        forest.numbering = tree::number(&forest.parent);
        for cut in &forest.numbering.cut {
            forest.parent[*cut as usize] = None;
        }
        forest.cycles = forest.numbering.cut.len();
        forest.order = forest.numbering.order();
        forest.batches = batches;
        Some(forest)
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
        let at = self.upid.binary_search(&upid).ok()?;
        u32::try_from(at).ok()
    }

    /// Nodes of processes with this pid, in order of their starts.
    pub fn nodes_of_pid(&self, pid: i32) -> impl Iterator<Item = u32> {
        self.nodes().filter(move |node| self.pid(*node) == pid)
    }

    /// All nodes, in order of their starts.
    pub fn nodes(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.upid.len() as u32
    }

    /// Identity of the process.
    #[must_use]
    pub fn upid(&self, node: u32) -> i64 {
        self.upid[node as usize]
    }

    /// The process that forked it.
    #[must_use]
    pub fn parent(&self, node: u32) -> Option<u32> {
        self.parent[node as usize]
    }

    /// Its ancestors, the parent first.
    pub fn ancestors(&self, node: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(self.parent(node), |node| self.parent(*node))
    }

    /// Distance from its root.
    #[must_use]
    pub fn depth(&self, node: u32) -> u32 {
        self.numbering.depth[node as usize]
    }

    /// Itself and its descendants, in pre-order.
    #[must_use]
    pub fn subtree(&self, node: u32) -> &[u32] {
        let first = self.numbering.first[node as usize] as usize;
        let last = self.numbering.last[node as usize] as usize;
        &self.order[first..=last]
    }

    /// All nodes in pre-order.
    #[must_use]
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self, node: u32) -> i32 {
        self.number::<Int32Type>(node, "pid").unwrap_or(0)
    }

    /// Start, nanoseconds of CLOCK_BOOTTIME.
    #[must_use]
    pub fn start_ns(&self, node: u32) -> i64 {
        self.number::<Int64Type>(node, "start_ns").unwrap_or(0)
    }

    /// End; `None` while it runs.
    #[must_use]
    pub fn end_ns(&self, node: u32) -> Option<i64> {
        self.number::<Int64Type>(node, "end_ns")
    }

    /// Exit status.
    #[must_use]
    pub fn exit_code(&self, node: u32) -> Option<i32> {
        self.number::<Int32Type>(node, "exit_code")
    }

    /// Signal that ended it.
    #[must_use]
    pub fn exit_signal(&self, node: u32) -> Option<i32> {
        self.number::<Int32Type>(node, "exit_signal")
    }

    /// Name; empty if not known.
    #[must_use]
    pub fn comm(&self, node: u32) -> &str {
        self.text(node, "comm").unwrap_or("")
    }

    /// Path of its program.
    #[must_use]
    pub fn exe(&self, node: u32) -> Option<&str> {
        self.text(node, "exe")
    }

    /// Quoted arguments; `None` for kernel threads and where not known.
    #[must_use]
    pub fn cmdline(&self, node: u32) -> Option<&str> {
        self.text(node, "cmdline").filter(|line| !line.is_empty())
    }

    /// How it is known: `fork`, `exec`, `snapshot`, `inferred`.
    #[must_use]
    pub fn source(&self, node: u32) -> &str {
        self.text(node, "source").unwrap_or("inferred")
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

    fn place(&self, node: u32) -> (&RecordBatch, usize) {
        let row = self.row[node as usize] as usize;
        let batch = self.starts.partition_point(|start| *start <= row) - 1;
        (&self.batches[batch], row - self.starts[batch])
    }

    fn number<T: ArrowPrimitiveType>(&self, node: u32, column: &str) -> Option<T::Native> {
        let (batch, row) = self.place(node);
        let column = batch.column_by_name(column)?.as_primitive_opt::<T>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn text(&self, node: u32, column: &str) -> Option<&str> {
        let (batch, row) = self.place(node);
        let column = batch.column_by_name(column)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row))
    }
}

/// The one recording of a boot that holds its processes complete.
fn complete<'a>(recordings: &'a Recordings, boot: &Boot) -> Option<&'a Recording> {
    let [only] = boot.recordings[..] else {
        return None;
    };
    let recording = &recordings.all[only];
    recording.manifest.process_complete.then_some(recording)
}

/// Derives the processes of a boot, with those columns that describe an image
/// only if they are wanted.
fn derive_boot(recordings: &Recordings, boot: &Boot, wanted: &[&str]) -> Result<Processes> {
    let mut process = Vec::new();
    let (mut forks, mut execs, mut exits) = (Vec::new(), Vec::new(), Vec::new());
    // What describes an image is read only if it is wanted; what links and
    // orders processes always.
    let describes = ["exe", "argv", "cmdline", "cwd", "uid", "gid", "login_uid"];
    let used = |name: &&str| !describes.contains(name) || wanted.contains(name);
    let exec_columns: Vec<&str> = EXEC_COLUMNS.iter().copied().filter(used).collect();
    let process_columns: Vec<&str> = process::DEF
        .columns
        .iter()
        .map(|c| c.name)
        .filter(used)
        .collect();
    for at in &boot.recordings {
        let recording = &recordings.all[*at];
        let (start, end) = recording.range_ns();
        for segment in recording.segments_of(&process::DEF) {
            let at_ns = match recording.manifest.process_complete {
                true => end,
                false => segment.file.listed.and_then(|l| l.at_ns).unwrap_or(start),
            };
            let rows = Batches::open(&segment.file.path, &process::DEF, &process_columns)?;
            process.push((rows.collect::<Result<Vec<_>, _>>()?, at_ns));
        }
        forks.extend(read(recording, &fork::DEF, FORK_COLUMNS)?);
        execs.extend(read(recording, &exec::DEF, &exec_columns)?);
        exits.extend(read(recording, &exit::DEF, EXIT_COLUMNS)?);
    }
    let seen: Vec<Seen<'_>> = process
        .iter()
        .map(|(batches, at_ns)| Seen {
            batches,
            at_ns: *at_ns,
        })
        .collect();
    let (processes, _) = derive::process_table(&Events {
        process: &seen,
        fork: &forks,
        exec: &execs,
        exit: &exits,
    })?;
    Ok(processes)
}

/// All rows of a table of a recording.
fn read(
    recording: &Recording,
    def: &'static TableDef,
    columns: &[&str],
) -> Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    for segment in recording.segments_of(def) {
        for batch in Batches::open(&segment.file.path, def, columns)? {
            batches.push(batch?);
        }
    }
    Ok(batches)
}

/// Shared by all that ask for the same forests.
pub type Forests = Arc<Vec<Forest>>;
