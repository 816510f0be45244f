//! `whence who` on stories whose answer is known.

mod common;

use common::{Story, answer, assert_reads, on, refused};
use serde_json::{Value, json};

const AWK: &[&str] = &[
    "/usr/bin/awk",
    "/^(MemFree|Cached):/ {print $2}",
    "/proc/meminfo",
];

/// ksmtuned runs before the recording; each round forks a subshell, which forks
/// awk.
fn ksmtuned() -> Story {
    let mut story = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(2, 0, "kthreadd", "")
        .running(907, 1, "ksmtuned", "/bin/bash /usr/sbin/ksmtuned");
    for round in 0..5 {
        let (ms, pid) = (i64::from(round) * 60_000, 1_000 + round * 10);
        story = story
            .fork(ms, 907, pid)
            .fork_from(
                ms + 1,
                pid,
                pid + 1,
                &["main", "execute_command", "make_child"],
            )
            .exec(ms + 2, pid + 1, pid, AWK)
            .exit(ms + 4, pid + 1, 0)
            .exit(ms + 5, pid, 0);
    }
    story
}

#[test]
fn the_chain_of_a_script_that_ran_before_the_recording_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let recording = ksmtuned().write(dir.path(), "ksm");
    assert_reads(
        &answer(&recording, &["who", "awk"]),
        "
        complete: nothing was lost

        awk: 5 runs

        1. 5 runs, every 1m00s, 2026-01-02 13:00:00 to 13:04:00 UTC
           systemd 1                  /sbin/init  since 12:00:00, before the recording
           └─ ksmtuned 907            /bin/bash /usr/sbin/ksmtuned  since 12:00:00, before the recording
              └─ ksmtuned (subshell) ×5
                 └─ awk ×5
           5× /usr/bin/awk '/^(MemFree|Cached):/ {print $2}' /proc/meminfo
           from ksmtuned, pid 907: /bin/bash /usr/sbin/ksmtuned
           forked by
             main → execute_command → make_child
        ",
    );
}

#[test]
fn a_recording_that_was_cut_off_gives_the_same_chain_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let whole = ksmtuned().write(dir.path(), "whole");
    let cut = ksmtuned().cut_off().write(dir.path(), "cut");
    let whole = answer(&whole, &["who", "awk"]);
    let cut = answer(&cut, &["who", "awk"]);
    let (warning, rest) = cut.split_once('\n').unwrap();
    assert!(
        warning.starts_with("cut off: cut.whence was not finished"),
        "{warning}"
    );
    assert_eq!(rest, whole.split_once('\n').unwrap().1);
}

/// A process whose parent has gone is adopted. Whoever adopted it did not start
/// it.
#[test]
fn the_reaper_is_never_presented_as_the_origin() {
    let dir = tempfile::tempdir().unwrap();
    let recording = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(50, 1, "cron", "/usr/sbin/cron")
        .fork(10, 50, 60)
        .fork(11, 60, 61)
        .exit(12, 60, 0)
        .exec(20, 61, 1, &["/usr/bin/backup"])
        .write(dir.path(), "orphan");
    let text = answer(&recording, &["who", "backup"]);
    assert!(text.contains("from cron, pid 50"), "{text}");
}

#[test]
fn a_parent_that_nobody_saw_is_said_to_be_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let recording = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .fork(10, 777, 61)
        .exec(20, 61, 777, &["/usr/bin/backup"])
        .write(dir.path(), "unknown");
    let text = answer(&recording, &["who", "backup"]);
    assert!(text.contains("what started this is not known"), "{text}");
    assert!(!text.contains("systemd"), "{text}");
}

/// `env awk` is one process that is first env and then awk.
#[test]
fn programs_that_a_process_executed_before_are_part_of_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let recording = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .fork(10, 1, 61)
        .exec(11, 61, 1, &["/usr/bin/env", "awk"])
        .exec(12, 61, 1, AWK)
        .write(dir.path(), "env");
    let text = answer(&recording, &["who", "awk"]);
    assert!(text.contains("env then exec"), "{text}");
}

/// The parent has since become another program; the chain is what it was.
#[test]
fn an_ancestor_is_shown_with_the_program_that_it_ran_at_the_fork() {
    let dir = tempfile::tempdir().unwrap();
    let recording = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .fork(10, 1, 60)
        .exec(11, 60, 1, &["/bin/deploy"])
        .run(20, 60, 61, AWK)
        .exec(30, 60, 1, &["/bin/sleep", "1000"])
        .write(dir.path(), "image");
    let text = answer(&recording, &["who", "awk"]);
    assert!(text.contains("from deploy, pid 60"), "{text}");
    assert!(!text.contains("sleep"), "{text}");
}

