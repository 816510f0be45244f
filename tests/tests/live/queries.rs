//! Questions about what this kernel gives: every named query, and events as
//! they come.

use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use whence_tests::{Recorder, finish, program, record, run, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("every_named_query_answers_on_a_real_recording", every_query),
    test("a_recording_in_progress_is_followed_to_its_end", follow),
];

fn every_query() -> Result<(), Failed> {
    let workload = workload();
    let script = format!("{workload} storm 50 2; {workload} fail; sh -c 'kill -9 $$'; sleep 0.3");
    let recording = record(&["--sample", "999"], &["bash", "-c", &script])?;
    let mut with_rows = Vec::new();
    for query in whence_queries::QUERIES {
        let csv = recording.answer(&["query", query.name, "--format", "csv"])?;
        let columns: Vec<String> = query.columns().into_iter().flat_map(|c| c.names).collect();
        let header = csv.lines().next().unwrap_or_default();
        equal!(
            (query.name, header),
            (query.name, columns.join(",").as_str())
        );
        if csv.lines().count() > 1 {
            with_rows.push(query.name);
        }
    }
    for name in [
        "boots",
        "exec_rate_by_chain",
        "failing_execs",
        "killed",
        "spawn_latency",
    ] {
        ensure!(
            with_rows.contains(&name),
            "{name} is empty; not empty: {with_rows:?}"
        );
    }
    Ok(())
}

/// What is printed while it is recorded is what is printed afterwards.
fn follow() -> Result<(), Failed> {
    let recorder = Recorder::start(&["--segment", "500ms", "--sample", "0"])?;
    let follower = Command::new(program("whence"))
        .args(["replay", "--follow", "-i"])
        .arg(recorder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    for i in 0..20 {
        run(&["/bin/echo", &format!("followed {i}")])?;
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let recording = recorder.stop(libc::SIGTERM)?;
    let followed = finish(follower)?;
    equal!(followed.status.code(), Some(0));
    let followed = String::from_utf8_lossy(&followed.stdout).into_owned();
    let ours = |text: &str| {
        let lines = text.lines().filter(|line| line.contains("'followed "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    equal!(ours(&followed).len(), 20);
    let replayed = recording.answer(&["replay"])?;
    equal!(ours(&followed), ours(&replayed));
    Ok(())
}
