//! `whence bundle` and `whence verify`, and bundles as input of all the others.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Story, answer, on, refused, rows, whence};
use serde_json::json;
use whence_schemas::ids;

const SECRET: &str = "hunter2-of-a-story";

/// Two daemons that start programs, one with secrets, and some samples.
fn story() -> Story {
    let mut story = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(907, 1, "ksmtuned", "/bin/bash /usr/sbin/ksmtuned")
        .running(950, 1, "cron", "/usr/sbin/cron -f");
    for round in 0..4 {
        let (ms, pid) = (i64::from(round) * 60_000, 1_000 + round * 10);
        let password = format!("-p{SECRET}");
        story = story
            .fork_from(ms, 907, pid, &["main", "make_child"])
            .exec(
                ms + 1,
                pid,
                907,
                &["/usr/bin/awk", "{print}", "/proc/meminfo"],
            )
            .exit(ms + 4, pid, 0)
            .fork(ms + 10, 950, pid + 1)
            .exec(
                ms + 11,
                pid + 1,
                950,
                &["/usr/bin/mysql", &password, "shop"],
            )
            .exit(ms + 12, pid + 1, 1);
    }
    story
        .samples(
            300,
            "cpu-clock",
            ("task", "awk"),
            &["entry", "read"],
            &["main", "work"],
        )
        .samples(
            101,
            "tracepoint:a:b",
            ("softirq", "awk"),
            &["irq", "done"],
            &[],
        )
}

fn recorded() -> (tempfile::TempDir, PathBuf) {
    common::recorded(story())
}

fn bundle(recording: &Path, args: &[&str]) -> PathBuf {
    let zip = recording.with_file_name(format!("bug{}.zip", args.len()));
    let name = zip.display().to_string();
    let all = [&["bundle", "-o", &name], args].concat();
    answer(recording, &all);
    zip
}

#[test]
fn a_bundle_of_all_answers_as_the_recording_does() {
    let (_dir, recording) = recorded();
    let zip = bundle(&recording, &["--redact", "none"]);
    for args in [
        &["who", "awk"][..],
        &["tree"],
        &["why", "read"],
        &["top"],
        &["replay", "--all"],
        &["query", "SELECT count(*), sum(weight) FROM sample"],
        &[
            "query",
            "SELECT * EXCLUDE (recording_id) FROM exec ORDER BY ts_ns",
        ],
    ] {
        assert_eq!(answer(&zip, args), answer(&recording, args), "{args:?}");
    }
    assert!(answer(&zip, &["verify"]).contains("no defect"));
}

#[test]
fn a_chosen_process_comes_with_its_ancestors_and_without_others() {
    let (_dir, recording) = recorded();
    let zip = bundle(&recording, &["--match", "^awk$"]);
    let tree = answer(&zip, &["tree"]);
    assert!(
        tree.contains("systemd") && tree.contains("ksmtuned"),
        "{tree}"
    );
    assert!(!tree.contains("mysql") && !tree.contains("cron"), "{tree}");
    assert!(
        tree.contains("left out of "),
        "an answer says what is not there: {tree}"
    );
    let who = answer(&zip, &["who", "awk"]);
    assert!(
        who.contains("awk: 4 runs") && who.contains("make_child"),
        "{who}"
    );
    assert!(answer(&zip, &["verify"]).contains("no defect"));
}

#[test]
fn times_are_chosen_as_people_give_them() {
    let (_dir, recording) = recorded();
    let count = "SELECT count(*) AS n FROM exec";
    let n = |zip: &Path| rows(zip, &[count])[0]["n"].as_i64();
    let zip = bundle(
        &recording,
        &[
            "--since",
            "13:01:00",
            "--until",
            "13:02:00",
            "--note",
            "slow\nat \x1b[2J one",
        ],
    );
    assert_eq!(n(&zip), Some(4));
    let info = answer(&zip, &["info"]);
    assert!(
        info.contains("  said       slow\n") && info.contains("  said       at "),
        "{info}"
    );
    assert!(!info.contains('\x1b'), "{info}");
    let zip = bundle(&recording, &["--around", "13:03:00", "--window", "5s"]);
    assert_eq!(n(&zip), Some(2));
    let zip = bundle(&recording, &["--around", "mysql"]);
    assert_eq!(n(&zip), Some(2), "around the first one");
    let zip = recording.parent().unwrap().join("never.zip");
    let output = on(
        &recording,
        &["bundle", "-o", zip.to_str().unwrap(), "--since", "15:00:00"],
    );
    assert!(!output.status.success() && !zip.exists());
}

