//! How table `process` follows from the events of one boot.
//!
//! Pure and columnar: batches in, batches out. The recorder does this once at
//! the end of a recording; the analyzer does it where a recording was cut off
//! before that, or where several recordings of one boot are merged.
//!
//! - One row per process, in pre-order of the tree: a subtree is a run of rows,
//!   its command lines are alike, and its numbers grow by one, so that it packs
//!   well and a question about it reads little. Siblings are in order of starts.
//! - The **parent** is the one that forked it; else the parent that the
//!   snapshot saw; else the one at its exec. Never the reaper.
//! - The **image** (program, arguments, user, cgroup) is that of the last
//!   successful exec or of a later snapshot; else the one that it inherited,
//!   which is the image of its parent at the moment of the fork.
//! - A process of which only a child, its end or something that it did was seen
//!   gets a row with `source = 'inferred'`.
//!
//! Work is linear but for sorting, and walks arrays in order of starts, so that
//! parents come first; nothing recurses on the depth of the data.

mod nodes;
mod rows;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::{array::AsArray as _, compute::is_not_null};

use crate::table::BOOT_ID;
use crate::tree::{self, Numbering};
use crate::{Result, ids, process};
use nodes::{Nodes, permuted};
use rows::{Kind, NONE, Rows, table_error};

/// Rows of `process` that were true at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The rows: a snapshot, or the complete table of a finished recording.
    pub batches: &'a [RecordBatch],
    /// When they were true, nanoseconds of CLOCK_BOOTTIME: the begin of the
    /// recording for a snapshot, its end for a complete table.
    pub at_ns: i64,
}

/// What was seen of one boot. Columns that are not in [`FORK_COLUMNS`] and its
/// siblings are not looked at. Those of them that only describe an image may
/// be left out and are NULL then, which saves memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Events<'a> {
    /// Rows of `process`, oldest first.
    pub process: &'a [Seen<'a>],
    /// Rows of `fork`.
    pub fork: &'a [RecordBatch],
    /// Rows of `exec`.
    pub exec: &'a [RecordBatch],
    /// Rows of `exit`.
    pub exit: &'a [RecordBatch],
}

/// Columns of `fork` that are used.
pub const FORK_COLUMNS: &[&str] = &[
    "ts_ns",
    "parent_upid",
    "parent_pid",
    "child_upid",
    "child_pid",
    "comm",
];
/// Columns of `exec` that are used.
pub const EXEC_COLUMNS: &[&str] = &[
    "ts_ns",
    "upid",
    "pid",
    "ppid",
    "parent_upid",
    "parent_comm",
    "comm",
    "exe",
    "argv",
    "cmdline",
    "cwd",
    "errno",
    "uid",
    "gid",
    "login_uid",
    "cgroup_id",
    "cgroup_path",
    "container_id",
    "pid_ns",
];
/// Columns of `exit` that are used.
pub const EXIT_COLUMNS: &[&str] = &[
    "ts_ns",
    "upid",
    "pid",
    "comm",
    "exit_code",
    "exit_signal",
    "utime_ns",
    "stime_ns",
    "max_rss_bytes",
];

/// What was odd about the events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Processes of which only a child or the end was seen.
    pub inferred: u64,
    /// Processes whose parent link was dropped since it closed a cycle.
    pub cycles: Vec<i64>,
}

/// Every process of a boot, described by row numbers into the events. The
/// values of a column are put together when they are asked for.
#[derive(Debug)]
pub struct Processes {
    rows: Rows,
    nodes: Nodes,
    numbering: Numbering,
}

/// Derives the processes of one boot.
///
/// # Errors
/// [`Error::Table`](crate::Error::Table) if a column that is needed is missing
/// or of another type.
pub fn process_table(events: &Events<'_>) -> Result<(Processes, Report)> {
    let mut rows = Rows::default();
    for kind in [Kind::Process, Kind::ProcessParent] {
        for seen in events.process {
            rows.add(kind, seen.batches, seen.at_ns)?;
        }
        if kind == Kind::Process {
            rows.add(Kind::Fork, events.fork, 0)?;
            rows.add(Kind::Exec, events.exec, 0)?;
            rows.add(Kind::Exit, events.exit, 0)?;
            rows.add(Kind::ForkParent, events.fork, 0)?;
            rows.add(Kind::ExecParent, events.exec, 0)?;
        }
    }
    let mut nodes = Nodes::collect(&rows)?;
    let numbering = tree::number(&nodes.parent);
    for cut in &numbering.cut {
        nodes.parent[*cut as usize] = NONE;
    }
    let report = Report {
        inferred: nodes.inferred(),
        cycles: numbering
            .cut
            .iter()
            .map(|cut| nodes.upid[*cut as usize])
            .collect(),
    };
    let order = numbering.order();
    nodes.reorder(&order);
    let numbering = Numbering {
        depth: permuted(&numbering.depth, &order),
        first: permuted(&numbering.first, &order),
        last: permuted(&numbering.last, &order),
        cut: Vec::new(),
    };
    let processes = Processes {
        rows,
        nodes,
        numbering,
    };
    Ok((processes, report))
}

