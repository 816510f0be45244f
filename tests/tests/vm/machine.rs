//! A virtual machine with a stock kernel of Debian (`tests/vm`) that is booted once,
//! records what all tests want, and whose recordings they then look at. Where it
//! cannot be booted, they are ignored and the reason is printed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use whence_tests::{Test, elsewhere, program, run, unbuilt};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vm")
}

/// The folder of the kernel of that version, or why there is none.
fn kernel(version: &str) -> Result<PathBuf, String> {
    if std::env::consts::ARCH != "x86_64" {
        return Err("the virtual machine is for x86-64".into());
    }
    for needed in ["qemu-system-x86_64", "busybox", "cpio", "strip"] {
        let found = run(&["sh", "-c", &format!("command -v {needed}")]);
        if !found.is_ok_and(|output| output.status.success()) {
            return Err(format!("{needed} is not installed; make test installs it"));
        }
    }
    let output = run(&[folder().join("kernel.sh").as_os_str(), version.as_ref()])
        .map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().into()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().into()),
    }
}

/// Boots the machine, which records what was noted, and gives where that lies.
fn boot(kernel: &Path) -> Result<TempDir, String> {
    let dir = TempDir::new().map_err(|e| e.to_string())?;
    let (work, made) = (dir.path().join("work"), dir.path().join("made"));
    let notes: Vec<String> = elsewhere::notes();
    let lines: Vec<String> = notes
        .iter()
        .enumerate()
        .map(|(n, words)| format!("record {n} {words}\n"))
        .collect();
    std::fs::write(&work, lines.concat()).map_err(|e| e.to_string())?;
    let recorder = program("whence-record");
    let programs = recorder.parent().unwrap_or(Path::new(""));
    let boot = folder().join("boot.sh");
    let words = [boot.as_path(), kernel, programs, &work, &made];
    let output = run(&words.map(Path::as_os_str)).map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(dir);
    }
    let console = std::fs::read(made.join("console.log")).unwrap_or_default();
    let said = [output.stderr, console].concat();
    Err(String::from_utf8_lossy(&said).into_owned())
}

/// What the machine has made, or why it has not.
static BOOTED: OnceLock<Result<TempDir, String>> = OnceLock::new();

/// The folder of that; the machine is booted by whoever asks first.
fn made(kernel: &Path) -> Result<PathBuf, String> {
    let boot = || {
        let dir = boot(kernel)?;
        elsewhere::find_in(&dir.path().join("made"));
        Ok(dir)
    };
    match BOOTED.get_or_init(boot) {
        Ok(dir) => Ok(dir.path().join("made")),
        Err(error) => Err(format!("the virtual machine failed: {error}")),
    }
}

/// Boots a machine with the kernel of that version, and does the tests.
pub(super) fn run_all(version: &str, tests: &[&'static Test]) -> ExitCode {
    if let Some(name) = unbuilt() {
        eprintln!("{name} is not built; run make test, or cargo build --workspace");
        return ExitCode::FAILURE;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let kernel = kernel(version);
    if let Err(reason) = &kernel {
        eprintln!("skipped the tests against kernel {version}: {reason}");
    }
    elsewhere::note();
    let wanted = |test: &&&Test| match &arguments.filter {
        Some(filter) => test.name.contains(filter.as_str()),
        None => true,
    };
    for test in tests.iter().filter(wanted) {
        // It ends where it would record.
        let _ = (test.run)();
    }
    let trial = |test: &&'static Test| {
        let (test, kernel) = (*test, kernel.clone());
        let ignored = kernel.is_err();
        let run = move || {
            made(&kernel?)?;
            (test.run)()
        };
        Trial::test(test.name, run).with_ignored_flag(ignored)
    };
    let trials = tests.iter().map(trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(Ok(dir)) = BOOTED.get() {
        // A static is never dropped.
        let _ = std::fs::remove_dir_all(dir.path());
    }
    conclusion.exit_code()
}
