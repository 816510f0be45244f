//! Tests against Debian's stock kernel in a virtual machine: what the kernel that
//! runs the tests may refuse, and that an older one is recorded as well.
//!
//! The machine is booted once (`tests/vm`) and records what all tests want, those
//! of process life being the ones of `live`; then they look at that. Where it
//! cannot be booted, they are ignored and the reason is printed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use whence_tests::{Test, elsewhere, ensure, equal, program, run, test, unbuilt};

#[path = "../live/exec.rs"]
mod exec;
#[path = "../live/life.rs"]
mod life;
mod paths;
mod second;

/// Those of process life that need nothing but the workload and a shell, and
/// little time: the machine is some twenty times slower than this one.
const OF_LIFE: [&str; 10] = [
    "one_string_of_131071_bytes_is_exact",
    "bytes_that_are_no_utf8_are_kept",
    "a_program_without_a_name_is_said_to_be_deleted",
    "failed_execs_are_recorded_with_errno_and_argv",
    "a_thread_that_executes_keeps_the_process",
    "a_deleted_working_directory_says_so",
    "a_process_lives_until_its_last_thread_ends",
    "the_parent_is_who_forked_and_not_who_adopted",
    "a_process_that_executes_nothing_is_its_parents_image",
    "a_chain_of_processes_is_numbered_in_preorder",
];

fn tests() -> Vec<&'static Test> {
    let of_life = exec::TESTS.iter().chain(life::TESTS);
    let of_life = of_life.filter(|test| OF_LIFE.contains(&test.name));
    second::TESTS
        .iter()
        .chain(paths::TESTS)
        .chain(of_life)
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vm")
}

/// The folder of the kernel to boot, or why there is none.
fn kernel() -> Result<PathBuf, String> {
    if std::env::consts::ARCH != "x86_64" {
        return Err("the virtual machine is for x86-64".into());
    }
    for needed in ["qemu-system-x86_64", "busybox", "cpio", "strip"] {
        let found = run(&["sh", "-c", &format!("command -v {needed}")]);
        if !found.is_ok_and(|output| output.status.success()) {
            return Err(format!("{needed} is not installed; make test installs it"));
        }
    }
    let output = run(&[folder().join("kernel.sh")]).map_err(|e| e.to_string())?;
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
fn made() -> Result<PathBuf, String> {
    let boot = || {
        let dir = boot(&kernel()?)?;
        elsewhere::find_in(&dir.path().join("made"));
        Ok(dir)
    };
    match BOOTED.get_or_init(boot) {
        Ok(dir) => Ok(dir.path().join("made")),
        Err(error) => Err(format!("the virtual machine failed: {error}")),
    }
}

fn main() -> ExitCode {
    if let Some(name) = unbuilt() {
        eprintln!("{name} is not built; run make test, or cargo build --workspace");
        return ExitCode::FAILURE;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let obstacle = kernel().err();
    if let Some(reason) = &obstacle {
        eprintln!("skipped the tests against a second kernel: {reason}");
    }
    elsewhere::note();
    let wanted = |test: &&Test| match &arguments.filter {
        Some(filter) => test.name.contains(filter.as_str()),
        None => true,
    };
    for test in tests().into_iter().filter(wanted) {
        // It ends where it would record.
        let _ = (test.run)();
    }
    let trial = |test: &'static Test| {
        let run = || {
            made()?;
            (test.run)()
        };
        Trial::test(test.name, run).with_ignored_flag(obstacle.is_some())
    };
    let trials = tests().into_iter().map(trial).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(Ok(dir)) = BOOTED.get() {
        // A static is never dropped.
        let _ = std::fs::remove_dir_all(dir.path());
    }
    conclusion.exit_code()
}
