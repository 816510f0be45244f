//! Everything about a recording that can be checked against something else in
//! it: checksums, numbers of rows, times, references, ids, sums.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use whence_schemas::place::{Location, Place};
use whence_schemas::read::Batches;
use whence_schemas::segment::sha256;
use whence_schemas::table::BOOT_ID;
use whence_schemas::{
    Error, TABLES, TableDef, exec, exit, fork, frame, ids, layout, loss, mapping, process, sample,
    stack,
};

use crate::Result;
use crate::recording::{Recording, Segment};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or the table.
    pub object: String,
    /// What is wrong with it.
    pub finding: String,
}

/// What was checked.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Segments that were read.
    pub segments: u64,
    /// Rows in them.
    pub rows: u64,
}

/// Columns that name a process, by table.
const PROCESSES: &[(&TableDef, &[&str])] = &[
    (&exec::DEF, &["upid", "parent_upid"]),
    (&fork::DEF, &["parent_upid", "child_upid"]),
    (&exit::DEF, &["upid"]),
    (&sample::DEF, &["upid"]),
    (&mapping::DEF, &["upid"]),
    (&process::DEF, &["parent_upid"]),
];
/// Columns that name a stack.
const STACKS: &[(&TableDef, &[&str])] = &[
    (&exec::DEF, &["kernel_stack_id", "user_stack_id"]),
    (&fork::DEF, &["user_stack_id"]),
    (
        &sample::DEF,
        &["kernel_stack_id", "user_stack_id", "waker_stack_id"],
    ),
];

/// Checks a recording; says which table it is at.
///
/// # Errors
/// If the system does not let it be read.
pub fn verify(recording: &Recording, at: &dyn Fn(&str)) -> Result<Report> {
    let mut this = Verifier {
        recording,
        report: Report::default(),
        refers: HashMap::new(),
        known: HashMap::new(),
        lost: BTreeMap::new(),
    };
    for finding in &recording.findings {
        this.add(layout::MANIFEST, finding.to_string());
    }
    this.files()?;
    for def in TABLES {
        at(def.name);
        for segment in recording.segments_of(def) {
            if let Err(e) = this.segment(segment) {
                this.add(&segment.file.path.to_string(), reason(e));
            }
        }
    }
    this.references();
    this.sums();
    Ok(this.report)
}

/// The cause alone: the object is named beside it.
fn reason(error: Error) -> String {
    match error {
        Error::Corrupt { reason, .. } => reason,
        other => other.to_string(),
    }
}

struct Verifier<'a> {
    recording: &'a Recording,
    report: Report,
    /// Ids that rows refer to, by table and column.
    refers: HashMap<(&'static str, &'static str), HashSet<i64>>,
    /// Ids that there are, by table.
    known: HashMap<&'static str, HashSet<i64>>,
    lost: BTreeMap<String, u64>,
}

