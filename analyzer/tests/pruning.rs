//! Only what a question needs is read: of the columns, the segments and the
//! pages, as the engine itself counts them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot read what was counted has failed"
)]

mod common;

use std::path::{Path, PathBuf};

use common::{Story, answer, rows};
use serde_json::{Value, json};
use whence_schemas::{ids, sample, segment};

/// Samples of a segment: some pages of them.
const ROWS: i64 = 60_000;
/// Time between two samples.
const STEP_NS: i64 = 1_000_000;
/// Time of the first.
const BEGIN_NS: i64 = 10_000_000_000_000;

/// A recording with as many segments of samples, one after the other in time.
fn recorded(folder: &Path, name: &str, segments: u32) -> PathBuf {
    let dir = Story::new(name)
        .running(1, 0, "init", "/sbin/init")
        .write(folder, name);
    let path = dir.join("recording.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for number in 2..segments + 2 {
        let first = i64::from(number - 2) * ROWS;
        let mut samples = sample::Builder::default();
        for at in first..first + ROWS {
            let ts_ns = BEGIN_NS + at * STEP_NS;
            samples.push(sample::Row {
                ts_ns,
                event_id: ids::event_id("cpu-clock"),
                upid: Some(ids::upid(ts_ns, 7)),
                comm: "sh",
                event: "cpu-clock",
                context: "task",
                weight: STEP_NS,
                ..sample::Row::default()
            });
        }
        let batch = samples.finish(&format!("boot-of-{name}")).unwrap();
        let written = segment::write(&dir, &sample::DEF, number, &[batch]).unwrap();
        let segments = manifest["segments"].as_array_mut().unwrap();
        segments.push(serde_json::to_value(&written).unwrap());
    }
    std::fs::write(&path, manifest.to_string()).unwrap();
    dir
}

/// What the engine counted while it read the table.
struct Scan(String);

impl Scan {
    fn of(recording: &Path, question: &str) -> Self {
        let sql = format!("EXPLAIN ANALYZE {question}");
        let plan = answer(recording, &["query", &sql]);
        let scan = plan.split("DataSourceExec: ").nth(1);
        Self(scan.unwrap_or_else(|| panic!("{plan}")).to_owned())
    }

    /// The segments that are left.
    fn segments(&self) -> usize {
        let groups = self.0.split("]]}").next().unwrap();
        groups.matches(".parquet").count()
    }

    /// How many there were, and how many were left.
    fn pruned(&self, metric: &str) -> (u64, u64) {
        let rest = self.0.split(&format!("{metric}=")).nth(1).unwrap();
        let words: Vec<&str> = rest.split([' ', ',']).collect();
        let number = |at: usize| match words[at + 1] {
            "K" => (words[at].parse::<f64>().unwrap() * 1e3) as u64,
            _ => words[at].parse().unwrap(),
        };
        (number(0), number(3))
    }
}

#[test]
fn segments_that_cannot_hold_a_time_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let recording = recorded(dir.path(), "a", 3);
    let from = BEGIN_NS + ROWS * STEP_NS;
    let question = format!("SELECT sum(weight) FROM sample WHERE ts_ns >= {from}");
    let scan = Scan::of(&recording, &question);
    assert_eq!(scan.segments(), 2, "{}", scan.0);
    let upid = ids::upid(from, 7);
    let question = format!("SELECT weight FROM sample WHERE upid = {upid}");
    let scan = Scan::of(&recording, &question);
    assert_eq!(scan.segments(), 1, "{}", scan.0);
    assert_eq!(rows(&recording, &[&question]), [json!({"weight": STEP_NS})]);
}

#[test]
fn pages_that_cannot_hold_a_time_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let recording = recorded(dir.path(), "a", 1);
    let (from, to) = (BEGIN_NS + 5 * STEP_NS, BEGIN_NS + 7 * STEP_NS);
    let question = format!("SELECT weight FROM sample WHERE ts_ns BETWEEN {from} AND {to}");
    let scan = Scan::of(&recording, &question);
    let (pages, read) = scan.pruned("page_index_pages_pruned");
    assert!(pages >= 3 && read == 1, "{}", scan.0);
    assert_eq!(rows(&recording, &[&question]).len(), 3);
}

#[test]
fn recordings_of_other_hosts_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path(), "a", 1);
    recorded(dir.path(), "b", 1);
    for filter in ["host = 'b'", "recording_id = 'id-of-b'"] {
        let question = format!("SELECT sum(weight) FROM sample WHERE {filter}");
        let scan = Scan::of(dir.path(), &question);
        assert_eq!(scan.segments(), 1, "{}", scan.0);
    }
}

/// A filter is decided on its own columns; the others are decoded only for the
/// rows that pass.
#[test]
fn columns_are_read_only_if_and_where_they_are_needed() {
    let dir = tempfile::tempdir().unwrap();
    let recording = recorded(dir.path(), "a", 1);
    let bytes = |question: &str| {
        let scan = Scan::of(&recording, question);
        let rest = scan.0.split("scan_efficiency_ratio=").nth(1).unwrap();
        rest.split('%').next().unwrap().parse::<f64>().unwrap()
    };
    let all = bytes("SELECT * FROM sample");
    let one = bytes("SELECT sum(weight) FROM sample");
    assert!(one < all / 4.0, "{one} of {all}");
    let question = format!("SELECT comm FROM sample WHERE ts_ns % {ROWS} = 7");
    let scan = Scan::of(&recording, &question);
    assert!(
        scan.0.contains("pushdown_rows_pruned=60.00 K"),
        "{}",
        scan.0
    );
}

/// The least and the greatest are found whatever the segments are pruned by.
#[test]
fn pruning_changes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let recording = recorded(dir.path(), "a", 2);
    let last = BEGIN_NS + (2 * ROWS - 1) * STEP_NS;
    let found = rows(
        &recording,
        &["SELECT min(ts_ns) AS a, max(ts_ns) AS b, count(*) AS n FROM sample"],
    );
    assert_eq!(found, [json!({"a": BEGIN_NS, "b": last, "n": 2 * ROWS})]);
    let none = "SELECT count(*) AS n FROM sample WHERE ts_ns < 0 OR host = 'nobody'";
    assert_eq!(rows(&recording, &[none]), [json!({"n": 0})]);
    let newest = "SELECT ts_ns FROM sample ORDER BY ts_ns DESC LIMIT 1";
    assert_eq!(rows(&recording, &[newest]), [json!({"ts_ns": last})]);
}