impl Processes {
    /// Rows in a batch, at most.
    pub const BATCH_ROWS: usize = 32 * 1024;
    /// Bytes of command lines in a batch, at most, unless one row has more.
    const BATCH_BYTES: usize = 32 << 20;

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.upid.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.upid.is_empty()
    }

    /// All of them as batches of table `process`, in pre-order.
    pub fn batches<'a>(&'a self, boot_id: &'a str) -> impl Iterator<Item = Result<RecordBatch>> {
        let columns: Vec<usize> = (0..=process::DEF.columns.len()).collect();
        self.ranges()
            .map(move |range| self.batch(range, &columns, boot_id))
    }

    /// Ranges of rows that are small enough for a batch each.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let mut start = 0;
        std::iter::from_fn(move || {
            if start == self.len() {
                return None;
            }
            let most = (start + Self::BATCH_ROWS).min(self.len());
            let mut bytes = 0;
            let mut end = start;
            while end < most && (bytes <= Self::BATCH_BYTES || end == start) {
                bytes += self.rows.cmdline_bytes(self.nodes.image[end]);
                end += 1;
            }
            let range = start..end;
            start = end;
            Some(range)
        })
    }

    /// A range of rows with some of the columns of table `process`, by their
    /// index in its schema.
    ///
    /// # Errors
    /// [`Error::Table`](crate::Error::Table) if a column of the input is of
    /// another type than the table's.
    pub fn batch(
        &self,
        range: Range<usize>,
        columns: &[usize],
        boot_id: &str,
    ) -> Result<RecordBatch> {
        let schema = process::DEF.schema();
        let schema = Arc::new(schema.project(columns).map_err(table_error)?);
        let arrays = schema
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                BOOT_ID => Ok(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                    boot_id,
                    range.len(),
                ))) as ArrayRef),
                name => self.column(name, range.clone()),
            })
            .collect::<Result<Vec<_>>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(range.len()));
        RecordBatch::try_new_with_options(schema, arrays, &options).map_err(table_error)
    }

    fn column(&self, name: &str, range: Range<usize>) -> Result<ArrayRef> {
        let nodes = &self.nodes;
        let parents = || nodes.parent[range.clone()].iter().copied();
        let array: ArrayRef = match name {
            "upid" => Arc::new(Int64Array::from_iter_values(
                nodes.upid[range].iter().copied(),
            )),
            "parent_upid" => Arc::new(Int64Array::from_iter(
                parents().map(|p| nodes.upid.get(p as usize).copied()),
            )),
            "pid" => self.pids(range.map(|node| node as u32))?,
            "ppid" => self.pids(parents())?,
            "start_ns" => self.starts(range)?,
            "source" => Arc::new(StringArray::from_iter_values(
                nodes.source[range].iter().map(|source| source.text()),
            )),
            "depth" => Arc::new(Int32Array::from_iter_values(
                self.numbering.depth[range].iter().map(|d| *d as i32),
            )),
            "tree_first" => Arc::new(widen(&self.numbering.first[range])),
            "tree_last" => Arc::new(widen(&self.numbering.last[range])),
            name => self.gathered(name, range)?,
        };
        Ok(array)
    }

    /// A column that comes from the events as it is.
    fn gathered(&self, name: &str, range: Range<usize>) -> Result<ArrayRef> {
        let Some(column) = process::DEF.columns.iter().find(|c| c.name == name) else {
            return Err(table_error(arrow::error::ArrowError::SchemaError(format!(
                "process has no column {name}"
            ))));
        };
        let nodes = &self.nodes;
        let rows = match name {
            "comm" => &nodes.comm,
            "end_ns" | "exit_code" | "exit_signal" | "utime_ns" | "stime_ns" | "max_rss_bytes" => {
                &nodes.ended
            }
            _ => &nodes.image,
        };
        self.rows.gather(
            &(column.data_type)(),
            |kind| match (name, kind) {
                ("comm", kind) => kind.comm(),
                ("end_ns", Kind::Exit) => Some("ts_ns"),
                (_, Kind::Process | Kind::Exec | Kind::Exit) => Some(column.name),
                _ => None,
            },
            &rows[range],
        )
    }

    /// Process ids of nodes. One that no event names has the part of it that is
    /// in the upid.
    fn pids(&self, nodes: impl Iterator<Item = u32> + Clone) -> Result<ArrayRef> {
        let known: Vec<u32> = nodes
            .clone()
            .map(|n| self.nodes.known.get(n as usize).copied().unwrap_or(NONE))
            .collect();
        let data_type = arrow::datatypes::DataType::Int32;
        let named = self
            .rows
            .gather(&data_type, |kind| Some(kind.pid()), &known)?;
        let named = named.as_primitive::<Int32Type>();
        let in_upid = nodes.map(|n| {
            let upid = self.nodes.upid.get(n as usize)?;
            i32::try_from(upid.rem_euclid(ids::UPID_PID_SPAN)).ok()
        });
        let pids = named
            .iter()
            .zip(in_upid)
            .map(|(named, rest)| named.or(rest));
        Ok(Arc::new(Int32Array::from_iter(pids)))
    }

    fn starts(&self, range: Range<usize>) -> Result<ArrayRef> {
        let seen = self.rows.gather_i64(
            |kind| (kind == Kind::Process).then_some("start_ns"),
            &self.nodes.observed[range.clone()],
        )?;
        let in_upid = Int64Array::from_iter_values(
            self.nodes.upid[range]
                .iter()
                .map(|upid| ids::upid_start_ns(*upid)),
        );
        let known = is_not_null(&seen).map_err(table_error)?;
        let starts = zip(&known, &seen, &in_upid).map_err(table_error)?;
        Ok(Arc::new(starts.as_primitive::<Int64Type>().clone()))
    }
}

fn widen(values: &[u32]) -> Int64Array {
    Int64Array::from_iter_values(values.iter().map(|v| i64::from(*v)))
}
