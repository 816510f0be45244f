//! Processes that were there before the recorder, and those that are born
//! while it begins.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Stdio};

use libtest_mimic::Failed;
use whence_tests::{Recorder, Recording, run, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("a_process_that_was_there_is_known_as_proc_shows_it", known),
    test("every_process_that_was_there_has_a_row", complete),
    test("a_storm_in_which_recording_begins_has_no_gap", in_a_storm),
    test("a_subreaper_adopts_and_is_not_the_origin", subreaper),
];

/// A child that is killed at the end, whatever the test says.
struct Running(Child);

impl Running {
    fn workload(args: &[&std::ffi::OsStr]) -> std::io::Result<Self> {
        let child = Command::new(workload())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Start time in clock ticks since boot, from `/proc/PID/stat`.
fn start_ticks(pid: u32) -> Result<i64, Failed> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let field = rest.split_whitespace().nth(19).ok_or("no start time")?;
    Ok(field.parse()?)
}

fn known() -> Result<(), Failed> {
    let long = "l".repeat(100_000);
    let args = [
        "linger".as_bytes(),
        b"",
        b"two words",
        b"\xff",
        long.as_bytes(),
    ];
    let running = Running::workload(&args.map(std::ffi::OsStr::from_bytes))?;
    let pid = running.0.id();
    let recorder = Recorder::start(&["--sample", "0"])?;
    let ticks = start_ticks(pid)?;
    drop(running);
    let recording = recorder.stop(libc::SIGTERM)?;
    let row = &recording.query(&format!(
        "SELECT p.source, p.ppid, p.start_ns, p.upid, p.argv, p.exe, p.cwd, p.uid, \
                x.upid AS exit_upid, p.exit_signal, q.pid AS parent \
         FROM process p JOIN exit x ON x.pid = p.pid JOIN process q ON q.upid = p.parent_upid \
         WHERE p.pid = {pid}"
    ))?[0];
    equal!(row["source"], "snapshot");
    equal!(row["ppid"], std::process::id());
    equal!(row["parent"], std::process::id());
    let argv = row["argv"].as_array().ok_or("argv is no list")?;
    equal!(argv[1..4], ["linger", "", "two words"]);
    equal!(argv[4], "\u{fffd}");
    equal!(argv[5], long.as_str());
    equal!(row["exe"].as_str(), fs::canonicalize(workload())?.to_str());
    equal!(row["cwd"].as_str(), std::env::current_dir()?.to_str());
    // What lives and what ends is one process.
    equal!(row["exit_upid"], row["upid"]);
    equal!(row["exit_signal"], libc::SIGKILL);
    let start_ns = row["start_ns"].as_i64().ok_or("no start time")?;
    // SAFETY: asks for a number.
    let hz = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    equal!(start_ns / (1_000_000_000 / hz), ticks);
    let upid = start_ns / 1000 * 16384 + i64::from(pid) % 16384;
    equal!(row["upid"], upid);
    Ok(())
}

/// Pid and start time of every process, which together are never reused.
fn in_proc() -> std::io::Result<BTreeSet<(u32, i64)>> {
    let pids = fs::read_dir("/proc")?.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse().ok()
    });
    Ok(pids
        .filter_map(|pid| Some((pid, start_ticks(pid).ok()?)))
        .collect())
}

fn complete() -> Result<(), Failed> {
    let before = in_proc()?;
    let recorder = Recorder::start(&["--sample", "0"])?;
    let after = in_proc()?;
    let recording = recorder.stop(libc::SIGINT)?;
    let rows = recording.query("SELECT pid, start_ns FROM process WHERE source = 'snapshot'")?;
    // SAFETY: asks for a number.
    let tick_ns = 1_000_000_000 / unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let recorded: BTreeSet<(u32, i64)> = rows
        .iter()
        .filter_map(|r| {
            let pid = u32::try_from(r["pid"].as_i64()?).ok()?;
            Some((pid, r["start_ns"].as_i64()? / tick_ns))
        })
        .collect();
    let lived: Vec<_> = before.intersection(&after).collect();
    ensure!(
        lived.len() > 20,
        "only {} processes were there",
        lived.len()
    );
    let missing: Vec<_> = lived.iter().filter(|p| !recorded.contains(p)).collect();
    ensure!(missing.is_empty(), "no row for (pid, start) {missing:?}");
    // Nobody descends from nowhere but the first processes, of user and kernel, and
    // who ended before it was listed, of which only that is known.
    let roots = recording.query(
        "SELECT pid FROM process \
         WHERE parent_upid IS NULL AND (source <> 'inferred' OR end_ns IS NULL) ORDER BY 1",
    )?;
    let roots: Vec<_> = roots.iter().filter_map(|r| r["pid"].as_i64()).collect();
    ensure!(roots.iter().all(|pid| *pid <= 2), "roots are {roots:?}");
    Ok(())
}