#[test]
fn secrets_do_not_leave_and_equal_ones_stay_equal() {
    let (_dir, recording) = recorded();
    let zip = bundle(&recording, &[]);
    let all = answer(&zip, &["query", "--format", "json", "SELECT * FROM exec"]);
    assert!(!all.contains(SECRET), "{all}");
    let all = answer(
        &zip,
        &["query", "--format", "json", "SELECT * FROM process"],
    );
    assert!(!all.contains(SECRET), "{all}");
    let found = rows(
        &zip,
        &["SELECT DISTINCT argv[2] AS a FROM exec WHERE comm = 'mysql'"],
    );
    assert_eq!(found, [json!({"a": "-p[secret:1]"})]);
    let bytes = fs::read(&zip).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(!has(SECRET));
    assert!(has("[secret:N]"), "the README explains placeholders");
}

/// Ids are hashes that anybody can make of a name: those of names that lost a
/// secret must not be left to try names on.
#[test]
fn no_id_tells_the_name_that_was_replaced() {
    let path = "/srv/token=hunter2";
    let (frame, other) = (
        ids::frame_id("user", path, 64),
        ids::frame_id("user", "", 1),
    );
    let stack = ids::stack_id(&[frame, other], false, "fp");
    let story = story()
        .row(
            "frame",
            json!({"frame_id": frame, "kind": "user", "module": path, "offset": 64}),
        )
        .row(
            "frame",
            json!({"frame_id": other, "kind": "unknown", "address": 1}),
        )
        .row(
            "symbol",
            json!({"frame_id": frame, "function": "of_a_secret", "source": "elf"}),
        )
        .row(
            "stack",
            json!({"stack_id": stack, "frame_ids": [frame, other], "unwinder": "fp"}),
        )
        .row(
            "sample",
            json!({
                "ts_ns": common::BOOT_NS, "event_id": ids::event_id("cpu-clock"), "comm": "x",
                "event": "cpu-clock", "context": "task", "weight": 1, "user_stack_id": stack,
            }),
        );
    let (_dir, recording) = common::recorded(story);
    let zip = bundle(&recording, &[]);
    let module = "SELECT frame_id, module FROM frame WHERE module IS NOT NULL";
    let shown = "/srv/token=[secret:1]";
    let new = ids::frame_id("user", shown, 64);
    assert_eq!(
        rows(&zip, &[module]),
        [json!({"frame_id": new, "module": shown})]
    );
    for (table, column) in [("stack", "stack_id"), ("sample", "user_stack_id")] {
        let left = format!("SELECT * FROM {table} WHERE {column} = {stack}");
        assert!(rows(&zip, &[&left]).is_empty(), "{table}");
    }
    let why = answer(&zip, &["why", "of_a_secret"]);
    assert!(why.contains("0x1 → of_a_secret"), "{why}");
    assert!(answer(&zip, &["verify"]).contains("no defect"));
}

#[test]
fn who_ended_a_wait_comes_along() {
    let frame = ids::frame_id("kernel", "waker", 8);
    let stack = ids::stack_id(&[frame], false, "kernel");
    let waits = |recording: Story| {
        recording.row(
            "sample",
            json!({
                "ts_ns": common::BOOT_NS + 5_000_000, "event_id": ids::event_id("off-cpu"),
                "comm": "awk", "event": "off-cpu", "context": "task", "weight": 1, "dur_ns": 1,
                "waker_context": "task", "waker_stack_id": stack,
            }),
        )
    };
    let complete = waits(story())
        .row(
            "frame",
            json!({"frame_id": frame, "kind": "kernel", "module": "waker", "offset": 8}),
        )
        .row(
            "stack",
            json!({"stack_id": stack, "frame_ids": [frame], "unwinder": "kernel"}),
        );
    let (_dir, recording) = common::recorded(complete);
    let zip = bundle(&recording, &[]);
    let path = "SELECT stack_text(waker_stack_id) AS path FROM sample WHERE event = 'off-cpu'";
    assert_eq!(rows(&zip, &[path]), rows(&recording, &[path]));
    assert!(answer(&zip, &["verify"]).contains("no defect"));
    let (_dir, recording) = common::recorded(waits(story()));
    let said = String::from_utf8(on(&recording, &["verify"]).stdout).unwrap();
    assert!(said.contains("waker_stack_id refers to 1 rows"), "{said}");
}

