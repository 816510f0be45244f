use std::os::unix::fs::symlink;

use super::*;
use crate::{fork, read};

/// A recording that was killed: one segment listed, one finished but not listed,
/// one being written.
fn killed() -> (tempfile::TempDir, PathBuf) {
    let top = tempfile::tempdir().unwrap();
    let dir = top.path().join("x.whence");
    fs::create_dir(&dir).unwrap();
    make_folders(&dir).unwrap();
    let mut manifest = Manifest {
        format_version: crate::FORMAT_VERSION,
        boot_id: "boot".into(),
        ..Manifest::default()
    };
    manifest.segments.push(forks(&dir, 1, 10));
    manifest.write(&dir).unwrap();
    forks(&dir, 2, 20);
    fs::write(dir.join("fork/.000003.tmp"), "PAR1").unwrap();
    fs::write(dir.join(layout::UNFINISHED_MANIFEST), "{").unwrap();
    (top, dir)
}

fn forks(dir: &Path, number: u32, ts_ns: i64) -> segment::Segment {
    let mut rows = fork::Builder::default();
    rows.push(fork::Row {
        ts_ns,
        parent_upid: 1,
        child_upid: ts_ns,
        comm: "sh",
        ..fork::Row::default()
    });
    let batch = rows.finish("boot").unwrap();
    segment::write(dir, &fork::DEF, number, &[batch]).unwrap()
}

fn files(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path.display().to_string()),
        }
    }
    all.sort();
    all
}

#[test]
fn what_was_finished_is_listed_and_the_rest_removed() {
    let (_top, dir) = killed();
    recover(&dir).unwrap();
    let manifest = Manifest::read(&dir).unwrap();
    assert_eq!(manifest.state, State::Finished);
    assert_eq!(manifest.end_ns, Some(20));
    assert!(manifest.process_complete);
    assert_eq!(manifest.missing.len(), 1, "{:?}", manifest.missing);
    assert_eq!(manifest.segments_of("fork").count(), 2);
    // Three: the parent was seen by its children only.
    let rows: u64 = manifest.segments_of("process").map(|s| s.rows).sum();
    assert_eq!(rows, 3);
    for def in TABLES {
        assert!(manifest.segments_of(def.name).next().is_some());
    }
    assert!(files(&dir).iter().all(|f| !f.ends_with(".tmp")));
}

#[test]
fn a_second_time_changes_nothing() {
    let (_top, dir) = killed();
    recover(&dir).unwrap();
    let before: Vec<_> = files(&dir)
        .into_iter()
        .map(|f| (fs::read(&f).unwrap(), f))
        .collect();
    assert_eq!(recover(&dir).unwrap(), Recovered::default());
    let after: Vec<_> = files(&dir)
        .into_iter()
        .map(|f| (fs::read(&f).unwrap(), f))
        .collect();
    assert!(before == after);
}

#[test]
fn damage_is_put_aside_and_told() {
    let (_top, dir) = killed();
    fs::write(dir.join("fork/000002.parquet"), "PAR1 and no more").unwrap();
    fs::remove_file(dir.join("fork/000001.parquet")).unwrap();
    recover(&dir).unwrap();
    let manifest = Manifest::read(&dir).unwrap();
    let missing = manifest.missing.join("\n");
    for file in ["fork/000001.parquet", "fork/000002.parquet"] {
        assert!(missing.contains(file), "{missing}");
    }
    assert!(read::inventory(&dir, &manifest).findings.is_empty());
    assert!(dir.join("fork/.000002.parquet.damaged").exists());
    assert_eq!(recover(&dir).unwrap(), Recovered::default());
}

#[test]
fn a_recording_that_is_written_is_left_alone() {
    let (_top, dir) = killed();
    let before = files(&dir);
    let _lock = Lock::take(&dir).unwrap();
    assert!(matches!(recover(&dir), Err(Error::InUse { .. })));
    assert_eq!(files(&dir), before);
}

#[test]
fn nothing_is_written_through_links_of_a_stranger() {
    let (top, dir) = killed();
    let outside = top.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "x").unwrap();
    fs::remove_file(dir.join(layout::UNFINISHED_MANIFEST)).unwrap();
    symlink(
        outside.join("precious"),
        dir.join(layout::UNFINISHED_MANIFEST),
    )
    .unwrap();
    recover(&dir).unwrap();
    assert_eq!(fs::read(outside.join("precious")).unwrap(), b"x");
    fs::remove_dir_all(dir.join("process")).unwrap();
    symlink(&outside, dir.join("process")).unwrap();
    assert!(matches!(recover(&dir), Err(Error::Corrupt { .. })));
    assert_eq!(files(&outside).len(), 1);
}
