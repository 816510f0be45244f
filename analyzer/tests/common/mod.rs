//! Tells small stories as recordings, through the same writer as the recorder,
//! and runs `whence` on them.
//!
//! Times are milliseconds after the begin of the recording, which is
//! 2026-01-02 13:00:00 UTC. A column that a story does not speak of is NULL, or
//! zero where it cannot be.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot write its story has failed"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow::json::ReaderBuilder;
use serde_json::{Map, Value, json};
use whence_schemas::derive::{Events, Seen, process_table};
use whence_schemas::{TABLES, TableDef, ids, segment};

const MS: i64 = 1_000_000;
/// CLOCK_BOOTTIME at the begin.
pub(crate) const BOOT_NS: i64 = 10_000 * 1_000 * MS;
/// CLOCK_REALTIME at the begin.
const REAL_NS: i64 = 1_767_358_800 * 1_000 * MS;

/// A recording in the making.
pub(crate) struct Story {
    host: String,
    boot_id: String,
    rows: BTreeMap<&'static str, Vec<Value>>,
    upids: HashMap<i32, i64>,
    execs: HashMap<i32, i32>,
    images: HashMap<i32, (String, String)>,
    end_ms: i64,
    finished: bool,
}

impl Story {
    /// A recording of a host.
    pub(crate) fn new(host: &str) -> Self {
        Self {
            host: host.into(),
            boot_id: format!("boot-of-{host}"),
            rows: BTreeMap::new(),
            upids: HashMap::new(),
            execs: HashMap::new(),
            images: HashMap::new(),
            end_ms: 0,
            finished: true,
        }
    }

    /// The recorder is killed before it can finish.
    pub(crate) fn cut_off(mut self) -> Self {
        self.finished = false;
        self
    }

    /// A process that runs already: it began an hour before, later by its pid
    /// in milliseconds.
    pub(crate) fn running(mut self, pid: i32, parent: i32, comm: &str, cmdline: &str) -> Self {
        let start_ns = BOOT_NS - 3_600_000 * MS + i64::from(pid) * MS;
        let upid = ids::upid(start_ns, pid);
        let parent_upid = self.upids.get(&parent).copied();
        self.upids.insert(pid, upid);
        self.images.insert(pid, (comm.into(), cmdline.into()));
        let argv: Vec<&str> = cmdline.split(' ').collect();
        self.row(
            "process",
            json!({
                "upid": upid, "parent_upid": parent_upid, "pid": pid, "ppid": parent,
                "start_ns": start_ns, "comm": comm, "exe": argv[0], "argv": argv,
                "cmdline": cmdline, "source": "snapshot",
            }),
        )
    }

    /// A process is forked, by this call path, root first.
    pub(crate) fn fork_from(mut self, ms: i64, parent: i32, child: i32, stack: &[&str]) -> Self {
        let ts_ns = BOOT_NS + ms * MS;
        let parent_upid = self.upid(parent);
        let child_upid = ids::upid(ts_ns, child);
        self.upids.insert(child, child_upid);
        let image = self.images.get(&parent).cloned().unwrap_or_default();
        let stack_id = self.stack("user", stack, ts_ns);
        let comm = image.0.clone();
        self.images.insert(child, image);
        self.row(
            "fork",
            json!({
                "ts_ns": ts_ns, "parent_upid": parent_upid, "parent_pid": parent,
                "parent_tid": parent, "child_upid": child_upid, "child_pid": child,
                "comm": comm, "user_stack_id": stack_id,
            }),
        )
    }

    /// A process is forked.
    pub(crate) fn fork(self, ms: i64, parent: i32, child: i32) -> Self {
        self.fork_from(ms, parent, child, &[])
    }

    /// A process executes a program; `ppid` is who the parent is then.
    pub(crate) fn exec(self, ms: i64, pid: i32, ppid: i32, argv: &[&str]) -> Self {
        self.exec_with(ms, pid, ppid, argv, json!({}))
    }

