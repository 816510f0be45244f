use arrow::array::{Array as _, AsArray as _};

use super::*;
use crate::manifest::State;
use crate::segment::{self, OpenSegment, Segment};
use crate::{FORMAT_VERSION, fork};

fn row(ts_ns: i64, child_upid: i64) -> fork::Row<'static> {
    fork::Row {
        ts_ns,
        parent_upid: 1,
        parent_pid: 1,
        parent_tid: 1,
        child_upid,
        child_pid: 7,
        comm: "sh",
        flags: 0,
        user_stack_id: None,
    }
}

fn write_segment(dir: &Path, number: u32, upids: &[i64]) -> Segment {
    std::fs::create_dir_all(dir.join("fork")).unwrap();
    let mut rows = fork::Builder::default();
    for upid in upids {
        rows.push(row(*upid, *upid));
    }
    segment::write(dir, &fork::DEF, number, &[rows.finish("boot").unwrap()]).unwrap()
}

fn manifest(state: State, segments: Vec<Segment>) -> Manifest {
    Manifest {
        format_version: FORMAT_VERSION,
        recording_id: "r".into(),
        recorder_version: "0".into(),
        boot_id: "boot".into(),
        state,
        segments,
        ..Manifest::default()
    }
}

fn upids(batches: &[RecordBatch]) -> Vec<i64> {
    let column = |b: &RecordBatch| {
        b.column_by_name("child_upid")
            .unwrap()
            .as_primitive::<arrow::datatypes::Int64Type>()
            .clone()
    };
    batches
        .iter()
        .flat_map(|b| column(b).values().to_vec())
        .collect()
}

#[test]
fn columns_come_in_the_order_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let listed = vec![
        write_segment(dir.path(), 1, &[1, 2]),
        write_segment(dir.path(), 2, &[3]),
    ];
    let manifest = manifest(State::Finished, listed);
    let batches = batches(dir.path(), &manifest, &fork::DEF, &["comm", "child_upid"]).unwrap();
    assert_eq!(upids(&batches), [1, 2, 3]);
    assert_eq!(batches[0].schema().field(0).name(), "comm");
    assert_eq!(batches[0].num_columns(), 2);
}

#[test]
fn a_segment_finished_just_before_the_recorder_was_killed_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let listed = vec![write_segment(dir.path(), 1, &[1])];
    write_segment(dir.path(), 2, &[2]);
    std::fs::write(dir.path().join("fork/.000003.tmp"), "half").unwrap();
    let cut_off = manifest(State::Recording, listed.clone());
    let read = batches(dir.path(), &cut_off, &fork::DEF, &["child_upid"]).unwrap();
    assert_eq!(upids(&read), [1, 2]);
    let finished = manifest(State::Finished, listed);
    let read = batches(dir.path(), &finished, &fork::DEF, &["child_upid"]).unwrap();
    assert_eq!(upids(&read), [1]);
}

#[test]
fn a_truncated_or_missing_segment_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let listed = vec![
        write_segment(dir.path(), 1, &[1]),
        write_segment(dir.path(), 2, &[2]),
        write_segment(dir.path(), 3, &[3]),
    ];
    let path = dir.path().join("fork/000001.parquet");
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    std::fs::remove_file(dir.path().join("fork/000002.parquet")).unwrap();
    let found = inventory(dir.path(), &manifest(State::Finished, listed));
    let findings: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
    assert!(findings[0].contains("000001.parquet is corrupt: it has"));
    assert!(findings[1].contains("000002.parquet is corrupt: it is missing"));
    assert_eq!(found.segments.len(), 1);
}

/// The manifest of a stranger must not make us read other files of this host.
#[test]
fn names_and_links_that_lead_outside_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    write_segment(other.path(), 1, &[1]);
    let good = write_segment(dir.path(), 1, &[1]);
    let target = other.path().join("fork/000001.parquet");
    std::os::unix::fs::symlink(&target, dir.path().join("fork/000002.parquet")).unwrap();
    for file in [
        "../fork/000001.parquet",
        "fork/../../x/000001.parquet",
        "exec/000001.parquet",
        "fork/000002.parquet",
        "/etc/passwd",
    ] {
        let bad = Segment {
            file: file.into(),
            ..good.clone()
        };
        let found = inventory(dir.path(), &manifest(State::Finished, vec![bad]));
        assert!(found.segments.is_empty(), "{file}");
        assert_eq!(found.findings.len(), 1, "{file}");
    }
}

#[test]
fn flipped_bytes_are_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    write_segment(dir.path(), 1, &(0..200).collect::<Vec<_>>());
    let path = dir.path().join("fork/000001.parquet");
    let text = std::fs::read(&path).unwrap();
    let mut damaged = 0;
    for at in (0..text.len()).step_by(7) {
        let mut flipped = text.clone();
        flipped[at] ^= 0xff;
        std::fs::write(&path, &flipped).unwrap();
        let read = Batches::open(path.as_path(), &fork::DEF, &["ts_ns", "child_upid", "comm"])
            .and_then(Iterator::collect::<Result<Vec<_>>>);
        match read {
            Err(Error::Corrupt { path: named, .. }) => {
                assert_eq!(named, path);
                damaged += 1;
            }
            Err(e) => panic!("{e}"),
            Ok(_) => {}
        }
    }
    assert!(damaged > 0);
}

