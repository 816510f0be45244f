//! The flight recorder: what it keeps, what survives it, what is frozen of it.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::Value;
use tempfile::TempDir;
use whence_schemas::manifest::{Manifest, State};
use whence_tests::{Turn, finish, program};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test(
        "a_flight_recorder_keeps_the_newest_and_knows_its_processes",
        newest,
    ),
    test("a_flight_recorder_goes_on_where_it_was_killed", resumes),
    test("what_is_kept_can_be_frozen_while_it_goes_on", freezes),
    test("a_recording_of_another_kind_is_not_gone_on_in", other_kind),
];

/// Longest time that anything is waited for.
const DEADLINE: Duration = Duration::from_secs(90);

fn start(dir: &Path, options: &[&str]) -> std::io::Result<Child> {
    Command::new(program("whence-record"))
        .arg("-o")
        .arg(dir)
        .args(["--sample", "20", "--segment", "500ms"])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Failed> {
    let begin = Instant::now();
    while !holds() {
        ensure!(begin.elapsed() < DEADLINE, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn end(child: Child, signal: i32) -> std::io::Result<Output> {
    // SAFETY: the pid is of our child, which has not been waited for.
    unsafe { libc::kill(child.id().cast_signed(), signal) };
    finish(child)
}

fn manifest(dir: &Path) -> Option<Manifest> {
    Manifest::read(dir).ok()
}

/// When the oldest part began, by the clock since boot.
fn begin_ns(dir: &Path) -> i64 {
    manifest(dir).map_or(0, |m| m.clock.boot_ns)
}

fn query(dir: &Path, sql: &str) -> Result<Value, Failed> {
    let begin = Instant::now();
    loop {
        let output = Command::new(program("whence"))
            .args(["query", "--format", "json", sql, "-i"])
            .arg(dir)
            .output()?;
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout)?);
        }
        // A part may go while it is read.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let gone = said.contains("No such file");
        ensure!(gone && begin.elapsed() < DEADLINE, "{said}");
    }
}

/// A process that was there before, and whose children are recorded.
struct Parent(Child);

impl Parent {
    fn start() -> std::io::Result<Self> {
        let script = "while :; do /bin/true u-flight; sleep 0.1; done";
        let mut command = Command::new("/bin/bash");
        Ok(Self(command.args(["-c", script, "flight-parent"]).spawn()?))
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// That each exec of the parent's children has a known parent, with its command
/// line, and that each stack has its frames.
fn stands_alone(dir: &Path) -> Result<(), Failed> {
    let rows = query(
        dir,
        "SELECT count(*) AS execs, count(p.upid) AS parents, min(p.cmdline) AS cmdline \
         FROM exec e LEFT JOIN process p ON p.upid = e.parent_upid WHERE e.argv[2] = 'u-flight'",
    )?;
    let row = &rows[0];
    ensure!(row["execs"].as_i64().is_some_and(|n| n > 0), "{row}");
    equal!(row["execs"], row["parents"]);
    let cmdline = row["cmdline"].as_str().unwrap_or_default();
    ensure!(cmdline.contains("flight-parent"), "{row}");
    let rows = query(
        dir,
        "SELECT (SELECT count(*) FROM sample \
                 WHERE kernel_stack_id NOT IN (SELECT stack_id FROM stack)) AS stacks, \
                (SELECT count(*) FROM (SELECT unnest(frame_ids) AS f FROM stack) \
                 WHERE f NOT IN (SELECT frame_id FROM frame)) AS frames",
    )?;
    equal!(rows[0], serde_json::json!({"stacks": 0, "frames": 0}));
    Ok(())
}

fn newest() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let _parent = Parent::start()?;
    let top = TempDir::new()?;
    let dir = top.path().join("x.whence");
    let child = start(&dir, &["--flight-recorder", "4s,100MB"])?;
    until("a first part", || begin_ns(&dir) > 0)?;
    let first = begin_ns(&dir);
    until("the first part goes", || begin_ns(&dir) > first)?;
    // As another engine, or a crash, would find it.
    stands_alone(&dir)?;
    let output = end(child, libc::SIGINT)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    equal!((output.status.code(), &said), (Some(0), &said));
    stands_alone(&dir)?;
    let manifest = Manifest::read(&dir)?;
    equal!(manifest.state, State::Finished);
    let oldest = manifest
        .segments
        .iter()
        .filter_map(|s| s.min_ns.zip(s.at_ns));
    ensure!(
        manifest.clock.boot_ns > first && oldest.clone().count() > 0,
        "nothing went"
    );
    let named: usize = manifest
        .segments
        .iter()
        .map(|s| usize::from(dir.join(&s.file).exists()))
        .sum();
    equal!(named, manifest.segments.len());
    Ok(())
}

fn resumes() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let _parent = Parent::start()?;
    let top = TempDir::new()?;
    let dir = top.path().join("x.whence");
    let options = ["--flight-recorder", "10m"];
    let segments = || manifest(&dir).map_or(0, |m| m.segments.len());
    for (run, signal) in [(0, libc::SIGKILL), (1, libc::SIGINT), (2, libc::SIGKILL)] {
        let child = start(&dir, &options)?;
        let before = segments();
        until("more segments", || segments() > before + 14)?;
        let _ = end(child, signal)?;
        let gaps = manifest(&dir).map_or(0, |m| m.gaps.len());
        equal!((run, gaps), (run, run));
        stands_alone(&dir)?;
    }
    let output = Command::new(program("whence"))
        .args(["recover"])
        .arg(&dir)
        .output()?;
    ensure!(output.status.success(), "it cannot be recovered");
    stands_alone(&dir)?;
    let output = Command::new(program("whence"))
        .args(["info", "-i"])
        .arg(&dir)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("the recorder did not run"), "{text}");
    Ok(())
}