    /// The same with more columns.
    pub(crate) fn exec_with(
        mut self,
        ms: i64,
        pid: i32,
        ppid: i32,
        argv: &[&str],
        more: Value,
    ) -> Self {
        let name = argv[0].rsplit('/').next().unwrap_or(argv[0]).to_owned();
        let line = whence_schemas::quote::command_line(argv.iter().map(|a| a.as_bytes()));
        let ts_ns = BOOT_NS + ms * MS;
        let upid = self.upid(pid);
        let seq = self.execs.entry(pid).or_default();
        *seq += 1;
        let seq = *seq;
        let parent_comm = self.images.get(&ppid).map(|i| i.0.clone());
        self.images.insert(pid, (name.clone(), line.clone()));
        let parent_upid = self.upids.get(&ppid).copied();
        let mut row = json!({
            "ts_ns": ts_ns, "time": wall_us(ts_ns), "upid": upid, "exec_seq": seq,
            "pid": pid, "tid": pid, "ppid": ppid, "parent_upid": parent_upid,
            "parent_comm": parent_comm.unwrap_or_default(), "comm": name,
            "filename": argv[0], "exe": argv[0], "argv": argv, "argc": argv.len(),
            "argv_state": "complete", "cmdline": line, "errno": 0,
        });
        merge(&mut row, more);
        self.row("exec", row)
    }

    /// A process ends.
    pub(crate) fn exit(self, ms: i64, pid: i32, code: i32) -> Self {
        let upid = self.upid(pid);
        let comm = self.images.get(&pid).map_or("", |i| &i.0).to_owned();
        self.row(
            "exit",
            json!({
                "ts_ns": BOOT_NS + ms * MS, "upid": upid, "pid": pid, "comm": comm,
                "exit_code": code,
            }),
        )
    }

    /// Fork, exec and end of a program that runs for five milliseconds.
    pub(crate) fn run(self, ms: i64, parent: i32, pid: i32, argv: &[&str]) -> Self {
        self.fork(ms, parent, pid)
            .exec(ms + 1, pid, parent, argv)
            .exit(ms + 5, pid, 0)
    }

    /// Stack events of one kind, with their kernel and user stack, root first.
    pub(crate) fn samples(
        mut self,
        count: i64,
        event: &str,
        (context, comm): (&str, &str),
        kernel: &[&str],
        user: &[&str],
    ) -> Self {
        for i in 0..count {
            let ts_ns = BOOT_NS + i * MS;
            let kernel_id = self.stack("kernel", kernel, ts_ns);
            let user_id = self.stack("user", user, ts_ns);
            let weight = if event == "cpu-clock" { 10 * MS } else { 1 };
            self = self.row(
                "sample",
                json!({
                    "ts_ns": ts_ns, "event_id": ids::event_id(event), "pid": 7, "tid": 7,
                    "comm": comm, "event": event, "context": context, "weight": weight,
                    "kernel_stack_id": kernel_id, "user_stack_id": user_id,
                }),
            );
        }
        self
    }

    /// Events are lost.
    pub(crate) fn lost(
        self,
        stream: &str,
        cause: &str,
        from_ms: i64,
        to_ms: i64,
        count: i64,
    ) -> Self {
        self.row(
            "loss",
            json!({
                "stream": stream, "cause": cause, "t0_ns": BOOT_NS + from_ms * MS,
                "t1_ns": BOOT_NS + to_ms * MS, "count": count,
            }),
        )
    }

    /// Any row of any table.
    pub(crate) fn row(mut self, table: &'static str, row: Value) -> Self {
        if let Some(ts_ns) = row.get("ts_ns").and_then(Value::as_i64) {
            self.end_ms = self.end_ms.max((ts_ns - BOOT_NS) / MS);
        }
        self.rows.entry(table).or_default().push(row);
        self
    }

    fn upid(&self, pid: i32) -> i64 {
        let forgotten = ids::upid(BOOT_NS - 1_000 * MS, pid);
        self.upids.get(&pid).copied().unwrap_or(forgotten)
    }

