//! What the recorder says to what it cannot do. Nothing is overwritten, and no
//! folder is left behind.

use std::process::Output;

use libtest_mimic::Failed;
use tempfile::TempDir;
use whence_tests::{program, run};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("an_existing_output_is_left_alone", existing),
    test(
        "an_unknown_tracepoint_is_answered_with_near_names",
        unknown_tracepoint,
    ),
    test("wrong_usage_is_exit_2", usage),
    test("without_privileges_it_says_which_are_missing", unprivileged),
    test("a_closed_pipe_ends_a_recording_well", closed_pipe),
];

fn recorder(dir: &TempDir, args: &[&str]) -> std::io::Result<Output> {
    let _turn = whence_tests::Turn::take()?;
    std::process::Command::new(program("whence-record"))
        .args(args)
        .current_dir(dir.path())
        .output()
}

/// One line on stderr, naming the program.
fn one_line(output: &Output) -> Result<String, Failed> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(said.lines().count() == 1, "not one line: {said}");
    ensure!(said.starts_with("whence-record: "), "{said}");
    Ok(said)
}

fn existing() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let kept = dir.path().join("kept.whence");
    std::fs::create_dir(&kept)?;
    std::fs::write(kept.join("mine"), "mine")?;
    let output = recorder(&dir, &["-o", "kept.whence", "-d", "1s"])?;
    equal!(output.status.code(), Some(1));
    let said = one_line(&output)?;
    ensure!(
        said.contains("kept.whence") && said.contains("--output"),
        "{said}"
    );
    equal!(std::fs::read_to_string(kept.join("mine"))?, "mine");
    equal!(std::fs::read_dir(&kept)?.count(), 1);
    Ok(())
}

fn unknown_tracepoint() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let probe = "tracepoint:block:block_rq_complet";
    let output = recorder(&dir, &["-s", probe, "-d", "1s"])?;
    equal!(output.status.code(), Some(1));
    let said = one_line(&output)?;
    ensure!(
        said.contains("tracepoint:block:block_rq_complete"),
        "{said}"
    );
    equal!(std::fs::read_dir(dir.path())?.count(), 0);
    Ok(())
}

fn usage() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    for args in [
        ["-s", "nonsense"].as_slice(),
        &["-d", "5 parsecs"],
        &["--ring", "3"],
        &["--no-such-option"],
    ] {
        let output = recorder(&dir, args)?;
        equal!((args, output.status.code()), (args, Some(2)));
    }
    equal!(std::fs::read_dir(dir.path())?.count(), 0);
    Ok(())
}

fn unprivileged() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    // A place where anyone may run it from.
    let copy = dir.path().join("whence-record");
    std::fs::copy(program("whence-record"), &copy)?;
    run(&["chmod", "-R", "a+rx", &dir.path().display().to_string()])?;
    let target = std::env::temp_dir().join(format!("whence-nobody-{}", std::process::id()));
    let output = run(&[
        "setpriv".as_ref(),
        "--reuid=65534".as_ref(),
        "--clear-groups".as_ref(),
        copy.as_os_str(),
        "-o".as_ref(),
        target.as_os_str(),
        "-d".as_ref(),
        "1s".as_ref(),
    ])?;
    equal!(output.status.code(), Some(1));
    let said = one_line(&output)?;
    ensure!(said.contains("CAP_BPF") && said.contains("root"), "{said}");
    ensure!(!target.exists(), "it left a folder");
    Ok(())
}

fn closed_pipe() -> Result<(), Failed> {
    let _turn = whence_tests::Turn::take()?;
    let dir = TempDir::new()?;
    let record = program("whence-record").display().to_string();
    let script = format!(
        "( {record} -o p.whence -d 20s --print; echo $? > status ) | head -n 1 >/dev/null & \
         for i in 1 2 3 4 5 6; do sleep 0.5; true; /bin/true; done; wait"
    );
    let begin = std::time::Instant::now();
    let status = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(dir.path())
        .stderr(std::process::Stdio::null())
        .status()?;
    ensure!(status.success(), "{status}");
    equal!(
        std::fs::read_to_string(dir.path().join("status"))?.trim(),
        "0"
    );
    ensure!(
        begin.elapsed().as_secs() < 19,
        "it went on for its whole duration"
    );
    let manifest = std::fs::read_to_string(dir.path().join("p.whence/recording.json"))?;
    ensure!(manifest.contains("\"finished\""), "it did not end well");
    Ok(())
}
