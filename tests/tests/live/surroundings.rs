//! The recorder where something is missing: privileges, mounts, room.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use libtest_mimic::Failed;
use serde_json::Value;
use tempfile::TempDir;
use whence_tests::{Turn, finish, program, run, workload};

use super::{Test, ensure, equal, no_mount_namespace, test};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "few_capabilities_are_enough_without_being_root",
        obstacle: no_ambient_capabilities,
        run: few_capabilities,
    },
    Test {
        name: "an_output_that_may_not_be_written_is_named",
        obstacle: no_ambient_capabilities,
        run: not_writable,
    },
    Test {
        name: "without_types_of_the_kernel_it_says_what_to_enable",
        obstacle: no_mount_namespace,
        run: no_btf,
    },
    Test {
        name: "nothing_needs_to_be_mounted",
        obstacle: no_mount_namespace,
        run: nothing_mounted,
    },
    Test {
        name: "a_disk_that_others_fill_ends_a_recording_that_can_be_read",
        obstacle: no_mount_namespace,
        run: disk_full,
    },
    test("either_signal_ends_a_recording_well", signals),
    test("a_signal_to_the_recorder_ends_its_command", command_ends),
];

/// An ordinary user with the two capabilities that recording needs.
const FEW: [&str; 6] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--inh-caps=-all,+bpf,+perfmon",
    "--ambient-caps=-all,+bpf,+perfmon",
];

fn no_ambient_capabilities() -> Option<String> {
    let made = run(&[&FEW[..], &["true"]].concat());
    let made = made.is_ok_and(|output| output.status.success());
    (!made).then(|| "setpriv cannot give an ordinary user capabilities here".into())
}

/// A folder with the programs, of an ordinary user.
fn open_folder() -> std::io::Result<TempDir> {
    let dir = TempDir::new()?;
    for name in ["whence-record", "whence-workload"] {
        std::fs::copy(program(name), dir.path().join(name))?;
    }
    let open = dir.path().display().to_string();
    run(&["chown", "--recursive", "65534:65534", &open])?;
    Ok(dir)
}

fn in_folder(dir: &Path, command: &[&str]) -> std::io::Result<Output> {
    Command::new(command[0])
        .args(&command[1..])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The rows that a query gives on a recording of that folder.
fn query(dir: &Path, sql: &str) -> Result<Value, Failed> {
    let whence = program("whence").display().to_string();
    let output = in_folder(
        dir,
        &[&whence, "query", "-i", "x.whence", "--format", "json", sql],
    )?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn few_capabilities() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let dir = open_folder()?;
    let record = [
        "./whence-record",
        "-o",
        "x.whence",
        "--",
        "./whence-workload",
    ];
    let command = [&FEW[..], &record, &["storm", "20", "1"]].concat();
    let output = in_folder(dir.path(), &command)?;
    equal!(
        (said(&output), output.status.code()),
        (said(&output), Some(0))
    );
    let rows = query(
        dir.path(),
        "SELECT count(*) AS n, min(uid) AS uid FROM exec WHERE argv[2] LIKE 'u-%'",
    )?;
    equal!(rows, serde_json::json!([{"n": 20, "uid": 65534}]));
    // What those capabilities do not allow is said.
    ensure!(said(&output).contains("note: "), "{}", said(&output));
    Ok(())
}

fn not_writable() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let dir = open_folder()?;
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed)?;
    let command = [
        &FEW[..],
        &["./whence-record", "-o", "closed/x.whence", "-d", "1s"],
    ]
    .concat();
    let output = in_folder(dir.path(), &command)?;
    equal!(output.status.code(), Some(1));
    let said = said(&output);
    equal!(said.lines().count(), 1);
    for part in ["closed/x.whence", "ermission denied", "--output"] {
        ensure!(said.contains(part), "no {part} in {said}");
    }
    equal!(std::fs::read_dir(&closed)?.count(), 0);
    Ok(())
}

/// Runs a shell script in a mount namespace of its own.
fn unshared(dir: &Path, script: &str) -> std::io::Result<Output> {
    in_folder(dir, &["unshare", "--mount", "sh", "-c", script])
}

fn no_btf() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let dir = open_folder()?;
    let script = "mount -t tmpfs none /sys/kernel/btf && ./whence-record -o x.whence -d 1s";
    let output = unshared(dir.path(), script)?;
    equal!(output.status.code(), Some(1));
    let said = said(&output);
    equal!(said.lines().count(), 1);
    for part in ["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"] {
        ensure!(said.contains(part), "no {part} in {said}");
    }
    ensure!(!dir.path().join("x.whence").exists(), "it left a folder");
    Ok(())
}

