//! The generator of large recordings: what it writes is a recording, and always
//! the same.
#![allow(clippy::unwrap_used, reason = "a test that cannot write has failed")]

use std::path::Path;
use std::process::Command;

use whence_schemas::manifest::{Manifest, State};

fn generate(dir: &Path, more: &[&str]) -> Manifest {
    let output = Command::new(env!("CARGO_BIN_EXE_whence-generate"))
        .args(["--processes", "6k", "--samples", "20k", "--stacks", "2k"])
        .args(more)
        .arg("-o")
        .arg(dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Manifest::read(dir).unwrap()
}

fn rows(manifest: &Manifest, table: &str) -> u64 {
    manifest.segments_of(table).map(|s| s.rows).sum()
}

#[test]
fn the_same_options_write_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let first = generate(&folder.path().join("a.whence"), &[]);
    let again = generate(&folder.path().join("b.whence"), &[]);
    let other = generate(&folder.path().join("c.whence"), &["--seed", "2"]);
    assert_eq!(first.segments, again.segments);
    assert_ne!(first.segments, other.segments);
}

#[test]
fn it_is_as_large_as_asked_for_and_ends_as_a_recording_does() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = generate(&folder.path().join("a.whence"), &["--segment", "4"]);
    assert_eq!(manifest.state, State::Finished);
    assert_eq!(rows(&manifest, "sample"), 20_000);
    let forks = rows(&manifest, "fork");
    // The last ones were to start just after the end.
    assert!((5_900..6_031).contains(&forks), "{forks}");
    assert!(rows(&manifest, "process") > forks);
    assert!(manifest.segments_of("exec").count() >= 3);
    let cut_off = generate(&folder.path().join("b.whence"), &["--cut-off"]);
    assert_eq!(cut_off.state, State::Recording);
}

#[test]
fn chains_and_stars_are_as_deep_and_as_wide_as_they_have_processes() {
    let folder = tempfile::tempdir().unwrap();
    for shape in ["chain", "star"] {
        let dir = folder.path().join(shape);
        let manifest = generate(&dir, &["--shape", shape]);
        let depths = whence_schemas::read::batches(
            &dir,
            &manifest,
            &whence_schemas::process::DEF,
            &["depth"],
        );
        let deepest = depths
            .unwrap()
            .iter()
            .filter_map(|batch| {
                use arrow::array::AsArray as _;
                let depth = batch
                    .column(0)
                    .as_primitive::<arrow::datatypes::Int32Type>();
                arrow::compute::max(depth)
            })
            .max();
        let expected = if shape == "chain" { 6_001 } else { 2 };
        assert_eq!(deepest, Some(expected), "{shape}");
    }
}
