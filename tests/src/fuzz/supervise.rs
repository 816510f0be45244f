//! Watches the worker, and says which input it failed at.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::mutate::Inputs;
use crate::worker::{AT, DONE, FAILURE, SAID};
use crate::{Args, bounds, targets};

/// An input that takes longer without using the CPU waits for something.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// How much of what a worker said last is told.
const TOLD_BYTES: usize = 2 << 10;

/// Tries inputs until the time is over or one fails, which is saved.
///
/// # Errors
/// What it failed at, and where that input is.
pub(crate) fn run(args: &Args) -> Result<String, String> {
    let target = targets::named(&args.target)?;
    let inputs = Inputs::of(args, target.words).map_err(|e| e.to_string())?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let failed = |e: io::Error| format!("failed to watch the worker: {e}");
    let worker = spawn(scratch.path()).map_err(failed)?;
    let reason = match watch(worker, scratch.path()).map_err(failed)? {
        None => return read(scratch.path(), DONE).map_err(failed),
        Some(reason) => reason,
    };
    let n = at(scratch.path());
    let input = inputs.get(n);
    let path = args.save.join(format!("{}-{}-{n}", args.target, args.seed));
    fs::write(&path, &input).map_err(failed)?;
    Err(format!(
        "input {n} of seed {}, {} bytes, saved as {}: {reason}",
        args.seed,
        input.len(),
        path.display(),
    ))
}

fn spawn(scratch: &Path) -> io::Result<Child> {
    // Appending, since the worker empties it after each input.
    let said = File::options()
        .append(true)
        .create(true)
        .open(scratch.join(SAID))?;
    Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .args(["--worker", "0", "--scratch"])
        .arg(scratch)
        // What is made for a moment is made where it is watched.
        .env("TMPDIR", scratch)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .spawn()
}

/// CPU time of a process so far: a loaded machine gives little of it.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold anything; fields 14 and 15 of proc_pid_stat(5) are behind it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// Waits for the end; why it was not a good one.
fn watch(mut worker: Child, scratch: &Path) -> io::Result<Option<String>> {
    let mut last = ((u64::MAX, 0), Instant::now());
    let status = loop {
        if let Some(status) = worker.try_wait()? {
            break status;
        }
        let at = (at(scratch), cpu_ticks(worker.id()));
        if at != last.0 {
            last = (at, Instant::now());
        }
        if last.1.elapsed() > MAX_WAIT {
            worker.kill()?;
            worker.wait()?;
            return Ok(Some("it waits for something that does not come".into()));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if status.success() && scratch.join(DONE).exists() {
        return Ok(None);
    }
    match read(scratch, FAILURE) {
        Ok(reason) => Ok(Some(reason)),
        Err(_) => Ok(Some(format!("{}: {}", death(status), tail(scratch)))),
    }
}

fn death(status: ExitStatus) -> String {
    match status.signal() {
        Some(libc::SIGPROF) => format!("it takes more than {} s of CPU time", bounds::MAX_CPU_S),
        Some(libc::SIGABRT) => "it aborted, as without memory".into(),
        Some(libc::SIGSEGV) => "it broke its stack or its memory".into(),
        Some(signal) => format!("it died of signal {signal}"),
        None => format!("it ended with {status}"),
    }
}

fn at(scratch: &Path) -> u64 {
    let bytes = fs::read(scratch.join(AT)).unwrap_or_default();
    bytes.first_chunk().map_or(0, |n| u64::from_ne_bytes(*n))
}

fn read(scratch: &Path, name: &str) -> io::Result<String> {
    fs::read_to_string(scratch.join(name))
}

fn tail(scratch: &Path) -> String {
    let said = fs::read(scratch.join(SAID)).unwrap_or_default();
    let last = &said[said.len().saturating_sub(TOLD_BYTES)..];
    last.escape_ascii().to_string().replace("\\n", "\n")
}
