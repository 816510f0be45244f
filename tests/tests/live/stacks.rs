//! What is recorded of call paths.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use libtest_mimic::Failed;
use serde_json::Value;
use whence_tests::{Recorder, record, run, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("cpu_time_is_shared_out_as_it_was_spent", shares),
    test(
        "the_path_that_forked_is_whole_without_frame_pointers",
        callers,
    ),
    test("frame_pointers_are_used_when_asked_for", frame_pointers),
    test("code_of_processes_that_live_5_ms_has_a_module", brief),
    test("block_requests_complete_in_interrupt_context", block),
    Test {
        name: "the_kernel_path_of_an_exec_is_what_unwinding_gives",
        obstacle: no_tracepoint_of_execs,
        run: recalled,
    },
];

const PROBE: &str = "tracepoint:block:block_rq_complete";

fn shares() -> Result<(), Failed> {
    let command = [workload(), "burn".into(), "10000".into()];
    let recording = record(&["--sample", "999"], &command)?;
    let total = recording.number("SELECT sum(weight) FROM sample WHERE context = 'task'")?;
    for (function, expected) in [
        ("whence_half", 50.0),
        ("whence_three_tenths", 30.0),
        ("whence_fifth", 20.0),
    ] {
        let weight = recording.number(&format!(
            "SELECT coalesce(sum(s.weight), 0) FROM sample s WHERE s.user_stack_id IN ( \
               SELECT t.stack_id FROM stack t, symbol y \
               WHERE array_has(t.frame_ids, y.frame_id) AND y.function = '{function}')"
        ))?;
        let share = weight as f64 * 100.0 / total as f64;
        let apart = (share - expected).abs();
        let close = apart < 2.0;
        ensure!(close, "{function} has {share:.1} %, not {expected} %");
    }
    let weights = recording.query("SELECT DISTINCT weight, event FROM sample")?;
    equal!(weights.len(), 1);
    Ok(())
}

/// The recorder reads a sample when its process has gone.
fn brief() -> Result<(), Failed> {
    let command = [workload(), "brief".into(), "300".into()];
    let recording = record(&["--sample", "999"], &command)?;
    let frames = |of: &str| {
        recording.number(&format!(
            "SELECT count(*) FROM ( \
               SELECT unnest(t.frame_ids) AS frame_id FROM sample s \
               JOIN stack t ON t.stack_id = s.user_stack_id \
               JOIN process p ON p.upid = s.upid \
               WHERE p.cmdline LIKE '% spin 5') s \
             JOIN frame f ON f.frame_id = s.frame_id WHERE {of}"
        ))
    };
    let (all, known) = (frames("true")?, frames("f.kind = 'user'")?);
    ensure!(all > 1_000, "only {all} frames");
    ensure!(
        known * 100 >= all * 99,
        "{known} of {all} frames have a module"
    );
    let named = recording.number(
        "SELECT count(DISTINCT build_id) FROM mapping WHERE module LIKE '%/whence-workload'",
    )?;
    equal!(named, 1);
    Ok(())
}

fn callers() -> Result<(), Failed> {
    let command = [workload(), "callers".into()];
    let recording = record(&["--sample", "0"], &command)?;
    let text = path_of_fork(&recording)?;
    for function in ["whence_spawner", "whence_middle", "whence_outer", "main"] {
        ensure!(text.contains(function), "{function} is not in {text}");
    }
    let order = ["whence_spawner", "whence_middle", "whence_outer"].map(|f| text.find(f));
    let ascending = order.is_sorted() || order.iter().rev().is_sorted();
    ensure!(ascending, "out of order: {text}");
    let unwinder = recording
        .value("SELECT unwinder FROM stack WHERE stack_id = (SELECT user_stack_id FROM fork)")?;
    equal!(unwinder, Value::from("dwarf"));
    Ok(())
}

/// The path that forked the workload's only child.
fn path_of_fork(recording: &whence_tests::Recording) -> std::io::Result<String> {
    let text = recording.value("SELECT stack_text(user_stack_id) FROM fork")?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

fn frame_pointers() -> Result<(), Failed> {
    let command = [workload(), "callers".into()];
    let recording = record(&["--sample", "0", "--unwind", "fp"], &command)?;
    let unwinders = recording.query("SELECT DISTINCT unwinder FROM stack ORDER BY 1")?;
    let names: Vec<_> = unwinders
        .iter()
        .filter_map(|r| r["unwinder"].as_str())
        .collect();
    ensure!(!names.contains(&"dwarf"), "{names:?}");
    Ok(())
}

fn no_tracepoint_of_execs() -> Option<String> {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let known = symbols.contains(" __traceiter_sched_prepare_exec");
    (!known).then(|| "the kernel has no tracepoint sched_prepare_exec".into())
}

/// Kernel paths of execs are recognized; those of a probe are unwound each time.
fn recalled() -> Result<(), Failed> {
    const PREPARED: &str = "tracepoint:sched:sched_prepare_exec";
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/bin/sh\n:\n")?;
    std::fs::set_permissions(&script, Permissions::from_mode(0o755))?;
    // By execve(2) and by execveat(2): the paths differ.
    let each = format!(
        "for i in $(seq 100); do /bin/true; {}; {} memfd; done",
        script.display(),
        workload()
    );
    let command = ["sh", "-c", &each].map(str::to_owned);
    let recording = record(&["--sample", "0", "-s", PREPARED], &command)?;
    let numbered = "row_number() OVER (PARTITION BY upid ORDER BY ts_ns) AS n";
    let paths = recording.query(&format!(
        "WITH e AS (SELECT upid, kernel_stack_id AS path, {numbered} FROM exec WHERE errno = 0), \
           s AS (SELECT upid, kernel_stack_id AS path, {numbered} FROM sample \
                 WHERE event = '{PREPARED}') \
         SELECT count(*) AS execs, count(*) FILTER (WHERE e.path = s.path) AS same, \
           count(DISTINCT s.path) AS paths FROM e JOIN s ON s.upid = e.upid AND s.n = e.n"
    ))?;
    let [row] = paths.as_slice() else {
        return Err("no answer".into());
    };
    let count = |name: &str| row[name].as_i64().unwrap_or_default();
    ensure!(count("execs") >= 400, "only {row}");
    ensure!(count("paths") >= 2, "{row}");
    equal!(count("same"), count("execs"));
    Ok(())
}

fn block() -> Result<(), Failed> {
    let file = tempfile::NamedTempFile::new_in(".")?;
    let recorder = Recorder::start(&["-s", PROBE, "--sample", "0"])?;
    let path = format!("of={}", file.path().display());
    for _ in 0..3 {
        run(&[
            "dd",
            "if=/dev/zero",
            &path,
            "bs=64k",
            "count=16",
            "conv=fsync",
        ])?;
    }
    let recording = recorder.stop(libc::SIGINT)?;
    let hits = recording.number("SELECT count(*) FROM sample")?;
    ensure!(hits > 0, "no request was completed");
    let interrupts =
        recording.number("SELECT count(*) FROM sample WHERE context IN ('softirq', 'hardirq')")?;
    ensure!(interrupts > 0, "none of {hits} hits was in an interrupt");
    let answer = recording.answer(&["why", "block_rq_complete"])?;
    ensure!(answer.contains("irq"), "{answer}");
    ensure!(answer.contains('%'), "no shares: {answer}");
    ensure!(answer.contains("block_rq_complete"), "{answer}");
    Ok(())
}