impl Verifier<'_> {
    fn add(&mut self, object: &str, finding: impl Into<String>) {
        self.report.findings.push(Finding {
            object: object.to_owned(),
            finding: finding.into(),
        });
    }

    /// Files that are no segments, and files that nobody lists.
    fn files(&mut self) -> Result<()> {
        let manifest = &self.recording.manifest;
        let place = Place::open(&self.recording.dir)?;
        let mut listed: HashSet<&str> = HashSet::new();
        for segment in &manifest.segments {
            if !listed.insert(&segment.file) {
                self.add(&segment.file, "it is listed twice");
            }
        }
        let files = manifest.bundle.iter().flat_map(|bundle| &bundle.files);
        for file in files {
            listed.insert(&file.file);
            if !matches!(file.file.as_str(), "README.md" | "report.html") {
                self.add(&file.file, "no file of that name belongs to a bundle");
                continue;
            }
            let location = match &place {
                Place::Folder(dir) => Ok(Location::from(dir.join(&file.file).as_path())),
                Place::Archive(archive) => archive.find(&file.file).map(|found| found.0),
            };
            let found = location.and_then(|location| {
                let read = location.open().and_then(|slice| sha256(slice.reader(0)));
                read.map_err(Error::io("read", &*location))
            });
            match found {
                Ok((_, sha256)) if sha256 == file.sha256 => {}
                Ok(_) => self.add(&file.file, "its SHA-256 is not the one in recording.json"),
                Err(e) => self.add(&file.file, reason(e)),
            }
        }
        if let Place::Archive(archive) = &place {
            let known = |name: &&str| *name == layout::MANIFEST || listed.contains(name);
            let unlisted: Vec<String> = archive
                .names()
                .filter(|n| !known(n))
                .map(str::to_owned)
                .collect();
            for name in unlisted {
                self.add(&name, "recording.json does not list it");
            }
        }
        Ok(())
    }

    fn segment(&mut self, segment: &Segment) -> whence_schemas::Result<()> {
        let (def, file) = (segment.file.def, &segment.file);
        // Those of a zip were compared when it was opened.
        if self.recording.dir.is_dir() {
            super::check(file, &self.recording.manifest)?;
        }
        let schema = def.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let (mut rows, mut range) = (0_u64, None::<(i64, i64)>);
        let mut problems: BTreeMap<String, u64> = BTreeMap::new();
        for batch in Batches::open(&file.path, def, &columns)? {
            let batch = batch?;
            rows += batch.num_rows() as u64;
            range = merged(range, &batch, def.time_column);
            for field in schema.fields().iter().filter(|f| !f.is_nullable()) {
                let missing = batch
                    .column_by_name(field.name())
                    .map_or(0, |c| c.null_count());
                if missing > 0 {
                    let what = format!("column {} has no value", field.name());
                    *problems.entry(what).or_default() += missing as u64;
                }
            }
            self.rows_of(def, &batch, &mut problems);
        }
        self.report.segments += 1;
        self.report.rows += rows;
        let shown = file.path.to_string();
        if let Some(listed) = file.listed {
            if listed.rows != rows {
                let what = format!(
                    "it has {rows} rows, {} lists {}",
                    layout::MANIFEST,
                    listed.rows
                );
                self.add(&shown, what);
            }
            if range != listed.min_ns.zip(listed.max_ns) {
                self.add(&shown, "its times are not those in recording.json");
            }
        }
        for (what, count) in problems {
            self.add(&shown, format!("{what} in {count} rows"));
        }
        Ok(())
    }

    /// What rows refer to, what they are, and whether their ids are right.
    fn rows_of(
        &mut self,
        def: &'static TableDef,
        batch: &RecordBatch,
        problems: &mut BTreeMap<String, u64>,
    ) {
        for (table, columns) in PROCESSES.iter().chain(STACKS) {
            for column in columns.iter().copied().filter(|_| table.name == def.name) {
                let refers = self.refers.entry((table.name, column)).or_default();
                refers.extend(ints(batch, column));
            }
        }
        let mut problem = |what: &str, count: usize| {
            if count > 0 {
                *problems.entry(what.to_owned()).or_default() += count as u64;
            }
        };
        let boot_id = self.recording.manifest.boot_id.as_str();
        if let Some(ids) = batch.column_by_name(BOOT_ID) {
            let others = ids
                .as_string::<i32>()
                .iter()
                .filter(|id| *id != Some(boot_id));
            problem("boot_id is not that of recording.json", others.count());
        }
        let id = match def.name {
            "process" => {
                problem("upid is not of the pid", wrong_upids(batch));
                "upid"
            }
            "stack" => {
                problem("stack_id is not that of the frames", wrong_stacks(batch));
                self.refers
                    .entry(("stack", "frame_ids"))
                    .or_default()
                    .extend(frames_of(batch));
                "stack_id"
            }
            "frame" => {
                problem("frame_id is not that of the place", wrong_frames(batch));
                "frame_id"
            }
            "symbol" => {
                let refers = self.refers.entry(("symbol", "frame_id")).or_default();
                refers.extend(ints(batch, "frame_id"));
                return;
            }
            "loss" => return self.lose(batch),
            _ => return,
        };
        self.known
            .entry(def.name)
            .or_default()
            .extend(ints(batch, id));
    }

    fn lose(&mut self, batch: &RecordBatch) {
        let streams = batch.column_by_name("stream").map(|c| c.as_string::<i32>());
        let counts = batch
            .column_by_name("count")
            .map(|c| c.as_primitive::<Int64Type>());
        let (Some(streams), Some(counts)) = (streams, counts) else {
            return;
        };
        for (stream, count) in streams.iter().zip(counts.iter()) {
            if let (Some(stream), Some(count)) = (stream, count) {
                let sum = self.lost.entry(stream.to_owned()).or_default();
                *sum = sum.saturating_add(count.max(0).unsigned_abs());
            }
        }
    }

    /// Whether what rows refer to is there. Of a recording that was cut off, it
    /// need not be.
    fn references(&mut self) {
        if self.recording.cut_off() {
            return;
        }
        let complete = self.recording.manifest.process_complete;
        let nothing = HashSet::new();
        let mut missing = Vec::new();
        for ((table, column), ids) in &self.refers {
            let target = match *column {
                "frame_ids" | "frame_id" => frame::DEF.name,
                "kernel_stack_id" | "user_stack_id" | "waker_stack_id" => stack::DEF.name,
                _ if !complete => continue,
                _ => process::DEF.name,
            };
            let known = self.known.get(target).unwrap_or(&nothing);
            let mut absent = ids.iter().filter(|id| !known.contains(id));
            if let Some(first) = absent.next() {
                let count = absent.count() + 1;
                let what = format!(
                    "{column} refers to {count} rows that table {target} does not have, as {first}"
                );
                missing.push(((*table).to_owned(), what));
            }
        }
        missing.sort();
        for (table, what) in missing {
            self.add(&table, what);
        }
    }

    /// Whether the manifest tells the losses that the table has.
    fn sums(&mut self) {
        let told: BTreeMap<String, u64> = self.recording.manifest.lost.clone();
        let told: BTreeMap<_, _> = told.into_iter().filter(|(_, n)| *n > 0).collect();
        self.lost.retain(|_, n| *n > 0);
        if !self.recording.cut_off() && told != self.lost {
            let what = format!(
                "it tells other losses than table {}: {told:?}, not {:?}",
                loss::DEF.name,
                self.lost
            );
            self.add(layout::MANIFEST, what);
        }
    }
}