#[test]
fn a_column_of_a_newer_version_reads_as_null() {
    let schema = Schema::new(vec![Field::new("ts_ns", DataType::Int64, false)]);
    let old = RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(arrow::array::Int64Array::from(vec![5]))],
    )
    .unwrap();
    let wanted = super::schema(&fork::DEF, &["comm", "ts_ns"]).unwrap();
    let read = conform(Path::new("x"), &wanted, &old).unwrap();
    assert!(read.column(0).is_null(0));
    assert!(read.column(1).is_valid(0));
}

#[test]
fn a_column_of_another_type_is_damage() {
    let schema = Schema::new(vec![Field::new("ts_ns", DataType::Utf8, false)]);
    let refused = check(Path::new("x.parquet"), &fork::DEF, &schema).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "x.parquet is corrupt: column ts_ns is Utf8, not Int64"
    );
}

/// What threads read group by group is what one reads from begin to end.
#[test]
fn row_groups_read_apart_with_dictionaries_are_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("fork")).unwrap();
    let mut open = OpenSegment::create(dir.path(), &fork::DEF, 1).unwrap();
    for part in 0..3 {
        let mut rows = fork::Builder::default();
        for i in 0..100 {
            rows.push(fork::Row {
                ts_ns: part * 100 + i,
                child_upid: i,
                comm: if i % 2 == 0 { "sh" } else { "make" },
                ..fork::Row::default()
            });
        }
        open.write(&rows.finish("boot").unwrap()).unwrap();
        open.flush().unwrap();
    }
    let path = dir.path().join(open.finish().unwrap().file);
    let columns = ["comm", "ts_ns"];
    let whole = Batches::open(&path, &fork::DEF, &columns).unwrap();
    let whole: Vec<RecordBatch> = whole.map(Result::unwrap).collect();
    let reader = SegmentReader::open(&path, &fork::DEF, Texts::Dictionaries).unwrap();
    assert_eq!(reader.row_groups(), 3);
    let groups = (0..3).flat_map(|g| reader.batches(Some(g), &columns, 64).unwrap());
    let groups: Vec<RecordBatch> = groups.map(Result::unwrap).collect();
    let texts: Vec<String> = groups
        .iter()
        .flat_map(|batch| {
            let texts = batch
                .column(0)
                .as_dictionary::<arrow::datatypes::Int32Type>();
            let values = texts.values().as_string::<i32>().clone();
            let keys: Vec<_> = texts.keys().iter().flatten().collect();
            keys.into_iter()
                .map(move |key| values.value(key as usize).to_owned())
        })
        .collect();
    let expected = whole.iter().flat_map(|batch| {
        let texts = batch.column(0).as_string::<i32>().clone();
        (0..texts.len()).map(move |row| texts.value(row).to_owned())
    });
    assert_eq!(texts, expected.collect::<Vec<_>>());
    assert_eq!(texts.len(), 300);
}

#[test]
fn some_rows_of_a_row_group_are_those_that_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let upids: Vec<i64> = (1_000..1_500).collect();
    let segment = write_segment(dir.path(), 1, &upids);
    let path = dir.path().join(&segment.file);
    let reader = SegmentReader::open(path.as_path(), &fork::DEF, Texts::Dictionaries).unwrap();
    let chosen = |rows: &[u32]| reader.chosen(0, &["comm", "child_upid"], rows);
    let rows = [0, 1, 2, 7, 255, 498, 499];
    let batch = chosen(&rows).unwrap();
    assert_eq!(
        self::upids(&[batch]),
        rows.map(|row| i64::from(row) + 1_000)
    );
    assert_eq!(chosen(&[]).unwrap().num_rows(), 0);
    chosen(&[499, 500]).unwrap_err();
}

#[test]
fn columns_of_few_texts_are_told_from_those_of_many() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("exec")).unwrap();
    let mut rows = crate::exec::Builder::default();
    for i in 0..10_000 {
        rows.push(crate::exec::Row {
            comm: ["sh", "awk"][i % 2],
            cmdline: &i.to_string(),
            ..crate::exec::Row::default()
        });
    }
    let batch = rows.finish("boot").unwrap();
    let segment = segment::write(dir.path(), &crate::exec::DEF, 1, &[batch]).unwrap();
    let path = dir.path().join(&segment.file);
    let reader = SegmentReader::open(path.as_path(), &crate::exec::DEF, Texts::Values).unwrap();
    let schema = reader.schema_of_few();
    let is_numbered = |name: &str| {
        let field = schema.field_with_name(name).unwrap();
        matches!(field.data_type(), DataType::Dictionary(_, _))
    };
    assert!(is_numbered("comm") && is_numbered("boot_id"));
    assert!(!is_numbered("cmdline") && !is_numbered("ts_ns"));
}