#[test]
fn different_chains_are_told_apart_the_most_frequent_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut story = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(50, 1, "cron", "/usr/sbin/cron")
        .run(5, 1, 60, &["/bin/ls", "/"]);
    for i in 0..4 {
        story = story.run(1_000 * i64::from(i), 50, 70 + i, &["/bin/ls", "/tmp"]);
    }
    let recording = story.write(dir.path(), "two");
    let text = answer(&recording, &["who", "^ls$", "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let key = |row: &Value| (row["ancestors"].clone(), row["runs"].clone());
    assert_eq!(key(&rows[0]), (json!("systemd > cron"), json!(4)));
    assert_eq!(key(&rows[1]), (json!("systemd"), json!(1)));
    assert_eq!(rows[0]["period_ns"], json!(1_000_000_000));
    assert_eq!(rows[1]["period_ns"], Value::Null);
}

#[test]
fn a_daemon_that_never_executes_anything_is_found_too() {
    let dir = tempfile::tempdir().unwrap();
    let recording = ksmtuned().write(dir.path(), "ksm");
    let text = answer(&recording, &["who", "ksmtuned"]);
    assert!(text.contains("1 running before the recording"), "{text}");
}

#[test]
fn a_whole_command_line_can_be_matched() {
    let dir = tempfile::tempdir().unwrap();
    let recording = ksmtuned().write(dir.path(), "ksm");
    refused(&on(&recording, &["who", "meminfo"]), 1);
    let text = answer(&recording, &["who", "--cmdline", "meminfo"]);
    assert!(text.contains("5 runs"), "{text}");
}

#[test]
fn escape_sequences_in_arguments_do_not_reach_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let recording = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .run(5, 1, 60, &["/bin/ls", "\u{1b}]0;owned\u{7}"])
        .write(dir.path(), "evil");
    for format in ["table", "json", "csv"] {
        let text = answer(&recording, &["who", "ls", "--format", format]);
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}'),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_program_is_refused_with_near_names() {
    let dir = tempfile::tempdir().unwrap();
    let recording = ksmtuned().write(dir.path(), "ksm");
    let said = refused(&on(&recording, &["who", "ksmtund"]), 1);
    assert!(said.contains("near names: ksmtuned"), "{said}");
}

#[test]
fn attempts_that_failed_are_counted_apart() {
    let dir = tempfile::tempdir().unwrap();
    let recording = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .fork(5, 1, 60)
        .exec_with(
            6,
            60,
            1,
            &["/sbin/awk"],
            json!({"errno": 2, "comm": "systemd"}),
        )
        .exec(7, 60, 1, AWK)
        .write(dir.path(), "failed");
    let text = answer(&recording, &["who", "awk"]);
    assert!(text.contains("1 attempt to execute it failed"), "{text}");
    assert!(text.contains("awk: 1 run"), "{text}");
}

/// `dd` is not `kthreadd`, nor is `awk` `gawk`; but a part of a name will do
/// where nothing has that name.
#[test]
fn a_plain_word_is_the_whole_name_if_a_program_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let recording = ksmtuned()
        .run(5, 1, 60, &["/bin/dd", "if=/dev/zero"])
        .write(dir.path(), "dd");
    let count = |pattern: &str| {
        let text = answer(&recording, &["who", pattern, "--format", "json"]);
        serde_json::from_str::<Vec<Value>>(&text).unwrap().len()
    };
    assert_eq!(count("dd"), 1);
    assert_eq!(count("dd$"), 2);
    assert_eq!(count("threadd"), 1);
}

/// A shell tries each folder of PATH; what it finds in the end did not fail.
#[test]
fn steps_of_a_search_along_path_are_no_failures() {
    let dir = tempfile::tempdir().unwrap();
    let step = |filename: &str, errno: i32| json!({"errno": errno, "filename": filename});
    let recording = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .fork(5, 1, 60)
        .exec_with(6, 60, 1, &["awk"], step("/usr/local/bin/awk", 2))
        .exec_with(7, 60, 1, &["awk"], step("/usr/bin/awk", 0))
        .fork(8, 1, 61)
        .exec_with(9, 61, 1, &["nope"], step("/usr/bin/nope", 2))
        .write(dir.path(), "path");
    let text = answer(&recording, &["who", "awk"]);
    assert!(
        text.contains("awk: 1 run") && !text.contains("failed"),
        "{text}"
    );
    let text = answer(&recording, &["replay"]);
    assert!(!text.contains("/usr/local"), "{text}");
    assert!(text.contains("(os error 2), tried /usr/bin/nope"), "{text}");
    let text = answer(&recording, &["replay", "--all"]);
    assert!(text.contains("tried /usr/local/bin/awk"), "{text}");
    let csv = answer(&recording, &["query", "failing_execs", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 2, "{csv}");
}

#[test]
fn a_chain_as_long_as_there_are_processes_is_told_by_its_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut story = Story::new("web1").running(1, 0, "systemd", "/sbin/init");
    for pid in 2..4000 {
        let worker = format!("--level={pid}");
        let ms = i64::from(pid);
        story =
            story
                .fork(ms, pid - 1, pid)
                .exec(ms, pid, pid - 1, &["python3", "worker.py", &worker]);
    }
    let story = story
        .fork(5000, 3999, 4000)
        .exec(5001, 4000, 3999, &["awk", "1"]);
    let recording = story.write(dir.path(), "deep");
    let said = answer(&recording, &["who", "awk"]);
    for part in [
        "systemd 1",
        "… 3,989 more …",
        "python3 3992",
        "--level=3999",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(!said.contains("python3 3991"), "{said}");
    let rows: Value =
        serde_json::from_str(&answer(&recording, &["who", "awk", "--format", "json"])).unwrap();
    assert_eq!(rows[0]["parent_pid"], 3999);
    let ancestors = rows[0]["ancestors"].as_str().unwrap();
    assert!(ancestors.starts_with("systemd > python3"), "{ancestors}");
    let names: Vec<&str> = ancestors.split(" > ").collect();
    assert_eq!(names.len(), 128 + 1 + 128);
    assert_eq!(names[128], "… 3,743 more …");
}