#[test]
fn inspection_shows_what_would_leave_and_writes_nothing() {
    let (dir, recording) = recorded();
    let seen = answer(&recording, &["bundle", "--inspect"]);
    for expected in ["mysql", "[secret:1]", "web1", "uid 0"] {
        assert!(seen.contains(expected), "{expected}: {seen}");
    }
    assert!(!seen.contains(SECRET));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_bundle_that_is_too_large_keeps_weights_and_says_what_it_lacks() {
    let mut story = story();
    for i in 0..20_000_i64 {
        // What repeats would take no room.
        let odd = i.wrapping_mul(6_364_136_223_846_793_005) >> 33 & 0xf_ffff;
        let functions = [format!("f{}", i % 977), format!("g{}", i * 7 % 331)];
        let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
        story = story.row(
            "sample",
            json!({
                "ts_ns": common::BOOT_NS + i * 2_000_000 + odd, "event_id": 5, "pid": 7, "tid": odd % 32_768,
                "comm": functions[0], "event": functions[1], "context": "task",
                "weight": 1 + odd,
            }),
        );
    }
    let (_dir, recording) = common::recorded(story);
    let of_size = |most: u64| {
        let most = most.to_string();
        bundle(&recording, &["--max-size", &most, "--redact", "none"])
    };
    let whole = bundle(&recording, &["--redact", "none"]);
    let bytes = |zip: &Path| fs::metadata(zip).unwrap().len();
    // The page goes first, since it can be made anew; samples are thinned then.
    let without_page = of_size(bytes(&whole) - 1);
    let most = bytes(&without_page) * 9 / 10;
    fs::remove_file(without_page).unwrap();
    let zip = of_size(most);
    assert!(bytes(&zip) <= most);
    let sum = "SELECT event_id, sum(weight) AS w FROM sample GROUP BY 1 ORDER BY 1";
    assert_eq!(rows(&zip, &[sum]), rows(&recording, &[sum]));
    let said = answer(&zip, &["top"]);
    assert!(said.contains("with the weight of all"), "{said}");
    // What the reader is told takes room, too: in the manifest and in the README.
    fs::remove_file(&zip).unwrap();
    let note = "what happened ".repeat(600);
    let most = most + 2 * note.len() as u64;
    let zip = bundle(
        &recording,
        &["--max-size", &most.to_string(), "--note", &note],
    );
    assert!(bytes(&zip) <= most);
    // Smaller than anything can be.
    let zip = zip.with_file_name("tiny.zip");
    let output = on(
        &recording,
        &["bundle", "-o", zip.to_str().unwrap(), "--max-size", "1KB"],
    );
    let said = refused(&output, 5);
    assert!(said.contains("--max-size") && !zip.exists(), "{said}");
}

#[test]
fn what_was_changed_is_found_by_verify_and_said_by_every_answer() {
    let (_dir, recording) = recorded();
    let zip = bundle(&recording, &[]);
    let bytes = fs::read(&zip).unwrap();
    let at = bytes.windows(4).position(|w| w == b"PAR1").unwrap();
    let mut changed = bytes.clone();
    changed[at + 8] ^= 1;
    fs::write(&zip, &changed).unwrap();
    let said = refused(&on(&zip, &["verify"]), 4);
    assert!(said.contains("defect"), "{said}");
    let said = answer(&zip, &["tree"]);
    assert!(said.contains("SHA-256"), "{said}");
    fs::write(&zip, &bytes[..bytes.len() - 30]).unwrap();
    let said = refused(&on(&zip, &["info"]), 4);
    assert!(said.contains("whole zip"), "{said}");
}

#[test]
fn verify_names_references_to_what_is_not_there() {
    let (_dir, recording) = common::recorded(story().row(
        "sample",
        json!({"ts_ns": common::BOOT_NS, "event": "x", "kernel_stack_id": 4711, "upid": 4712}),
    ));
    let output = on(&recording, &["verify", "--format", "json"]);
    assert_eq!(output.status.code(), Some(4));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = found.to_string();
    assert!(
        found.contains("kernel_stack_id refers to 1 rows"),
        "{found}"
    );
    assert!(found.contains("upid refers to 1 rows"), "{found}");
}

#[test]
fn nothing_is_overwritten_and_nothing_left_behind() {
    let (dir, recording) = recorded();
    let zip = bundle(&recording, &[]);
    let output = on(&recording, &["bundle", "-o", zip.to_str().unwrap()]);
    let said = refused(&output, 2);
    assert!(said.contains("exists"), "{said}");
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        2,
        "recording and zip"
    );
    let output = whence(&["bundle", "-i", recording.to_str().unwrap()]);
    refused(&output, 2);
}

#[test]
fn a_bundle_of_a_bundle_keeps_its_placeholders_apart() {
    let (_dir, recording) = recorded();
    let first = bundle(&recording, &[]);
    let second = first.with_file_name("second.zip");
    answer(
        &first,
        &["bundle", "-o", second.to_str().unwrap(), "--match", "mysql"],
    );
    let found = rows(&second, &["SELECT DISTINCT argv[2] AS a FROM exec"]);
    assert_eq!(found, [json!({"a": "-p[secret:1]"})]);
}

#[test]
fn other_programs_read_the_zip() {
    let (_dir, recording) = recorded();
    let zip = bundle(&recording, &[]);
    let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
                  assert z.testzip() is None; \
                  assert all(i.compress_type == 0 for i in z.infolist()); \
                  print(len(z.namelist()))";
    let Ok(output) = Command::new("python3")
        .args(["-c", script])
        .arg(&zip)
        .output()
    else {
        eprintln!("skipped: python3 is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(
        output.stdout, b"15\n",
        "12 tables, recording.json, README.md, report.html"
    );
}