fn merged(range: Option<(i64, i64)>, batch: &RecordBatch, time: &str) -> Option<(i64, i64)> {
    let of_batch = ints(batch, time).fold(None, |range: Option<(i64, i64)>, at| {
        Some(range.map_or((at, at), |(least, most)| (least.min(at), most.max(at))))
    });
    match (range, of_batch) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

fn ints<'a>(batch: &'a RecordBatch, column: &str) -> impl Iterator<Item = i64> + use<'a> {
    let column = batch.column_by_name(column);
    let column = column.and_then(|column| column.as_primitive_opt::<Int64Type>());
    column.into_iter().flatten().flatten()
}

fn frames_of(batch: &RecordBatch) -> Vec<i64> {
    let lists = batch
        .column_by_name("frame_ids")
        .map(|c| c.as_list::<i32>());
    let values = lists.map(|lists| lists.values().as_primitive::<Int64Type>());
    values.into_iter().flatten().flatten().collect()
}

fn wrong_upids(batch: &RecordBatch) -> usize {
    let pids = batch
        .column_by_name("pid")
        .map(|c| c.as_primitive::<Int32Type>());
    let upids = ints(batch, "upid").zip(pids.into_iter().flatten().flatten());
    upids
        .filter(|(upid, pid)| {
            upid.rem_euclid(ids::UPID_PID_SPAN) != i64::from(*pid).rem_euclid(ids::UPID_PID_SPAN)
        })
        .count()
}

fn wrong_stacks(batch: &RecordBatch) -> usize {
    let of = |name: &str| batch.column_by_name(name);
    let (Some(lists), Some(truncated), Some(unwinder)) =
        (of("frame_ids"), of("truncated"), of("unwinder"))
    else {
        return 0;
    };
    let (lists, unwinder) = (lists.as_list::<i32>(), unwinder.as_string::<i32>());
    let truncated = truncated.as_boolean();
    let stacks = ints(batch, "stack_id").enumerate();
    stacks
        .filter(|(row, id)| {
            let valid = lists.is_valid(*row) && truncated.is_valid(*row) && unwinder.is_valid(*row);
            let frames = lists.value(*row);
            let frames: Vec<i64> = frames
                .as_primitive::<Int64Type>()
                .iter()
                .flatten()
                .collect();
            let right = ids::stack_id(&frames, truncated.value(*row), unwinder.value(*row));
            valid && *id != right
        })
        .count()
}

/// Of a frame without a build-id, the name of the module is part of the id, and
/// may have lost a secret.
fn wrong_frames(batch: &RecordBatch) -> usize {
    let text = |name: &str| batch.column_by_name(name).map(|c| c.as_string::<i32>());
    let offsets = batch
        .column_by_name("offset")
        .map(|c| c.as_primitive::<Int64Type>());
    let (Some(kind), Some(build_id), Some(offsets)) = (text("kind"), text("build_id"), offsets)
    else {
        return 0;
    };
    let frames = ints(batch, "frame_id").enumerate();
    frames
        .filter(|(row, id)| {
            let valid = kind.is_valid(*row) && build_id.is_valid(*row) && offsets.is_valid(*row);
            let right =
                || ids::frame_id(kind.value(*row), build_id.value(*row), offsets.value(*row));
            valid && *id != right()
        })
        .count()
}
