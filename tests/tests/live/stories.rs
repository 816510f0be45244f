//! The main job from end to end, as a user would do it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use libtest_mimic::Failed;
use tempfile::TempDir;
use whence_tests::{Recorder, Recording, program, run};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test(
        "who_runs_awk_is_answered_with_a_script_that_was_there_before",
        who,
    ),
    test("the_front_door_records_too", front_door),
    test("a_killed_recorder_leaves_what_it_had_written", killed),
    test(
        "a_process_keeps_its_identity_from_snapshot_to_exit",
        identity,
    ),
];

/// A script that goes on for as long as this lives.
struct Daemon {
    child: Child,
    _dir: TempDir,
}

impl Daemon {
    /// Stands in for ksmtuned.
    fn start() -> std::io::Result<Self> {
        let dir = TempDir::new()?;
        let path = dir.path().join("ksmtuned");
        let script = "#!/bin/bash\nwhile :; do\n\
            awk '/^MemFree:/ {free += $2}; END {print free}' /proc/meminfo\n\
            sleep 0.2\ndone\n";
        std::fs::write(&path, script)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        let child = Command::new(&path).stdout(Stdio::null()).spawn()?;
        // Let it be there well before recording begins.
        std::thread::sleep(std::time::Duration::from_millis(500));
        Ok(Self { child, _dir: dir })
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_daemon(options: &[&str]) -> Result<(Recording, u32), Failed> {
    let daemon = Daemon::start()?;
    let recorder = Recorder::start(options)?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    Ok((recorder.stop(libc::SIGTERM)?, daemon.pid()))
}

fn who() -> Result<(), Failed> {
    let (recording, pid) = with_daemon(&[])?;
    equal!(recording.output.status.code(), Some(0));
    let answer = recording.answer(&["who", "awk"])?;
    for part in ["ksmtuned", "/bin/bash", "every", "before", &pid.to_string()] {
        ensure!(answer.contains(part), "{part} is not in {answer}");
    }
    // The chain goes up to the first process.
    let ancestors = recording.query(&format!(
        "SELECT a.pid FROM process p, process a WHERE p.pid = {pid} \
         AND p.tree_first BETWEEN a.tree_first AND a.tree_last ORDER BY a.depth"
    ))?;
    equal!(ancestors[0]["pid"], 1);
    let replayed = recording.answer(&["replay"])?;
    let line = format!("{pid}/ksmtuned ");
    let quoted = "awk '/^MemFree:/ {free += $2}; END {print free}' /proc/meminfo";
    ensure!(
        replayed
            .lines()
            .any(|l| l.contains(&line) && l.ends_with(quoted)),
        "no such line in {replayed}"
    );
    Ok(())
}

fn front_door() -> Result<(), Failed> {
    let _turn = whence_tests::Turn::take()?;
    let dir = TempDir::new()?;
    let target = dir.path().join("y.whence").display().to_string();
    let whence = program("whence").display().to_string();
    let output = run(&[&whence, "record", "-o", &target, "--", "sh", "-c", "exit 6"])?;
    equal!(output.status.code(), Some(6));
    let output = run(&[&whence, "info", "-i", &target])?;
    equal!(output.status.code(), Some(0));
    Ok(())
}

fn killed() -> Result<(), Failed> {
    let (recording, _) = {
        let daemon = Daemon::start()?;
        let recorder = Recorder::start(&["--segment", "500ms"])?;
        std::thread::sleep(std::time::Duration::from_secs(3));
        (recorder.stop(libc::SIGKILL)?, daemon)
    };
    let execs = recording.number("SELECT count(*) FROM exec WHERE comm = 'awk'")?;
    ensure!(execs > 3, "{execs} execs");
    let whole = recording
        .number("SELECT count(*) FROM process WHERE comm = 'ksmtuned' AND source = 'snapshot'")?;
    equal!(whole, 1);
    let output = recording.whence(&["info"])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    ensure!(
        said.contains("cut off") || said.contains("not finished") || said.contains("running"),
        "it does not say that the recording was cut off: {said}"
    );
    Ok(())
}

fn identity() -> Result<(), Failed> {
    let (recording, pid) = with_daemon(&["--sample", "0"])?;
    let row = &recording.query(&format!(
        "SELECT count(DISTINCT p.upid) AS upids, count(DISTINCT f.parent_upid) AS forkers, \
                min(p.source) AS source, min(p.cmdline) AS cmdline \
         FROM process p JOIN fork f ON f.parent_upid = p.upid WHERE p.pid = {pid}"
    ))?[0];
    equal!(row["upids"], 1);
    equal!(row["forkers"], 1);
    equal!(row["source"], "snapshot");
    let line = row["cmdline"].as_str().unwrap_or_default();
    ensure!(
        line.starts_with("/bin/bash ") && line.ends_with("/ksmtuned"),
        "{line}"
    );
    Ok(())
}
