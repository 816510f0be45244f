//! Whatever ends a recorder, its recording opens, and says what is missing:
//! kills at any moment, copies while it is written, disks that fill or fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use libtest_mimic::Failed;
use tempfile::TempDir;
use whence_schemas::manifest::{Manifest, State};
use whence_schemas::recover::{Recovered, recover};
use whence_schemas::{TABLES, read};
use whence_tests::{Turn, finish, program, run, workload};

use super::{Test, ensure, equal, no_mount_namespace, test};

pub(super) const TESTS: &[Test] = &[
    test("a_recorder_killed_at_any_moment_leaves_a_recording", kills),
    test("a_copy_made_at_any_moment_is_a_recording", copies),
    Test {
        name: "on_a_disk_that_fills_stacks_stop_before_processes_do",
        obstacle: no_mount_namespace,
        run: disk_fills,
    },
    Test {
        name: "a_disk_that_fails_to_write_loses_no_finished_segment",
        obstacle: no_loop_device,
        run: disk_fails,
    },
    Test {
        name: "a_disk_that_becomes_read_only_loses_no_finished_segment",
        obstacle: no_loop_device,
        run: read_only,
    },
    test("a_recording_within_its_size_ends_well", max_size),
];

/// How often a recorder is killed; many times in a soak.
fn rounds() -> u32 {
    let asked = std::env::var("WHENCE_KILLS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(50)
}

/// Numbers that differ from run to run; the first is printed by who fails.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self(now.map_or(1, |d| u64::from(d.subsec_nanos()) | 1))
    }

    /// A time below `most`.
    pub(super) fn time(&mut self, most: Duration) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        most.mul_f64((self.0 >> 33) as f64 / f64::from(1_u32 << 31))
    }
}

/// Starts processes until it is dropped.
struct Storm(Child);