fn in_a_storm() -> Result<(), Failed> {
    let mut storm = Command::new(workload())
        .arg("storm-until-closed")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let pid = storm.id();
    let recorder = Recorder::start(&["--sample", "0"]);
    // Closes its standard input, and waits.
    drop(storm.stdin.take());
    let told = storm.wait_with_output()?;
    let recording = recorder?.stop(libc::SIGINT)?;
    ensure!(
        recording.said().contains("nothing was lost"),
        "{}",
        recording.said()
    );
    let count = |what: &str| {
        recording.number(&format!(
            "SELECT count(*) FROM process p WHERE p.argv[2] LIKE 'u-{pid}-%' AND {what}"
        ))
    };
    // Those of the moment in which recording began are known from the list or
    // from their fork, whichever came first, and have one row.
    let all = count("true")?;
    equal!(count(&format!("p.ppid = {pid}"))?, all);
    equal!(count("p.source = 'inferred'")?, 0);
    equal!(count("p.end_ns IS NULL")?, 0);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let told: Vec<i64> = told.lines().filter_map(|l| l.parse().ok()).collect();
    equal!(told.len(), 2);
    let mut seen = 0;
    for (worker, count) in told.into_iter().enumerate() {
        seen += numbers_without_gap(&recording, pid, worker, count)?;
    }
    equal!(seen, all);
    Ok(())
}

/// From the first that was seen of a worker, all were, up to its last.
fn numbers_without_gap(
    recording: &Recording,
    storm: u32,
    worker: usize,
    end: i64,
) -> Result<i64, Failed> {
    let rows = recording.query(&format!(
        "SELECT argv[2] AS a FROM process WHERE argv[2] LIKE 'u-{storm}-{worker}-%'"
    ))?;
    let mut numbers: Vec<i64> = rows
        .iter()
        .filter_map(|r| r["a"].as_str()?.rsplit('-').next()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let first = *numbers.first().ok_or("none of a worker was seen")?;
    ensure!(first > 0, "the storm began after the recording");
    equal!(numbers, (first..end).collect::<Vec<_>>());
    Ok(end - first)
}

fn subreaper() -> Result<(), Failed> {
    let recording = whence_tests::record(&["--sample", "0"], &[workload().as_str(), "subreaper"])?;
    let said = recording.printed();
    let pids: Vec<&str> = said.split_whitespace().collect();
    let [forker, orphan, adopter] = pids[..] else {
        return Err(format!("cannot read {said}").into());
    };
    let row = &recording.query(&format!(
        "SELECT p.ppid AS forker, e.ppid AS at_exec, r.pid AS reaper \
         FROM process p JOIN exec e ON e.upid = p.upid JOIN exit x ON x.upid = p.upid \
         JOIN process r ON r.upid = x.reaper_upid WHERE p.pid = {orphan}"
    ))?[0];
    equal!(row["forker"].to_string(), forker);
    equal!(row["at_exec"].to_string(), adopter);
    equal!(row["reaper"].to_string(), adopter);
    // The tree goes through who forked it, too.
    let parents = recording.query(&format!(
        "SELECT a.pid FROM process p JOIN process a \
           ON p.tree_first > a.tree_first AND p.tree_first <= a.tree_last \
         WHERE p.pid = {orphan} ORDER BY a.depth DESC LIMIT 2"
    ))?;
    let parents: Vec<String> = parents.iter().map(|r| r["pid"].to_string()).collect();
    equal!(parents, [forker, adopter]);
    // `who` counts the forker's program, which is a part of the workload.
    let answer = run(&[
        whence_tests::program("whence").as_os_str(),
        "tree".as_ref(),
        "--pid".as_ref(),
        orphan.as_ref(),
        "-i".as_ref(),
        recording.path().as_os_str(),
    ])?;
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    let at = |pid: &str| answer.find(pid);
    ensure!(
        at(adopter).is_some() && at(adopter) < at(forker) && at(forker) < at(orphan),
        "the tree does not go {adopter}, {forker}, {orphan}: {answer}"
    );
    Ok(())
}
