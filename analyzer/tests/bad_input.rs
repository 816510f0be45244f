//! What is no recording, or a damaged one: one line, a documented exit code,
//! and never a panic.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Story, answer, on, refused, whence, whence_in};

fn host() -> Story {
    let mut story = Story::new("web1").running(1, 0, "systemd", "/sbin/init");
    for i in 0..50 {
        story = story.run(i64::from(i) * 100, 1, 100 + i, &["/bin/date"]);
    }
    story.samples(3, "cpu-clock", ("task", "sh"), &["entry", "do_work"], &[])
}

fn one_line(said: &str) {
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    assert!(said.starts_with("whence: "), "{said}");
}

#[test]
fn a_path_that_is_no_recording_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let said = refused(&on(dir.path(), &["info"]), 4);
    assert!(said.contains("has no recording.json"), "{said}");
    one_line(&said);
    let said = refused(&on(Path::new("/nonexistent"), &["info"]), 4);
    assert!(
        said.contains("/nonexistent is not a whence recording"),
        "{said}"
    );
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    one_line(&refused(&on(&file, &["who", "x"]), 4));
}

#[test]
fn without_input_the_newest_recording_is_asked_and_its_absence_explained() {
    let dir = tempfile::tempdir().unwrap();
    let said = refused(&whence_in(dir.path(), &["who", "date"]), 4);
    assert!(said.contains("name one with -i"), "{said}");
    host().write(dir.path(), "found");
    let output = whence_in(dir.path(), &["who", "date"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("date: 50 runs"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("answered from found.whence"), "{said}");
    let said = refused(&whence_in(dir.path(), &["who", "nope"]), 1);
    assert!(said.contains("answered from found.whence"), "{said}");
}

/// What is missing could have been the answer.
#[test]
fn negative_answers_say_what_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    let story = host().lost("exec", "ring full", 100, 1_900, 312);
    let recording = story.write(dir.path(), "r");
    let asked: &[&[&str]] = &[
        &["who", "nope"],
        &["tree", "--match", "nope"],
        &["tree", "--at", "01:00:00"],
        &["why", "nope"],
        &["why", "do_work", "--pid", "4"],
        &["top", "--event", "nope"],
        &["top", "--pid", "4"],
    ];
    for args in asked {
        let said = refused(&on(&recording, args), 1);
        assert!(said.contains("lost: 312 exec events"), "{args:?}: {said}");
    }
    let said = refused(&on(&recording, &["top", "--pid", "4"]), 1);
    assert!(said.contains("no samples of pid 4"), "{said}");
    let said = refused(&on(&recording, &["tree", "--at", "01:00:00"]), 1);
    let range = "recorded: 2026-01-02 13:00:00 to 13:00:04 UTC";
    assert!(said.contains(range), "{said}");
}

#[test]
fn a_manifest_that_is_no_file_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo.whence");
    fs::create_dir(&fifo).unwrap();
    let manifest = fifo.join("recording.json");
    let made = Command::new("mkfifo").arg(manifest).status().unwrap();
    assert!(made.success());
    let link = dir.path().join("link.whence");
    fs::create_dir(&link).unwrap();
    std::os::unix::fs::symlink("/dev/zero", link.join("recording.json")).unwrap();
    for recording in [&fifo, &link] {
        let said = refused(&on(recording, &["info"]), 4);
        assert!(said.contains("it is not a regular file"), "{said}");
    }
    fs::create_dir(dir.path().join("empty.whence")).unwrap();
    refused(&on(dir.path(), &["info"]), 4);
    host().write(dir.path(), "good");
    let text = answer(dir.path(), &["who", "date"]);
    assert!(text.contains("date: 50 runs"), "{text}");
    for name in ["fifo.whence", "link.whence", "empty.whence"] {
        let named = |l: &str| l.starts_with("damaged: ") && l.contains(name);
        assert!(text.lines().any(named), "{text}");
    }
}

#[test]
fn a_table_that_cannot_be_is_damage_and_one_of_a_newer_version_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let recording = host().write(dir.path(), "r");
    let manifest = recording.join("recording.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let with = |table: &str| {
        let renamed = text.replace(
            "\"table\": \"overhead\"",
            &format!("\"table\": \"{table}\""),
        );
        fs::write(&manifest, renamed).unwrap();
        answer(&recording, &["who", "date"])
    };
    assert!(with("../../x").contains("which is no table's name"));
    assert!(with("newer_table").starts_with("complete:"));
}

#[test]
fn a_newer_format_and_a_garbled_manifest_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let recording = host().write(dir.path(), "r");
    let manifest = recording.join("recording.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let newer = text.replace("\"format_version\": 1", "\"format_version\": 9");
    fs::write(&manifest, newer).unwrap();
    let said = refused(&on(&recording, &["info"]), 4);
    assert!(
        said.contains("format version 9") && said.contains("use a newer whence"),
        "{said}"
    );
    for garbage in [
        "",
        "{",
        "[]",
        "null",
        "{\"format_version\": 1}",
        "\u{0}\u{0}",
    ] {
        fs::write(&manifest, garbage).unwrap();
        one_line(&refused(&on(&recording, &["info"]), 4));
    }
}

