//! A short run of `whence-fuzz` on every reader: its corpus, which holds every
//! input that was ever found to break one, and a few inputs made of it.
//! `make fuzz` runs longer.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot run the harness has failed"
)]

use std::path::Path;
use std::process::{Command, Output};

use whence_tests::program;

/// Inputs that are made of the corpus. They are the same ones every time.
const RUNS: &str = "25";

fn fuzz(args: &[&str]) -> Output {
    let save = tempfile::tempdir().unwrap();
    Command::new(program("whence-fuzz"))
        .args(args)
        .args(["--seconds", "600", "--save"])
        .arg(save.path())
        .output()
        .unwrap()
}

fn holds(target: &str) {
    let output = fuzz(&[target, "--runs", RUNS]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_bundle_of_a_stranger_breaks_no_promise() {
    holds("bundle");
}

#[test]
fn a_manifest_of_a_stranger_breaks_no_promise() {
    holds("manifest");
}

#[test]
fn a_segment_of_a_stranger_breaks_no_promise() {
    holds("segment");
}

#[test]
fn rows_of_a_stranger_break_no_promise() {
    holds("rows");
}

#[test]
fn rules_of_redaction_break_no_promise() {
    holds("rules");
}

#[test]
fn arguments_of_a_stranger_break_no_promise() {
    holds("arguments");
}

#[test]
fn programs_and_debug_files_of_a_stranger_break_no_promise() {
    holds("symbols");
}

/// A harness that notices nothing would be content with everything.
#[test]
fn each_kind_of_broken_promise_is_noticed() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/selftest");
    let tried = |name: &str| fuzz(&["selftest", corpus.join(name).to_str().unwrap()]);
    assert!(tried("none").status.success());
    for (name, noticed) in [
        ("panic", "it panicked: panicked at"),
        ("caught-panic", "which was caught"),
        ("abort", "it aborted"),
        ("memory", "it aborted, as without memory"),
        ("time", "s of CPU time"),
        ("neighbour", "it wrote outside of its output"),
        ("far-away", "ermission denied"),
        ("terminal", "it printed what a terminal obeys"),
    ] {
        let output = tried(name);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(said.contains(noticed), "{name}: {said}");
    }
}