impl Storm {
    fn start() -> std::io::Result<Self> {
        let script = "while :; do \"$0\" storm 50 1; sleep 0.02; done";
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, &workload()])
            .stdout(Stdio::null());
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A recorder of the whole host, with small segments.
pub(super) fn recorder(dir: &Path) -> std::io::Result<Child> {
    Command::new(program("whence-record"))
        .arg("-o")
        .arg(dir)
        .args(["--segment", "100ms", "--sample", "200"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
}

/// That all is there which the manifest promises, before and after recovery.
pub(super) fn is_usable(dir: &Path) -> Result<u64, Failed> {
    reads_whole(dir)?;
    recover(dir)?;
    let manifest = Manifest::read(dir)?;
    equal!(manifest.state, State::Finished);
    ensure!(manifest.process_complete, "its processes are not complete");
    equal!(recover(dir)?, Recovered::default());
    let rows = reads_whole(dir)?;
    let left = run(&[
        "find".as_ref(),
        dir.as_os_str(),
        "-name".as_ref(),
        ".*".as_ref(),
    ])?;
    equal!(String::from_utf8_lossy(&left.stdout), "");
    Ok(rows)
}

/// Reads all tables to the end; returns the number of execs.
fn reads_whole(dir: &Path) -> Result<u64, Failed> {
    let manifest = Manifest::read(dir)?;
    let found = read::inventory(dir, &manifest);
    let findings: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
    equal!(findings, [""; 0]);
    let mut execs = 0;
    for def in TABLES {
        let columns: Vec<&str> = def.columns.iter().map(|c| c.name).collect();
        let batches = read::batches(dir, &manifest, def, &columns)?;
        if def.name == "exec" {
            execs = batches.iter().map(|b| b.num_rows() as u64).sum();
        }
    }
    Ok(execs)
}

fn kills() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let _storm = Storm::start()?;
    let mut random = Random::new();
    let seed = random.0;
    let (mut execs, mut left) = (0, 0);
    for round in 0..rounds() {
        let top = TempDir::new()?;
        let dir = top.path().join("x.whence");
        let mut child = recorder(&dir)?;
        // While it starts, when it is about to record, or while it does.
        match round % 3 {
            0 => {}
            1 => wait_for(&dir),
            _ => wait_for(&dir.join("exec/000001.parquet")),
        }
        std::thread::sleep(random.time(Duration::from_millis(700)));
        child.kill()?;
        let said = finish(child)?.stderr;
        let place = || {
            format!(
                "seed {seed}, round {round}: {}",
                String::from_utf8_lossy(&said)
            )
        };
        if dir.exists() {
            execs += is_usable(&dir).map_err(|e| format!("{}{}", place(), text(&e)))?;
            left += 1;
        }
    }
    println!(
        "{} kills, {left} recordings left and all of them read, {execs} execs",
        rounds()
    );
    ensure!(execs > 0, "no execs were recorded");
    Ok(())
}

/// Waits until there is a file, or it is too late for one.
fn wait_for(path: &Path) {
    let begin = std::time::Instant::now();
    while !path.exists() && begin.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn text(failed: &Failed) -> String {
    failed.message().unwrap_or_default().to_owned()
}

/// A power failure leaves what was synced; a copy, taken file by file while the
/// recorder goes on, is at most as good as that.
fn copies() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let _storm = Storm::start()?;
    let top = TempDir::new()?;
    let dir = top.path().join("x.whence");
    let child = recorder(&dir)?;
    let mut random = Random::new();
    wait_for(&dir.join("exec/000001.parquet"));
    let mut copies: Vec<PathBuf> = Vec::new();
    for copy in 0..20 {
        std::thread::sleep(random.time(Duration::from_millis(300)));
        let copy = top.path().join(format!("{copy}.whence"));
        // The manifest first: it must not name what is copied no more.
        std::fs::create_dir(&copy)?;
        std::fs::copy(dir.join("recording.json"), copy.join("recording.json"))?;
        let all = dir.join(".");
        // Files that go while it copies make it complain.
        run(&[
            "cp".as_ref(),
            "-rn".as_ref(),
            all.as_os_str(),
            copy.as_os_str(),
        ])?;
        copies.push(copy);
    }
    // SAFETY: the pid is of our child, which has not been waited for.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGINT) };
    equal!(finish(child)?.status.code(), Some(0));
    let mut before = 0;
    for copy in copies {
        let execs = is_usable(&copy)?;
        ensure!(
            execs >= before,
            "{execs} execs are less than {before} before"
        );
        before = execs;
    }
    ensure!(is_usable(&dir)? >= before && before > 0, "{before} execs");
    Ok(())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a script in a mount namespace of its own, in a folder of its own, with
/// the recorder as `$0` and the workload as `$1`.
pub(super) fn on_a_disk(script: &str) -> Result<(TempDir, Output), Failed> {
    let dir = TempDir::new()?;
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .args([program("whence-record").display().to_string(), workload()])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output()?;
    ensure!(
        output.status.code() != Some(99),
        "no disk: {}",
        said(&output)
    );
    Ok((dir, output))
}

fn query(dir: &Path, sql: &str) -> Result<i64, Failed> {
    let output = Command::new(program("whence"))
        .args(["query", "--format", "json", sql, "-i"])
        .arg(dir.join("x.whence"))
        .output()?;
    ensure!(output.status.success(), "{}", said(&output));
    let rows: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let first = rows[0].as_object().and_then(|row| row.values().next());
    let number = first.and_then(serde_json::Value::as_i64);
    Ok(number.ok_or_else(|| format!("{rows}"))?)
}

fn disk_fills() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let (dir, output) = on_a_disk(
        "mkdir small && mount -t tmpfs -o size=4m none small || exit 99
         \"$0\" -o small/x.whence --segment 200ms --sample 2000 -- \"$1\" storm 60000 2
         status=$?; cp -r small/x.whence .; exit $status",
    )?;
    let said = said(&output);
    equal!((output.status.code(), &said), (Some(1), &said));
    ensure!(said.contains("disk is full"), "{said}");
    ensure!(is_usable(&dir.path().join("x.whence"))? > 100, "{said}");
    let held = query(
        dir.path(),
        "SELECT sum(count) FROM loss WHERE stream = 'sample' AND cause = 'disk full'",
    )?;
    ensure!(held > 0, "no sample was held back: {said}");
    let longer = query(
        dir.path(),
        "SELECT (SELECT max(ts_ns) FROM exec) - (SELECT max(ts_ns) FROM sample)",
    )?;
    ensure!(longer > 0, "samples were recorded longer than execs");
    Ok(())
}

/// Why no file system can be made whose disk fails.
fn no_loop_device() -> Option<String> {
    no_mount_namespace().or_else(|| {
        let script = "t=$(mktemp -d) && mount -t tmpfs none $t && truncate -s 16M $t/img && \
                      mkfs.ext4 -q $t/img && mkdir $t/m && mount -o loop $t/img $t/m && \
                      umount $t/m && umount $t && rmdir $t";
        let made = run(&["unshare", "--mount", "sh", "-c", script]);
        let made = made.is_ok_and(|output| output.status.success());
        (!made).then(|| "no ext4 can be made on a loop device here".into())
    })
}

fn disk_fails() -> Result<(), Failed> {
    // The file system thinks that it has 16 MB, its device has three.
    let _turn = Turn::take()?;
    let (dir, output) = on_a_disk(
        "mkdir below disk && mount -t tmpfs -o size=3m none below || exit 99
         truncate -s 16M below/img && mkfs.ext4 -q -O ^has_journal below/img || exit 99
         mount -o loop below/img disk || exit 99
         \"$0\" -o disk/x.whence --segment 200ms -- \"$1\" storm 60000 2
         status=$?; cp -r disk/x.whence .; umount disk; exit $status",
    )?;
    let said = said(&output);
    equal!((output.status.code(), &said), (Some(1), &said));
    ensure!(said.contains("disk/x.whence"), "no file is named: {said}");
    let recording = dir.path().join("x.whence");
    recover(&recording)?;
    equal!(recover(&recording)?, Recovered::default());
    ensure!(
        query(dir.path(), "SELECT count(*) FROM exec")? > 100,
        "{said}"
    );
    Ok(())
}

fn read_only() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let (dir, output) = on_a_disk(
        "mkdir below disk && mount -t tmpfs -o size=30m none below || exit 99
         truncate -s 16M below/img && mkfs.ext4 -q below/img || exit 99
         mount -o loop,errors=remount-ro below/img disk || exit 99
         device=$(basename $(findmnt -n -o SOURCE disk))
         (until [ -e disk/x.whence/exec/000004.parquet ]; do sleep 0.05; done
          echo 1 > /sys/fs/ext4/$device/trigger_fs_error) &
         \"$0\" -o disk/x.whence --segment 200ms -- \"$1\" storm 60000 2
         status=$?; cp -r disk/x.whence .; umount disk; exit $status",
    )?;
    let said = said(&output);
    equal!((output.status.code(), &said), (Some(1), &said));
    // What was under way when it became so fails otherwise.
    let reasons = ["ead-only file system", "nput/output error"];
    ensure!(reasons.iter().any(|r| said.contains(r)), "{said}");
    let dir = dir.path().join("x.whence");
    ensure!(
        dir.join("exec/000004.parquet").exists(),
        "a segment is gone"
    );
    ensure!(is_usable(&dir)? > 100, "{said}");
    let missing = Manifest::read(&dir)?.missing.join("\n");
    ensure!(missing.contains("events after"), "{missing}");
    Ok(())
}

fn max_size() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let _storm = Storm::start()?;
    let top = TempDir::new()?;
    let dir = top.path().join("x.whence");
    let output = Command::new(program("whence-record"))
        .arg("-o")
        .arg(&dir)
        .args([
            "--max-size",
            "2MB",
            "--segment",
            "500ms",
            "--sample",
            "2000",
        ])
        .output()?;
    let said = said(&output);
    equal!((output.status.code(), &said), (Some(0), &said));
    ensure!(said.contains("--max-size"), "{said}");
    let bytes: u64 = run(&["du", "-sb", &dir.display().to_string()])
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())?
        .split_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(u64::MAX);
    // Files of the last second come on top.
    ensure!(bytes < 3 << 20, "it has {bytes} bytes");
    equal!(Manifest::read(&dir)?.state, State::Finished);
    let held = query(
        top.path(),
        "SELECT count(*) FROM loss WHERE cause = 'size limit'",
    )?;
    ensure!(held > 0, "no stacks were held back");
    fs::remove_dir_all(&dir)?;
    Ok(())
}