    /// A call path, root first, with a symbol for each frame.
    fn stack(&mut self, kind: &str, functions: &[&str], ts_ns: i64) -> Option<i64> {
        if functions.is_empty() {
            return None;
        }
        let mut frames = Vec::new();
        for function in functions.iter().rev() {
            let frame_id = ids::frame_id(kind, function, 0);
            frames.push(frame_id);
            let known = |table: &str| {
                let rows = self.rows.get(table).map_or(&[][..], Vec::as_slice);
                rows.iter().any(|row| row["frame_id"] == frame_id)
            };
            if !known("frame") {
                let named = !function.starts_with("0x");
                self.rows.entry("frame").or_default().push(json!({
                    "frame_id": frame_id, "kind": kind, "first_ns": ts_ns,
                    "address": i64::from_str_radix(function.trim_start_matches("0x"), 16)
                        .unwrap_or(0),
                }));
                if named {
                    self.rows.entry("symbol").or_default().push(json!({
                        "frame_id": frame_id, "function": function, "source": "elf",
                        "first_ns": ts_ns,
                    }));
                }
            }
        }
        let stack_id = ids::stack_id(&frames, false, "fp");
        let rows = self.rows.entry("stack").or_default();
        if rows.iter().all(|row| row["stack_id"] != stack_id) {
            rows.push(json!({
                "stack_id": stack_id, "frame_ids": frames, "unwinder": "fp",
                "first_ns": ts_ns,
            }));
        }
        Some(stack_id)
    }

    /// Writes the recording as `NAME.whence` in a folder.
    pub(crate) fn write(self, folder: &Path, name: &str) -> PathBuf {
        let dir = folder.join(format!("{name}.whence"));
        let mut segments = Vec::new();
        let mut batches: BTreeMap<&str, RecordBatch> = BTreeMap::new();
        for def in TABLES {
            std::fs::create_dir_all(dir.join(def.name)).unwrap();
            let rows = self.rows.get(def.name).map_or(&[][..], Vec::as_slice);
            batches.insert(def.name, batch(def, rows, &self.boot_id));
        }
        if self.finished {
            let complete = complete(&batches, &self.boot_id);
            batches.insert("process", complete);
        }
        for def in TABLES {
            let written = segment::write(&dir, def, 1, &[batches[def.name].clone()]).unwrap();
            segments.push(serde_json::to_value(&written).unwrap());
        }
        let end_ns = BOOT_NS + self.end_ms * MS;
        let manifest = json!({
            "format_version": 1,
            "recording_id": format!("id-of-{name}"),
            "recorder_version": "0.1.0",
            "host": {"hostname": self.host, "machine": "x86_64", "cpus": 2, "os": "Linux"},
            "boot_id": self.boot_id,
            "kernel": {"release": "6.1.0", "version": "#1", "build_id": null},
            "clock": {"boot_ns": BOOT_NS, "mono_ns": BOOT_NS, "real_ns": REAL_NS},
            "end_ns": self.finished.then_some(end_ns),
            "options": {},
            "state": if self.finished { "finished" } else { "recording" },
            "process_complete": self.finished,
            "segments": segments,
        });
        let text = serde_json::to_vec_pretty(&manifest).unwrap();
        std::fs::write(dir.join("recording.json"), text).unwrap();
        dir
    }
}

fn wall_us(ts_ns: i64) -> i64 {
    (ts_ns - BOOT_NS + REAL_NS) / 1_000
}

fn merge(row: &mut Value, more: Value) {
    if let (Value::Object(row), Value::Object(more)) = (row, more) {
        row.extend(more);
    }
}

