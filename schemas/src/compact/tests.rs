#![allow(clippy::unwrap_used, reason = "a test that cannot write has failed")]

use super::*;
use crate::manifest::State;
use crate::{fork, process, segment, stack};
use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;

const LOTS: usize = 1 << 30;

fn forks(times: &[i64]) -> RecordBatch {
    let mut rows = fork::Builder::default();
    for ts_ns in times {
        rows.push(fork::Row {
            ts_ns: *ts_ns,
            parent_upid: 1,
            child_upid: 100 + ts_ns,
            comm: "sh",
            ..fork::Row::default()
        });
    }
    rows.finish("boot").unwrap()
}

fn stacks(ids: &[i64]) -> RecordBatch {
    let mut rows = stack::Builder::default();
    for id in ids {
        rows.push(stack::Row {
            stack_id: *id,
            frame_ids: &[*id, 7],
            unwinder: "fp",
            ..stack::Row::default()
        });
    }
    rows.finish("boot").unwrap()
}

/// A recording of several segments that overlap in time.
fn recording(dir: &Path) -> Manifest {
    let text = serde_json::json!({
        "format_version": 1, "recording_id": "r", "recorder_version": "0", "host":
        {"hostname": "h", "machine": "m", "cpus": 1, "os": "o"}, "boot_id": "boot",
        "kernel": {"release": "6", "version": "1", "build_id": null},
        "clock": {"boot_ns": 0, "mono_ns": 0, "real_ns": 0}, "end_ns": 99, "options": {},
        "state": "finished", "process_complete": false, "segments": [],
    });
    let mut manifest: Manifest = serde_json::from_value(text).unwrap();
    for def in TABLES {
        fs::create_dir_all(dir.join(def.name)).unwrap();
    }
    let mut add = |def, number, batch| {
        let written = segment::write(dir, def, number, &[batch]).unwrap();
        manifest.segments.push(written);
    };
    add(&fork::DEF, 1, forks(&[1, 5, 3]));
    add(&fork::DEF, 2, forks(&[4, 2, 8]));
    add(&fork::DEF, 3, forks(&[9, 7]));
    add(&stack::DEF, 1, stacks(&[30, 10]));
    add(&stack::DEF, 2, stacks(&[10, 20]));
    manifest.write(dir).unwrap();
    manifest
}

fn run(dir: &Path, manifest: &mut Manifest) -> Compacted {
    compact(dir, manifest, LOTS, &mut |_, _, _| ()).unwrap()
}

fn values(dir: &Path, def: &'static TableDef, column: &str) -> Vec<i64> {
    let manifest = Manifest::read(dir).unwrap();
    let batches = read::batches(dir, &manifest, def, &[column]).unwrap();
    let value = |batch: &RecordBatch| {
        batch
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    };
    batches.iter().flat_map(value).collect()
}

#[test]
fn rows_are_in_order_over_all_segments_and_call_paths_are_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut manifest = recording(dir.path());
    let done = run(dir.path(), &mut manifest);
    assert_eq!(done.segments, (5, TABLES.len()));
    assert_eq!(
        values(dir.path(), &fork::DEF, "ts_ns"),
        [1, 2, 3, 4, 5, 7, 8, 9]
    );
    assert_eq!(values(dir.path(), &stack::DEF, "stack_id"), [10, 20, 30]);
    assert_eq!(values(dir.path(), &process::DEF, "upid").len(), 9);
    let manifest = Manifest::read(dir.path()).unwrap();
    assert!(manifest.process_complete && manifest.state == State::Finished);
    assert!(is_compact(dir.path(), &manifest).unwrap());
}

#[test]
fn only_listed_files_are_left_whatever_an_interrupted_run_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut manifest = recording(dir.path());
    fs::write(dir.path().join("fork/000009.parquet"), "half").unwrap();
    fs::write(dir.path().join("fork/.000010.tmp"), "half").unwrap();
    run(dir.path(), &mut manifest);
    let left: Vec<_> = fs::read_dir(dir.path().join("fork")).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn a_recording_that_does_not_fit_or_is_damaged_stays_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut manifest = recording(dir.path());
    let before = manifest.segments.clone();
    let refused = compact(dir.path(), &mut manifest, 10, &mut |_, _, _| ());
    assert!(matches!(refused, Err(Error::Memory { .. })), "{refused:?}");
    fs::write(dir.path().join("stack/000002.parquet"), "damaged").unwrap();
    let refused = compact(dir.path(), &mut manifest, LOTS, &mut |_, _, _| ());
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
    assert_eq!(Manifest::read(dir.path()).unwrap().segments, before);
    let left = fs::read_dir(dir.path().join("fork")).unwrap().count();
    assert_eq!(left, 3);
}
