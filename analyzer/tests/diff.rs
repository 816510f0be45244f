//! What is told of the difference between two recordings, and what is not.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot write its story has failed"
)]

mod common;

use std::path::{Path, PathBuf};

use common::{Story, assert_reads, refused, whence};
use serde_json::Value;

/// Ten seconds of a host: `date` 50 times, ending with 1 in the last `failing`
/// runs, with CPU samples.
fn host(runs: i32, failing: i32) -> Story {
    let mut story = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(9, 1, "cron", "/usr/sbin/cron");
    for i in 0..runs {
        let (pid, ms) = (100 + i, i64::from(i) * 10_000 / i64::from(runs));
        let code = i32::from(i >= runs - failing);
        story = story
            .fork(ms, 9, pid)
            .exec(ms + 1, pid, 9, &["/bin/date"])
            .exit(ms + 5, pid, code);
    }
    story.row(
        "clock",
        serde_json::json!({"ts_ns": 10_010_000_000_000_i64}),
    )
}

fn burning(story: Story, left: i64, right: i64) -> Story {
    story
        .samples(left, "cpu-clock", ("task", "sh"), &["entry", "left"], &[])
        .samples(right, "cpu-clock", ("task", "sh"), &["entry", "right"], &[])
}

fn written(dir: &Path, name: &str, story: Story) -> PathBuf {
    story.write(dir, name)
}

fn diff(a: &Path, b: &Path, args: &[&str]) -> String {
    let paths = ["diff", a.to_str().unwrap(), b.to_str().unwrap()];
    let output = whence(&[&paths, args].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn rows(a: &Path, b: &Path, args: &[&str]) -> Vec<Value> {
    let text = diff(a, b, &[args, &["--format", "json"]].concat());
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_is_new_gone_and_changed_is_told_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let a = written(dir.path(), "before", burning(host(50, 0), 90, 10));
    let b = host(50, 40).run(300, 9, 900, &["/usr/bin/curl", "-s"]);
    let b = written(dir.path(), "after", burning(b, 50, 50));
    assert_reads(
        &diff(&a, &b, &[]),
        "
        A  before.whence: 10.0 s of web1
           complete: nothing was lost
        B  after.whence: 10.0 s of web1
           complete: nothing was lost

        programs, runs in a time
                           A          B   ratio
        new               -     6.0/min          curl

        how programs ended, share of their ends
                           A          B   ratio
        changed      100.0%       20.0%   ×0.20  date: exit status 0
        new               -       80.0%          date: exit status 1

        functions on call paths, share of cpu-clock
                           A          B   ratio
        changed       10.0%       50.0%   ×5.00  right
        changed       90.0%       50.0%   ×0.56  left

        call paths, share of cpu-clock
                           A          B   ratio
        changed       10.0%       50.0%   ×5.00  entry;right
        changed       90.0%       50.0%   ×0.56  entry;left
        ",
    );
}

#[test]
fn two_recordings_of_the_same_load_do_not_differ() {
    let dir = tempfile::tempdir().unwrap();
    let a = written(dir.path(), "a", burning(host(50, 1), 52, 48));
    let b = written(dir.path(), "b", burning(host(55, 2), 49, 51));
    let text = diff(&a, &b, &[]);
    assert!(
        text.contains("no difference that is more than chance"),
        "{text}"
    );
    assert_eq!(rows(&a, &b, &[]).len(), 0);
    let all = rows(&a, &b, &["--all"]);
    let date = all.iter().find(|r| r["kind"] == "command").unwrap();
    assert_eq!(date["name"], "date");
    assert_eq!([&date["a_count"], &date["b_count"]], [50, 55]);
    assert_eq!(date["notable"], false);
    let chain = all.iter().find(|r| r["kind"] == "chain").unwrap();
    assert_eq!(chain["name"], "systemd > cron > date");
}

#[test]
fn a_recording_does_not_differ_from_itself() {
    let dir = tempfile::tempdir().unwrap();
    let a = written(dir.path(), "a", burning(host(50, 1), 52, 48));
    for row in rows(&a, &a, &["--all"]) {
        assert_eq!(row["deviation"], 0.0, "{row}");
        assert_eq!(row["a_value"], row["b_value"], "{row}");
    }
}

#[test]
fn an_event_that_only_one_recorded_is_not_compared() {
    let dir = tempfile::tempdir().unwrap();
    let a = written(dir.path(), "a", burning(host(50, 1), 5, 5));
    let b = written(dir.path(), "b", host(50, 1));
    let text = diff(&a, &b, &[]);
    assert!(text.contains("cpu-clock was recorded only in A"), "{text}");
}

#[test]
fn loss_is_said_of_each_side() {
    let dir = tempfile::tempdir().unwrap();
    let a = written(
        dir.path(),
        "a",
        host(5, 1).lost("exec", "ring full", 0, 9, 7),
    );
    let b = written(dir.path(), "b", host(5, 1));
    let text = diff(&a, &b, &[]);
    assert!(text.contains("lost: 7 exec events"), "{text}");
    let said = refused(&whence(&["diff", a.to_str().unwrap()]), 2);
    assert!(said.contains("<B>"), "{said}");
}