fn recordings(top: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(top).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with("Z.whence"))
        .collect();
    all.sort();
    all
}

fn freezes() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let _parent = Parent::start()?;
    let top = TempDir::new()?;
    let dir = top.path().join("x.whence");
    let options = [
        "--flight-recorder",
        "10m",
        "--trigger",
        "exec:*/true u-trigger",
    ];
    let child = start(&dir, &options)?;
    let exec = dir.join("exec/000002.parquet");
    until("two segments", || exec.exists())?;
    // By hand, with what has happened a moment before.
    Command::new("/bin/true").arg("u-moment").status()?;
    let frozen = top.path().join("frozen.whence");
    let output = Command::new(program("whence-record"))
        .arg("--snapshot-of")
        .arg(&dir)
        .arg("-o")
        .arg(&frozen)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    equal!((output.status.code(), &said), (Some(0), &said));
    equal!(Manifest::read(&frozen)?.state, State::Finished);
    stands_alone(&frozen)?;
    let rows = query(
        &frozen,
        "SELECT count(*) AS n FROM exec WHERE argv[2] = 'u-moment'",
    )?;
    equal!(rows[0]["n"], 1);
    // By a trigger, then by a signal; and it goes on all the while.
    Command::new("/bin/true").arg("u-trigger").status()?;
    until("a trigger keeps it", || recordings(top.path()).len() == 1)?;
    let of_trigger = query(
        &recordings(top.path())[0],
        "SELECT count(*) AS n FROM exec WHERE argv[2] = 'u-trigger'",
    )?;
    equal!(of_trigger[0]["n"], 1);
    // SAFETY: the pid is of our child, which has not been waited for.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGUSR1) };
    until("a signal keeps it", || recordings(top.path()).len() == 2)?;
    equal!(manifest(&dir).map(|m| m.state), Some(State::Recording));
    equal!(end(child, libc::SIGINT)?.status.code(), Some(0));
    stands_alone(&dir)
}

fn other_kind() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let top = TempDir::new()?;
    let dir = top.path().join("x.whence");
    equal!(
        finish(start(&dir, &["-d", "100ms"])?)?.status.code(),
        Some(0)
    );
    let output = finish(start(&dir, &["--flight-recorder", "1m"])?)?;
    equal!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(said.contains("not of a flight recorder"), "{said}");
    Ok(())
}
