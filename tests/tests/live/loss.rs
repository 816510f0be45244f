//! Nothing is lost in silence: generated = recorded + lost.

use libtest_mimic::Failed;
use whence_tests::{Recording, record, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("with_a_ring_too_small_what_is_lost_is_counted", small_ring),
    test("a_process_whose_events_were_lost_has_a_row", strangers),
    test("loss_can_be_made_an_error", fail_on_loss),
    test("the_recorder_says_what_it_cost", overhead),
    Test {
        name: "samples_that_the_kernel_does_not_take_are_counted",
        obstacle: || {
            let limit = std::fs::File::options().write(true).open(LIMIT);
            limit
                .err()
                .map(|error| format!("{LIMIT} cannot be set: {error}"))
        },
        run: throttled,
    },
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

/// The ring of process life is full when a process begins that only samples, which
/// have a ring of their own, can tell of.
fn strangers() -> Result<(), Failed> {
    let script = "kill -STOP $PPID; \"$0\" storm 500 2; \
                  /bin/sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; \
                  kill -CONT $PPID";
    let recording = record(
        &["--ring", "64", "--unwind", "fp"],
        &["/bin/sh", "-c", script, &workload()],
    )?;
    let unseen = recording.number(
        "SELECT count(*) FROM (SELECT upid FROM sample EXCEPT SELECT child_upid FROM fork
           EXCEPT SELECT upid FROM exec EXCEPT SELECT upid FROM exit
           EXCEPT SELECT upid FROM process WHERE source = 'snapshot')
         WHERE upid IS NOT NULL",
    )?;
    ensure!(unseen > 0, "all processes that were sampled were seen");
    let named = recording.number(
        "SELECT count(*) FROM process WHERE source = 'inferred' AND comm = 'sh'
           AND upid IN (SELECT upid FROM sample)",
    )?;
    ensure!(named > 0, "the shell has no row");
    let verified = recording.whence(&["verify"])?;
    let said = String::from_utf8_lossy(&verified.stdout);
    ensure!(verified.status.success(), "{said}");
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

/// Time of all CPUs that a hypervisor has given to others: no timer comes in it
/// (proc_stat(5), in hundredths of a second).
fn stolen_ns() -> Result<i64, Failed> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let ticks = stat
        .split_whitespace()
        .nth(8)
        .ok_or("failed to read /proc/stat")?;
    Ok(ticks.parse::<i64>()? * 10_000_000)
}

/// How many samples a second the kernel takes of a counter.
const LIMIT: &str = "/proc/sys/kernel/perf_event_max_sample_rate";

/// For the time of the recording the kernel takes a fifth of what is asked for. All
/// CPUs are busy: the timer of one that is halted may come late.
fn throttled() -> Result<(), Failed> {
    const HZ: i64 = 4999;
    let script = r#"
        before=$(cat "$0")
        trap 'kill $busy; echo $before >"$0"' EXIT
        for cpu in $(seq $(nproc)); do while :; do :; done & busy="$busy $!"; done
        echo 1000 >"$0"
        sleep 3"#;
    let stolen = stolen_ns()?;
    let options = [
        "--system-wide",
        "--unwind",
        "fp",
        "--sample",
        &HZ.to_string(),
    ];
    let recording = record(&options, &["sh", "-c", script, LIMIT])?;
    let throttled = "SELECT coalesce(sum(count), 0) FROM loss WHERE cause = 'throttled'";
    let throttled = recording.number(throttled)?;
    let taken = recording.number("SELECT count(*) FROM sample")?;
    let lost =
        recording.number("SELECT coalesce(sum(count), 0) FROM loss WHERE stream = 'sample'")?;
    let ns = recording.number("SELECT max(ts_ns) - min(ts_ns) FROM sample")?;
    let cpus = recording.number("SELECT count(DISTINCT cpu) FROM sample")?;
    let stolen = stolen_ns()? - stolen;
    let due = (ns * cpus - stolen) * HZ / 1_000_000_000;
    let what =
        format!("{taken} taken, {throttled} throttled, {lost} lost of {due}; {stolen} ns stolen");
    ensure!(
        throttled * 100 > due * 60 && throttled * 100 < due * 90,
        "{what}"
    );
    // The recorder does not record itself.
    ensure!(
        (taken + lost) * 100 > due * 80 && (taken + lost) * 100 < due * 110,
        "{what}"
    );
    ensure!(recording.said().contains("LOST"), "{}", recording.said());
    Ok(())
}