/// Rows as a batch, with a default for each column that must not be NULL.
fn batch(def: &'static TableDef, rows: &[Value], boot_id: &str) -> RecordBatch {
    let schema = def.schema();
    if rows.is_empty() {
        return RecordBatch::new_empty(schema);
    }
    let complete = |row: &Value| {
        let mut complete = defaults(&schema, boot_id);
        if let Value::Object(row) = row {
            for (name, value) in row {
                assert!(complete.contains_key(name), "{} has no {name}", def.name);
                complete.insert(name.clone(), value.clone());
            }
        }
        Value::Object(complete)
    };
    let rows: Vec<Value> = rows.iter().map(complete).collect();
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema))
        .with_batch_size(rows.len())
        .build_decoder()
        .unwrap();
    decoder.serialize(&rows).unwrap();
    decoder.flush().unwrap().unwrap()
}

fn defaults(schema: &Schema, boot_id: &str) -> Map<String, Value> {
    let default = |data_type: &DataType| match data_type {
        DataType::Utf8 => json!(""),
        DataType::Boolean => json!(false),
        DataType::List(_) => json!([]),
        _ => json!(0),
    };
    let mut defaults: Map<String, Value> = schema
        .fields()
        .iter()
        .map(|field| {
            let value = match field.is_nullable() {
                true => Value::Null,
                false => default(field.data_type()),
            };
            (field.name().clone(), value)
        })
        .collect();
    defaults.insert("boot_id".into(), json!(boot_id));
    defaults
}

/// Table `process` as the recorder writes it at the end.
fn complete(batches: &BTreeMap<&str, RecordBatch>, boot_id: &str) -> RecordBatch {
    let (processes, _) = process_table(&Events {
        process: &[Seen {
            batches: &[batches["process"].clone()],
            at_ns: BOOT_NS,
        }],
        fork: &[batches["fork"].clone()],
        exec: &[batches["exec"].clone()],
        exit: &[batches["exit"].clone()],
    })
    .unwrap();
    let rows: Vec<RecordBatch> = processes.batches(boot_id).map(Result::unwrap).collect();
    let schema = whence_schemas::process::DEF.schema();
    arrow::compute::concat_batches(&schema, &rows).unwrap()
}

/// Writes a story to a folder that lives as long as the test.
pub(crate) fn recorded(story: Story) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let recording = story.write(folder.path(), "story");
    (folder, recording)
}

/// Runs `whence` with these arguments, on a screen 100 columns wide.
pub(crate) fn whence(args: &[&str]) -> Output {
    whence_in(Path::new("/"), args)
}

/// The same in a directory.
pub(crate) fn whence_in(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_whence"))
        .args(args)
        .current_dir(dir)
        .env("COLUMNS", "100")
        .output()
        .unwrap()
}

/// Runs `whence COMMAND -i RECORDING ARGS` and gives what it prints.
pub(crate) fn answer(recording: &Path, args: &[&str]) -> String {
    let output = on(recording, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `whence query -i RECORDING ARGS` and gives the rows of its answer.
pub(crate) fn rows(recording: &Path, args: &[&str]) -> Vec<Value> {
    let args = [&["query"], args, &["--format", "json"]].concat();
    serde_json::from_str(&answer(recording, &args)).unwrap()
}

/// Runs `whence COMMAND -i RECORDING ARGS`.
pub(crate) fn on(recording: &Path, args: &[&str]) -> Output {
    let mut all = vec![args[0], "-i", recording.to_str().unwrap()];
    all.extend(&args[1..]);
    whence(&all)
}

/// Asserts that a command fails with this code, and gives what it says.
pub(crate) fn refused(output: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{errors}");
    errors
}

/// Compares with a golden text, which begins with an end of line and may be
/// indented as a whole.
#[track_caller]
pub(crate) fn assert_reads(found: &str, golden: &str) {
    let lines: Vec<&str> = golden.trim_start_matches('\n').lines().collect();
    let indent = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let golden: Vec<&str> = lines
        .iter()
        .map(|line| line.get(indent..).unwrap_or("").trim_end())
        .collect();
    let golden = golden.join("\n");
    assert_eq!(found.trim_end(), golden.trim_end(), "\nfound:\n{found}");
}