fn nothing_mounted() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let dir = open_folder()?;
    let script = "for dir in /sys/kernel/tracing /sys/kernel/debug /sys/fs/bpf; do \
                    while mountpoint -q $dir; do umount -l $dir; done; \
                  done; \
                  ./whence-record -o x.whence -s tracepoint:sched:sched_process_wait -- \
                    ./whence-workload fail";
    let output = unshared(dir.path(), script)?;
    equal!(
        (said(&output), output.status.code()),
        (said(&output), Some(0))
    );
    let failed = query(
        dir.path(),
        "SELECT count(*) AS n FROM exec WHERE errno <> 0",
    )?;
    let told = String::from_utf8_lossy(&output.stdout).lines().count();
    equal!(failed[0]["n"], told);
    let hits = query(
        dir.path(),
        "SELECT count(*) > 0 AS hit FROM sample WHERE event LIKE 'tracepoint:%'",
    )?;
    equal!(hits[0]["hit"], true);
    Ok(())
}

fn disk_full() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let dir = open_folder()?;
    // Room for some segments; what can be read is copied out of the namespace.
    let script = format!(
        "mkdir small && mount -t tmpfs -o size=2m none small || exit 99
         ./whence-record -o small/x.whence --segment 200ms --keep-free 0 -- '{}' storm 20000 2
         status=$?; cp -r small/x.whence .; exit $status",
        workload()
    );
    let output = unshared(dir.path(), &script)?;
    equal!(
        (said(&output), output.status.code()),
        (said(&output), Some(1))
    );
    let said = said(&output);
    ensure!(said.contains("small/x.whence/"), "no file is named: {said}");
    ensure!(said.contains("o space left"), "no reason is given: {said}");
    let rows = query(dir.path(), "SELECT count(*) AS n FROM exec")?;
    ensure!(rows[0]["n"].as_i64().is_some_and(|n| n > 0), "{rows}");
    Ok(())
}

fn state(dir: &Path) -> Result<Value, Failed> {
    let text = std::fs::read_to_string(dir.join("recording.json"))?;
    let manifest: Value = serde_json::from_str(&text)?;
    Ok(manifest["state"].clone())
}

fn signals() -> Result<(), Failed> {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let recording = whence_tests::Recorder::start(&[])?.stop(signal)?;
        equal!((signal, recording.output.status.code()), (signal, Some(0)));
        equal!(state(&recording.path())?, "finished");
        ensure!(
            recording.said().contains("nothing was lost"),
            "{}",
            recording.said()
        );
        // No file is left under a name for the time of writing.
        let names = run(&[
            "find".as_ref(),
            recording.path().as_os_str(),
            "-type".as_ref(),
            "f".as_ref(),
        ])?;
        let names = String::from_utf8_lossy(&names.stdout).into_owned();
        let strange: Vec<&str> = names
            .lines()
            .filter(|n| !n.ends_with(".parquet") && !n.ends_with("/recording.json"))
            .collect();
        equal!(strange, [""; 0]);
    }
    Ok(())
}

fn command_ends() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let dir = TempDir::new()?;
    let target = dir.path().join("x.whence");
    let mut recorder = Command::new(program("whence-record"))
        .arg("-o")
        .arg(&target)
        .args(["--print", "-d", "60s", "--", "/bin/sleep", "4711"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // The command's exec is what it prints first.
    let mut line = String::new();
    if let Some(stdout) = &mut recorder.stdout {
        use std::io::BufRead as _;
        std::io::BufReader::new(stdout).read_line(&mut line)?;
    }
    // SAFETY: the pid is of our child, which has not been waited for.
    unsafe { libc::kill(recorder.id().cast_signed(), libc::SIGTERM) };
    let output = finish(recorder)?;
    ensure!(line.ends_with(" /bin/sleep 4711\n"), "it printed {line}");
    equal!(output.status.code(), Some(128 + libc::SIGTERM));
    equal!(state(&target)?, "finished");
    let ended = query(
        dir.path(),
        "SELECT exit_signal FROM process WHERE argv[2] = '4711'",
    )?;
    equal!(ended, serde_json::json!([{"exit_signal": libc::SIGTERM}]));
    Ok(())
}
