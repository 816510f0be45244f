//! Nothing is lost in silence: generated = recorded + lost.

use libtest_mimic::Failed;
use whence_tests::{Recording, record, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("with_a_ring_too_small_what_is_lost_is_counted", small_ring),
    test("loss_can_be_made_an_error", fail_on_loss),
    test("the_recorder_says_what_it_cost", overhead),
];

const COUNT: i64 = 3000;

/// Records a storm while the recorder is stopped, so that its ring overflows
/// however fast the machine is.
fn overflow(options: &[&str]) -> std::io::Result<Recording> {
    let script = "kill -STOP $PPID; \"$0\" storm \"$1\" 2; kill -CONT $PPID";
    let (workload, count) = (workload(), COUNT.to_string());
    // By its path: a search of PATH is attempts that fail.
    let command = ["/bin/sh", "-c", script, &workload, &count];
    let options = [&["--sample", "0", "--ring", "64"], options].concat();
    record(&options, &command)
}

fn small_ring() -> Result<(), Failed> {
    let recording = overflow(&[])?;
    // The shell and the workload besides the processes of the storm.
    for (stream, generated) in [
        ("fork", COUNT + 1),
        ("exec", COUNT + 2),
        ("exit", COUNT + 2),
    ] {
        let recorded = recording.number(&format!("SELECT count(*) FROM {stream}"))?;
        let lost = recording.number(&format!(
            "SELECT coalesce(sum(count), 0) FROM loss WHERE stream = '{stream}'"
        ))?;
        equal!((stream, recorded + lost), (stream, generated));
        ensure!(lost > COUNT / 2, "only {lost} {stream} were lost");
    }
    let causes = recording.query("SELECT DISTINCT cause FROM loss")?;
    equal!(causes, [serde_json::json!({"cause": "ring full"})]);
    ensure!(recording.said().contains("LOST"), "{}", recording.said());
    // Whether it found something or not, an answer says what it may not know.
    for question in [
        ["info"].as_slice(),
        &["tree"],
        &["who", "whence-workload"],
        &["replay"],
        &["query", "SELECT count(*) FROM exec"],
    ] {
        let output = recording.whence(question)?;
        let answer = [output.stdout, output.stderr].concat();
        let answer = String::from_utf8_lossy(&answer);
        ensure!(
            answer.contains("lost"),
            "{question:?} is not told of the loss: {answer}"
        );
    }
    Ok(())
}

fn fail_on_loss() -> Result<(), Failed> {
    let recording = overflow(&["--fail-on-loss"])?;
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