#[test]
fn answers_go_on_without_a_damaged_segment_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    for damage in ["missing", "empty", "truncated"] {
        let recording = host().write(dir.path(), damage);
        let segment = recording.join("sample/000001.parquet");
        let bytes = fs::read(&segment).unwrap();
        match damage {
            "missing" => fs::remove_file(&segment).unwrap(),
            "empty" => fs::write(&segment, "").unwrap(),
            _ => fs::write(&segment, &bytes[..bytes.len() / 2]).unwrap(),
        }
        let text = answer(&recording, &["who", "date"]);
        assert!(text.starts_with("damaged: "), "{text}");
        assert!(
            text.lines()
                .next()
                .unwrap()
                .contains("sample/000001.parquet"),
            "{text}"
        );
        assert!(text.contains("date: 50 runs"), "{text}");
    }
}

#[test]
fn a_recording_of_which_nothing_is_left_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let recording = host().write(dir.path(), "r");
    for table in whence_schemas::TABLES {
        fs::remove_dir_all(recording.join(table.name)).unwrap();
    }
    let said = refused(&on(&recording, &["info"]), 4);
    assert!(said.contains("holds nothing that can be read"), "{said}");
}

/// Whatever is wrong with the bytes, the answer is an answer or one line.
#[test]
fn flipped_bytes_never_end_in_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let recording = host().write(dir.path(), "r");
    let asked: &[(&str, &[&str])] = &[
        ("exec", &["who", "date"]),
        ("process", &["tree"]),
        ("sample", &["why", "do_work"]),
        (
            "exec",
            &["query", "SELECT max(cmdline), sum(ts_ns) FROM exec"],
        ),
    ];
    for (table, args) in asked {
        let segment = recording.join(table).join("000001.parquet");
        let bytes = fs::read(&segment).unwrap();
        for at in (0..bytes.len()).step_by(bytes.len() / 12 + 1) {
            let mut flipped = bytes.clone();
            for byte in flipped.iter_mut().skip(at).take(3) {
                *byte ^= 0xff;
            }
            fs::write(&segment, &flipped).unwrap();
            let output = on(&recording, args);
            let code = output.status.code();
            assert!(
                matches!(code, Some(0 | 1 | 2 | 4)),
                "{table} at {at}: {code:?}"
            );
            let errors = String::from_utf8_lossy(&output.stderr);
            // A negative answer says what is missing as well.
            assert!(
                errors.lines().all(|l| l.starts_with("whence: ")),
                "{errors}"
            );
        }
        fs::write(&segment, &bytes).unwrap();
    }
}

/// A manifest can name any path; only segments of the recording are opened.
#[test]
fn a_manifest_cannot_lead_outside_the_recording() {
    let dir = tempfile::tempdir().unwrap();
    let recording = host().write(dir.path(), "r");
    let manifest = recording.join("recording.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let evil = text.replace("exec/000001.parquet", "../../../../etc/hostname");
    fs::write(&manifest, evil).unwrap();
    let text = answer(&recording, &["query", "SELECT count(*) AS n FROM exec"]);
    assert!(text.contains("which is no segment's name"), "{text}");
    assert!(text.ends_with("n\n0\n"), "{text}");
}

#[test]
fn too_little_memory_is_a_limit_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let recording = host().write(dir.path(), "r");
    let sql = "SELECT cmdline, count(*) FROM exec GROUP BY cmdline ORDER BY 2";
    let said = refused(&on(&recording, &["query", sql, "--max-memory", "1KB"]), 5);
    assert!(said.contains("--max-memory"), "{said}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let recording = host().write(dir.path(), "r");
    let mut child = Command::new(env!("CARGO_BIN_EXE_whence"))
        .args(["query", "-i", recording.to_str().unwrap()])
        .arg("SELECT a.comm FROM exec a, exec b, exec c")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_question_that_is_not_complete_is_a_usage_error() {
    let said = refused(&whence(&["query"]), 2);
    assert!(said.contains("--list"), "{said}");
    refused(&whence(&["who"]), 2);
    refused(&whence(&["nonsense"]), 2);
}

#[test]
fn a_missing_recorder_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let alone = dir.path().join("whence");
    fs::copy(env!("CARGO_BIN_EXE_whence"), &alone).unwrap();
    let output = Command::new(&alone)
        .args(["record", "--help"])
        .env("PATH", dir.path())
        .output()
        .unwrap();
    let said = refused(&output, 1);
    assert!(said.contains("neither beside whence nor on PATH"), "{said}");
    let recorder = dir.path().join("whence-record");
    std::os::unix::fs::symlink("/bin/echo", &recorder).unwrap();
    let output = Command::new(&alone)
        .args(["record", "-o", "x", "--", "ls", "-l"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "-o x -- ls -l\n");
}
