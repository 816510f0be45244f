//! What is recorded on a kernel that lacks what newer ones have.

use libtest_mimic::Failed;
use whence_tests::{record, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test(
        "an_older_kernel_is_recorded_and_what_it_lacks_is_said",
        lacks,
    ),
    test("every_exec_of_a_storm_is_there_on_an_older_kernel", storm),
    test("waits_are_recorded_on_an_older_kernel", waits),
    test(
        "a_32_bit_exec_that_fails_is_seen_where_returns_are_traced",
        compat_fails,
    ),
];

const RUNS: usize = 60;

fn storm_recorded() -> std::io::Result<whence_tests::Recording> {
    let runs = RUNS.to_string();
    record(&["--sample", "49"], &[&workload(), "storm", &runs, "2"])
}

fn lacks() -> Result<(), Failed> {
    let recording = storm_recorded()?;
    let info = recording.answer(&["info"])?;
    ensure!(info.contains("6.1."), "{info}");
    ensure!(info.contains("no tracepoint sched_prepare_exec"), "{info}");
    Ok(())
}

fn compat_fails() -> Result<(), Failed> {
    let recording = record(&["--sample", "0"], &[&workload(), "compat-fails"])?;
    let row =
        &recording.query("SELECT errno, filename, argv, argv_state FROM exec WHERE errno <> 0")?;
    let expected = serde_json::json!([{
        "errno": libc::ENOENT,
        "filename": "/no/such/file",
        "argv": ["/no/such/file", "a b"],
        "argv_state": "complete",
    }]);
    equal!(serde_json::json!(row), expected);
    Ok(())
}

fn storm() -> Result<(), Failed> {
    let recording = storm_recorded()?;
    ensure!(
        recording.said().contains("nothing was lost"),
        "{}",
        recording.said()
    );
    let found = recording.query("SELECT argv[2] AS u FROM exec WHERE argv[2] LIKE 'u-%'")?;
    let mut found: Vec<&str> = found.iter().filter_map(|row| row["u"].as_str()).collect();
    found.sort_unstable();
    let mut expected: Vec<String> = (0..RUNS).map(|n| format!("u-{}-{n}", n % 2)).collect();
    expected.sort_unstable();
    equal!(found, expected);
    let runs = RUNS as i64;
    equal!(recording.number("SELECT count(*) FROM fork")?, runs);
    equal!(recording.number("SELECT count(*) FROM exit")?, runs + 1);
    equal!(
        recording.number("SELECT count(DISTINCT upid) FROM exit")?,
        runs + 1
    );
    let roots = "SELECT count(DISTINCT parent_upid) FROM process WHERE cmdline LIKE '% u-%'";
    equal!(recording.number(roots)?, 1);
    Ok(())
}

fn waits() -> Result<(), Failed> {
    let options = ["--sample", "0", "--unwind", "fp", "--off-cpu", "50ms"];
    let recording = record(&options, &["sh", "-c", "sleep 0.1; exit 3"])?;
    equal!(recording.output.status.code(), Some(3));
    let rows = recording.query(
        "SELECT dur_ns, waker_context, stack_text(kernel_stack_id) AS kernel FROM sample \
         WHERE event = 'off-cpu' AND comm = 'sleep' AND dur_ns >= 100000000",
    )?;
    equal!(rows.len(), 1);
    equal!(rows[0]["waker_context"], "hardirq");
    let kernel = rows[0]["kernel"].as_str().unwrap_or_default();
    ensure!(kernel.contains("nanosleep"), "{kernel}");
    Ok(())
}
