//! `whence compact`: the same answers from fewer files, and no recording that is
//! half of each.
#![allow(clippy::unwrap_used, reason = "a test that cannot write has failed")]

mod common;

use common::{Story, answer, recorded, refused, whence};
use whence_schemas::lock::Lock;
use whence_schemas::manifest::Manifest;

fn story() -> Story {
    Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(500, 1, "cron", "/usr/sbin/cron -f")
        .run(60_000, 500, 901, &["awk", "{print}", "/proc/meminfo"])
        .run(120_000, 500, 902, &["awk", "{print}", "/proc/meminfo"])
        .samples(
            3,
            "cpu-clock",
            ("task", "awk"),
            &["do_syscall_64", "vfs_read"],
            &["main"],
        )
}

const QUESTIONS: &[&[&str]] = &[
    &["who", "awk"],
    &["tree"],
    &["why", "vfs_read"],
    &["top"],
    &[
        "query",
        "SELECT * FROM exec ORDER BY ts_ns",
        "--format",
        "json",
    ],
    &[
        "query",
        "SELECT * FROM process ORDER BY upid",
        "--format",
        "json",
    ],
    &[
        "query",
        "SELECT * FROM stack ORDER BY stack_id",
        "--format",
        "json",
    ],
];

#[test]
fn answers_are_the_same_as_before() {
    let (_folder, recording) = recorded(story());
    let ask = || -> Vec<String> { QUESTIONS.iter().map(|q| answer(&recording, q)).collect() };
    let before = ask();
    let said = whence(&["compact", recording.to_str().unwrap()]);
    assert!(said.status.success(), "{said:?}");
    assert_eq!(ask(), before);
}

#[test]
fn a_second_run_changes_nothing() {
    let (_folder, recording) = recorded(story());
    let run = || whence(&["compact", recording.to_str().unwrap()]);
    assert!(run().status.success());
    let first = Manifest::read(&recording).unwrap().segments;
    let again = run();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(said.contains("compact already"), "{said}");
    assert_eq!(Manifest::read(&recording).unwrap().segments, first);
}

#[test]
fn a_recording_that_is_written_or_was_cut_off_is_refused() {
    let (_folder, recording) = recorded(story());
    let lock = Lock::take(&recording).unwrap();
    refused(&whence(&["compact", recording.to_str().unwrap()]), 1);
    drop(lock);
    let (_folder, recording) = recorded(story().cut_off());
    let said = refused(&whence(&["compact", recording.to_str().unwrap()]), 2);
    assert!(said.contains("whence recover"), "{said}");
}

#[test]
fn too_little_memory_is_a_limit_that_says_what_to_do() {
    let (_folder, recording) = recorded(story());
    let path = recording.to_str().unwrap();
    let compact = whence(&["compact", path, "--max-memory", "1KB"]);
    assert!(refused(&compact, 5).contains("--max-memory"));
    for question in [
        &["who", "awk"][..],
        &["tree"],
        &["why", "vfs_read"],
        &["top"],
    ] {
        // What spills needs next to nothing, but not quite.
        let bounded = [question, &["-i", path, "--max-memory", "1B"]].concat();
        let said = refused(&whence(&bounded), 5);
        assert!(said.contains("--max-memory"), "{question:?}: {said}");
    }
    assert!(answer(&recording, &["who", "awk"]).contains("awk"));
}
