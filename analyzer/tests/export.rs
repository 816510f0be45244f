//! What is exported for other viewers: the right part, with inert names, whole
//! or not at all. That those viewers read it is tested on real recordings.

mod common;

use std::path::Path;

use common::{Story, answer, on, recorded, refused};
use serde_json::{Value, json};

const EVENT: &str = "tracepoint:block:block_rq_complete";

fn host() -> Story {
    Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .run(100, 1, 50, &["/bin/date", "+%s"])
        .samples(
            3,
            "cpu-clock",
            ("task", "sh"),
            &["entry", "do_work"],
            &["main"],
        )
        .samples(1, "cpu-clock", ("task", "sh"), &["entry"], &["main"])
        .samples(2, "cpu-clock", ("idle", "swapper/0"), &["idle_loop"], &[])
        .samples(2, EVENT, ("softirq", "sh"), &["irq", "blk_done"], &[])
}

fn export(recording: &Path, to: &str, args: &[&str]) -> String {
    answer(recording, &[&["export", "--to", to], args].concat())
}

#[test]
fn folded_stacks_begin_with_the_process_and_end_with_the_weight() {
    let (_dir, recording) = recorded(host());
    let text = export(&recording, "folded", &[]);
    assert_eq!(
        text,
        "sh;main;entry 10000000\nsh;main;entry;do_work 30000000\n"
    );
    let text = export(&recording, "folded", &["--event", "block_rq_complete"]);
    assert_eq!(text, "sh;irq;blk_done 2\n");
}

#[test]
fn only_the_chosen_processes_and_times_are_exported() {
    let (_dir, recording) = recorded(host());
    let said = refused(
        &on(&recording, &["export", "--to", "folded", "--pid", "4"]),
        1,
    );
    assert!(said.contains("no samples of pid 4"), "{said}");
    // Samples are a millisecond apart, the first at the begin.
    let args = ["--until", "2026-01-02T13:00:00.002Z"];
    let text = export(&recording, "folded", &args);
    assert_eq!(
        text,
        "sh;main;entry 10000000\nsh;main;entry;do_work 20000000\n"
    );
    let args = ["--since", "2026-01-02T13:00:00.001Z"];
    let text = export(&recording, "folded", &args);
    assert_eq!(text, "sh;main;entry;do_work 20000000\n");
    let backwards = ["--since", "14:00:00", "--until", "13:00:00"];
    let args = [&["export", "--to", "folded"], &backwards[..]].concat();
    let said = refused(&on(&recording, &args), 2);
    assert!(said.contains("not before"), "{said}");
}

#[test]
fn an_event_that_was_not_recorded_is_named_with_those_that_were() {
    let (_dir, recording) = recorded(host().lost("sample", "ring full", 1, 2, 9));
    let output = on(&recording, &["export", "--to", "pprof", "--event", "x"]);
    let said = refused(&output, 1);
    assert!(said.contains("cpu-clock"), "{said}");
    assert!(said.contains(EVENT), "{said}");
    assert!(said.contains("lost: 9 sample events"), "{said}");
}

#[test]
fn hostile_names_are_inert_in_every_text_format() {
    let odd = "evil\u{1b}[2J;\u{202e}x\n</script>";
    let story = host()
        .samples(1, "cpu-clock", ("task", "a;b\n c"), &[odd], &[])
        .fork(10, 1, 60)
        .exec_with(11, 60, 1, &["/bin/x", odd], json!({"comm": odd}));
    let (_dir, recording) = recorded(story);
    let text = export(&recording, "folded", &[]);
    assert_eq!(text.lines().count(), 3, "{text}");
    let own = r"a:b\n c;evil\x1b[2J:\u202ex\n</script> 10000000";
    assert!(text.contains(own), "{text}");
    for to in ["speedscope", "firefox"] {
        let text = export(&recording, to, &[]);
        let control = |c: char| c.is_control() || c == '\u{202e}';
        assert!(!text.contains(control), "{to}: {text}");
        serde_json::from_str::<Value>(&text).unwrap();
    }
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let (dir, recording) = recorded(host());
    let file = dir.path().join("x.folded");
    std::fs::write(&file, "what was there").unwrap();
    let path = file.to_str().unwrap();
    let failing = ["export", "--to", "folded", "--event", "nope", "-o", path];
    refused(&on(&recording, &failing), 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "what was there");
    export(&recording, "folded", &["-o", path]);
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .starts_with("sh;main")
    );
    let missing = dir.path().join("no/such/folder/x");
    let args = ["export", "--to", "folded", "-o", missing.to_str().unwrap()];
    let said = refused(&on(&recording, &args), 1);
    assert!(said.contains("no/such/folder/x"), "{said}");
    let left = std::fs::read_dir(dir.path()).unwrap();
    let names: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    // A device is written, not replaced.
    export(&recording, "pprof", &["-o", "/dev/null"]);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_time_line_is_of_one_boot_and_a_profile_may_be_of_many() {
    let dir = tempfile::tempdir().unwrap();
    host().write(dir.path(), "one");
    Story::new("web2")
        .running(1, 0, "systemd", "/sbin/init")
        .samples(1, "cpu-clock", ("task", "sh"), &["entry"], &["main"])
        .write(dir.path(), "two");
    let text = export(dir.path(), "folded", &[]);
    assert!(text.contains("sh;main;entry 20000000\n"), "{text}");
    for to in ["perfetto", "firefox"] {
        let said = refused(&on(dir.path(), &["export", "--to", to]), 2);
        assert!(said.contains("recordings are of 2"), "{said}");
    }
}

#[test]
fn a_recording_without_stacks_still_has_a_time_line() {
    let story = Story::new("web1").running(1, 0, "systemd", "/sbin/init");
    let (dir, recording) = recorded(story);
    let said = refused(&on(&recording, &["export", "--to", "pprof"]), 1);
    assert!(said.contains("no stacks were recorded"), "{said}");
    let file = dir.path().join("x.pftrace");
    let args = ["export", "--to", "perfetto", "-o", file.to_str().unwrap()];
    let output = on(&recording, &args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("complete: nothing was lost"), "{said}");
    assert!(said.contains("1 process, 0 stack events"), "{said}");
    assert!(std::fs::metadata(&file).unwrap().len() > 0);
}

#[test]
fn a_file_is_for_its_owner_only_and_never_in_a_recording() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, recording) = recorded(host());
    let to = |file: &Path| {
        let file = file.to_str().unwrap().to_owned();
        on(&recording, &["export", "--to", "folded", "-o", &file])
    };
    let file = dir.path().join("x.folded");
    assert!(to(&file).status.success());
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let inside = recording.join("exec/x.folded");
    let said = refused(&to(&inside), 2);
    assert!(said.contains("lies in the recording"), "{said}");
    assert!(!inside.exists());
    let said = refused(&to(dir.path()), 1);
    assert!(said.contains("is a directory"), "{said}");
}
