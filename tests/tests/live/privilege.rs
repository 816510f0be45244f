//! What the recorder may do once it records, and what it says of a host.

use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Failed;
use tempfile::TempDir;
use whence_tests::{Recorder, Recording, Turn, finish, program, record};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("once_it_records_it_can_do_no_more_than_read", confined),
    test("the_recorder_is_not_among_its_own_samples", not_itself),
    test("the_doctor_is_right_about_this_host", doctor),
    test("a_second_interrupt_ends_the_command", second_interrupt),
    test(
        "when_the_time_is_over_the_command_is_asked_to_end",
        duration,
    ),
];

fn confined() -> Result<(), Failed> {
    let recorder = Recorder::start(&[])?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", recorder.pid()))?;
    let value = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    equal!(value("NoNewPrivs:"), "1");
    equal!(value("Seccomp:"), "2");
    let bits = u64::from_str_radix(&value("CapEff:"), 16)?;
    // CAP_SYS_ADMIN, CAP_BPF, CAP_DAC_OVERRIDE, CAP_SETUID.
    for bit in [21, 39, 1, 7] {
        equal!((bit, bits & (1 << bit)), (bit, 0));
    }
    let recording = recorder.stop(libc::SIGINT)?;
    let said = recording.said();
    equal!((recording.output.status.code(), &said), (Some(0), &said));
    ensure!(!said.contains("kept its capabilities"), "{said}");
    // What it reads later still has names.
    let named = recording.number(
        "SELECT count(*) FROM symbol s JOIN frame f ON f.frame_id = s.frame_id \
         WHERE f.kind = 'user'",
    )?;
    ensure!(named > 0, "no user function has a name");
    Ok(())
}

fn not_itself() -> Result<(), Failed> {
    // Others may record too: it is the one that wrote this recording.
    let of_itself = |recording: &Recording| {
        recording.number(&format!(
            "SELECT count(*) FROM sample WHERE context = 'task' AND pid = \
             (SELECT max(pid) FROM process WHERE argv[2] = '-o' AND argv[3] = '{}')",
            recording.path().display()
        ))
    };
    let busy = [
        "sh",
        "-c",
        "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done",
    ];
    let without = record(&["--system-wide", "--sample", "2000"], &busy)?;
    equal!(of_itself(&without)?, 0);
    let with = record(
        &["--system-wide", "--sample", "2000", "--include-self"],
        &busy,
    )?;
    ensure!(of_itself(&with)? > 0, "it was not asked in vain");
    Ok(())
}

fn doctor() -> Result<(), Failed> {
    let doctor = |format: &str| {
        Command::new(program("whence-record"))
            .args(["--doctor", "--format", format])
            .output()
    };
    let output = doctor("json")?;
    equal!(output.status.code(), Some(0));
    let checks: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)?;
    let status = |name: &str| {
        let check = checks.iter().find(|c| c["check"] == name);
        check.map_or("not there", |c| c["status"].as_str().unwrap_or_default())
    };
    for name in ["btf", "ring buffer", "process life", "process list"] {
        equal!((name, status(name)), (name, "ok"));
    }
    // As the kernel itself lists them.
    let kprobes = std::path::Path::new("/sys/bus/event_source/devices/kprobe").exists();
    equal!(status("kprobe") == "ok", kprobes);
    let callers = record(&[], &["true"])?;
    let stacks = callers.number("SELECT count(user_stack_id) FROM exec")?;
    equal!(status("callers of exec") == "ok", stacks > 0);
    let text = String::from_utf8_lossy(&doctor("text")?.stdout).into_owned();
    ensure!(text.ends_with("this host can be recorded\n"), "{text}");
    Ok(())
}

/// A recorder of `sleep 4711`, once that runs.
fn sleeper(options: &[&str]) -> Result<(TempDir, std::process::Child), Failed> {
    let dir = TempDir::new()?;
    let mut recorder = Command::new(program("whence-record"))
        .arg("-o")
        .arg(dir.path().join("x.whence"))
        .arg("--print")
        .args(options)
        .args(["--", "/bin/sleep", "4711"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut line = String::new();
    if let Some(stdout) = recorder.stdout.take() {
        use std::io::BufRead as _;
        // The pipe closes with this: the command is not to mind.
        std::io::BufReader::new(stdout).read_line(&mut line)?;
    }
    ensure!(line.ends_with("/bin/sleep 4711\n"), "it printed {line}");
    Ok((dir, recorder))
}

fn second_interrupt() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let (_dir, mut recorder) = sleeper(&[])?;
    let interrupt = || {
        // SAFETY: the pid is of our child, which has not been waited for.
        unsafe { libc::kill(recorder.id().cast_signed(), libc::SIGINT) };
    };
    interrupt();
    std::thread::sleep(Duration::from_secs(1));
    interrupt();
    let still = recorder.try_wait()?.is_none();
    let output = finish(recorder)?;
    ensure!(still, "the first interrupt ended it");
    equal!(output.status.code(), Some(128 + libc::SIGTERM));
    Ok(())
}

fn duration() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let (_dir, recorder) = sleeper(&["-d", "2s"])?;
    equal!(finish(recorder)?.status.code(), Some(128 + libc::SIGTERM));
    Ok(())
}
