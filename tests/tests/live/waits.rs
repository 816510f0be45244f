//! What is recorded of waits.

use libtest_mimic::Failed;
use serde_json::Value;
use whence_tests::record;

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("a_wait_says_where_how_long_and_who_ended_it", wait),
    test("waits_shorter_than_asked_for_are_not_recorded", short),
];

/// The shell waits for a program that sleeps for 200 ms.
const SCRIPT: &str = "sleep 0.2; exit 3";

fn wait() -> Result<(), Failed> {
    let options = ["--sample", "0", "--off-cpu", "100ms"];
    let recording = record(&options, &["bash", "-c", SCRIPT])?;
    equal!(recording.output.status.code(), Some(3));
    ensure!(
        recording.said().contains("nothing was lost"),
        "{}",
        recording.said()
    );
    let rows = recording.query(
        "SELECT s.event, s.context, s.dur_ns, s.weight, s.tid, s.waker_tid, s.waker_context, \
           stack_text(s.kernel_stack_id) AS kernel, stack_text(s.waker_stack_id) AS waker \
         FROM sample s WHERE comm = 'sleep'",
    )?;
    equal!(rows.len(), 1);
    let slept = &rows[0];
    equal!(slept["event"], "off-cpu");
    equal!(slept["context"], "task");
    equal!(slept["dur_ns"], slept["weight"]);
    let ns = slept["dur_ns"].as_i64().unwrap_or(0);
    ensure!(ns >= 200_000_000, "{ns} ns of 200 ms");
    let text = |row: &Value, column: &str| row[column].as_str().unwrap_or_default().to_owned();
    let kernel = text(slept, "kernel");
    ensure!(kernel.contains("nanosleep"), "{kernel}");
    // A timer has ended it, and no task.
    equal!(slept["waker_context"], "hardirq");
    equal!(slept["waker_tid"], Value::Null);
    let waker = text(slept, "waker");
    ensure!(waker.contains("hrtimer"), "{waker}");
    // And its end has ended the wait of the shell.
    let rows = recording.query(
        "SELECT s.waker_tid, s.waker_context, p.comm, stack_text(s.kernel_stack_id) AS kernel \
         FROM sample s JOIN process p ON p.upid = s.waker_upid WHERE s.comm = 'bash'",
    )?;
    equal!(rows.len(), 1);
    equal!(rows[0]["waker_context"], "task");
    equal!(rows[0]["waker_tid"], slept["tid"]);
    equal!(rows[0]["comm"], "sleep");
    let kernel = text(&rows[0], "kernel");
    ensure!(kernel.contains("do_wait"), "{kernel}");
    Ok(())
}

fn short() -> Result<(), Failed> {
    let options = ["--sample", "0", "--off-cpu", "10s"];
    let recording = record(&options, &["bash", "-c", SCRIPT])?;
    equal!(recording.number("SELECT count(*) FROM sample")?, 0);
    Ok(())
}
