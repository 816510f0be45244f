//! Nothing is lost in silence: generated = recorded + lost.

use libtest_mimic::Failed;
use whence_tests::{record, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("with_a_ring_too_small_what_is_lost_is_counted", small_ring),
    test("loss_can_be_made_an_error", fail_on_loss),
    test("the_recorder_says_what_it_cost", overhead),
];

const COUNT: i64 = 3000;

fn small_ring() -> Result<(), Failed> {
    let count = COUNT.to_string();
    let command = [workload(), "storm".into(), count, "2".into()];
    let recording = record(&["--sample", "0", "--ring", "64"], &command)?;
    // One fork and one exec per process, and the workload's own exec and exit.
    for (stream, generated) in [("fork", COUNT), ("exec", COUNT + 1), ("exit", COUNT + 1)] {
        let recorded = recording.number(&format!("SELECT count(*) FROM {stream}"))?;
        let lost = recording.number(&format!(
            "SELECT coalesce(sum(count), 0) FROM loss WHERE stream = '{stream}'"
        ))?;
        equal!((stream, recorded + lost), (stream, generated));
        ensure!(lost > 0, "no {stream} was lost: the ring is not too small");
    }
    let causes = recording.query("SELECT DISTINCT cause FROM loss")?;
    equal!(causes, [serde_json::json!({"cause": "ring full"})]);
    ensure!(recording.said().contains("LOST"), "{}", recording.said());
    let answer = recording.answer(&["who", "whence-workload"])?;
    ensure!(
        answer.contains("lost"),
        "the answer does not say so: {answer}"
    );
    Ok(())
}

fn fail_on_loss() -> Result<(), Failed> {
    let command = [workload(), "storm".into(), "2000".into(), "2".into()];
    let recording = record(
        &["--sample", "0", "--ring", "64", "--fail-on-loss"],
        &command,
    )?;
    equal!(recording.output.status.code(), Some(3));
    let whole = record(&["--sample", "0", "--fail-on-loss"], &["true"])?;
    equal!(whole.output.status.code(), Some(0));
    Ok(())
}

fn overhead() -> Result<(), Failed> {
    let recording = record(&[], &["sleep", "1.5"])?;
    let row = &recording.query(
        "SELECT sum(cpu_ns) AS cpu_ns, max(rss_bytes) AS rss FROM overhead \
         WHERE subject = 'recorder'",
    )?[0];
    ensure!(row["cpu_ns"].as_i64().is_some_and(|n| n > 0), "{row}");
    ensure!(row["rss"].as_i64().is_some_and(|n| n > 1 << 20), "{row}");
    let programs = recording.number("SELECT count(DISTINCT subject) FROM overhead")?;
    ensure!(programs > 4, "{programs} subjects");
    Ok(())
}
