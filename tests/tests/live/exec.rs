//! What is recorded of programs being executed.

use std::os::unix::fs::PermissionsExt as _;

use libtest_mimic::Failed;
use whence_tests::{Recording, record, run, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("every_unique_argument_of_a_storm_is_found", storm),
    test("one_string_of_131071_bytes_is_exact", longest_string),
    test("an_argv_of_megabytes_is_exact", megabytes),
    test("200000_empty_strings_keep_their_number", many_empty),
    test("bytes_that_are_no_utf8_are_kept", bytes),
    test("a_script_names_its_interpreter", script),
    test("a_program_without_a_name_is_said_to_be_deleted", memfd),
    test("failed_execs_are_recorded_with_errno_and_argv", failed),
    test("failed_execs_are_left_out_if_asked", left_out),
    test("asking_whether_a_program_could_run_is_no_exec", check),
    test("a_thread_that_executes_keeps_the_process", from_thread),
    test("a_deleted_working_directory_says_so", deleted_cwd),
    test("only_the_variables_asked_for_are_kept", environment),
    Test {
        name: "an_independent_witness_saw_the_same_execs",
        obstacle: || {
            let found = run(&["strace", "-V"]).is_ok();
            (!found).then(|| "strace is not installed".into())
        },
        run: witness,
    },
];

fn of_workload(args: &[&str]) -> std::io::Result<Recording> {
    let workload = workload();
    let command: Vec<&str> = std::iter::once(workload.as_str())
        .chain(args.iter().copied())
        .collect();
    record(&["--sample", "0"], &command)
}

fn storm() -> Result<(), Failed> {
    let recording = of_workload(&["storm", "6000", "2"])?;
    ensure!(
        recording.said().contains("nothing was lost"),
        "{}",
        recording.said()
    );
    let found = recording
        .query("SELECT argv[2] AS argument FROM exec WHERE argv[2] LIKE 'u-%' ORDER BY ts_ns")?;
    let mut found: Vec<&str> = found
        .iter()
        .filter_map(|r| r["argument"].as_str())
        .collect();
    found.sort_unstable();
    let mut expected: Vec<String> = (0..6000).map(|n| format!("u-{}-{n}", n % 2)).collect();
    expected.sort_unstable();
    equal!(found, expected);
    equal!(recording.number("SELECT count(*) FROM fork")?, 6000);
    equal!(recording.number("SELECT count(*) FROM exit")?, 6001);
    equal!(
        recording.number("SELECT count(DISTINCT upid) FROM exit")?,
        6001
    );
    Ok(())
}

/// The last exec of the workload, whose argv it has made itself.
const LAST: &str = "FROM exec WHERE exec_seq = 2 AND errno = 0";

fn longest_string() -> Result<(), Failed> {
    let recording = of_workload(&["argv", "longest-string"])?;
    let row = &recording.query(&format!(
        "SELECT argc, argv_bytes, argv_state, argv[2] AS long {LAST}"
    ))?[0];
    equal!(row["argc"], 2);
    equal!(row["argv_bytes"], 131_073);
    equal!(row["argv_state"], "complete");
    equal!(row["long"].as_str(), Some("x".repeat(131_071).as_str()));
    Ok(())
}

fn megabytes() -> Result<(), Failed> {
    let recording = of_workload(&["argv", "megabytes"])?;
    let row = &recording.query(&format!("SELECT argc, argv_state, argv {LAST}"))?[0];
    equal!(row["argc"], 16);
    equal!(row["argv_state"], "complete");
    let argv = row["argv"].as_array().ok_or("argv is no list")?;
    let long = "y".repeat(99_999);
    ensure!(
        argv[1..].iter().all(|a| a == long.as_str()),
        "a string differs"
    );
    Ok(())
}

fn many_empty() -> Result<(), Failed> {
    let recording = of_workload(&["argv", "many-empty"])?;
    let row = &recording.query(&format!(
        "SELECT argc, argv_bytes, argv_state, cardinality(argv) AS kept {LAST}"
    ))?[0];
    equal!(row["argc"], 200_000);
    equal!(row["kept"], 200_000);
    equal!(row["argv_bytes"], 200_000);
    equal!(row["argv_state"], "complete");
    Ok(())
}

fn bytes() -> Result<(), Failed> {
    let recording = of_workload(&["argv", "bytes"])?;
    let row = &recording.query(&format!(
        "SELECT argv, encode(argv_raw, 'hex') AS raw, cmdline {LAST}"
    ))?[0];
    equal!(row["argv"][1], "\u{fffd}\u{fffd} not utf-8");
    equal!(row["argv"][3], "new\nline\ttab \x1b[31m");
    let raw: &[&[u8]] = &[
        b"",
        b"\xff\xfe not utf-8",
        "caf\u{e9} \u{202e}".as_bytes(),
        b"new\nline\ttab \x1b[31m",
        b"it's \"quoted\" $HOME",
    ];
    let raw: Vec<u8> = raw
        .iter()
        .flat_map(|a| [a, b"\0".as_slice()].concat())
        .collect();
    equal!(
        row["raw"].as_str(),
        Some(whence_recorder::kernel::hex(&raw).as_str())
    );
    let line = row["cmdline"].as_str().unwrap_or_default();
    ensure!(!line.chars().any(char::is_control), "{line:?}");
    // What is shown, a shell reads back to the same bytes.
    let script = format!("printf '%s\\0' {line}");
    let back = run(&["env", "LC_ALL=C.UTF-8", "bash", "-c", &script])?;
    equal!(back.stdout, raw);
    Ok(())
}

fn script() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let outer = dir.path().join("outer");
    let inner = dir.path().join("inner");
    std::fs::write(&inner, "#!/bin/sh -e\nexit 4\n")?;
    std::fs::write(&outer, format!("#!{}\n", inner.display()))?;
    for path in [&inner, &outer] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    let recording = record(&["--sample", "0"], &[outer.as_os_str(), "x y".as_ref()])?;
    equal!(recording.output.status.code(), Some(4));
    let row = &recording.query("SELECT filename, interpreter, exe, argv, comm FROM exec")?[0];
    equal!(row["filename"].as_str(), outer.to_str());
    equal!(row["interpreter"], "/bin/sh");
    equal!(row["comm"], "outer");
    equal!(row["argv"][1], "-e");
    equal!(row["argv"][2].as_str(), inner.to_str());
    equal!(row["argv"][4], "x y");
    Ok(())
}

fn memfd() -> Result<(), Failed> {
    let recording = of_workload(&["memfd"])?;
    let row = &recording.query(&format!("SELECT exe, exe_inode, argv {LAST}"))?[0];
    equal!(row["exe"], "/memfd:whence-memfd (deleted)");
    equal!(row["argv"][0], "from-memfd");
    ensure!(row["exe_inode"].as_i64().is_some_and(|i| i > 0), "{row}");
    Ok(())
}

fn failed() -> Result<(), Failed> {
    let recording = of_workload(&["fail"])?;
    let said = recording.printed();
    if recording
        .said()
        .contains("execs that fail are not recorded")
    {
        return Err("this kernel shows no failed execs: the test cannot pass here".into());
    }
    let rows = recording.query(
        "SELECT errno, filename, argv, argv_bytes, argv_state FROM exec \
         WHERE errno <> 0 ORDER BY ts_ns",
    )?;
    let recorded: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{} {}",
                row["errno"],
                row["filename"].as_str().unwrap_or_default()
            )
        })
        .collect();
    let told: Vec<&str> = said.lines().collect();
    equal!(recorded, told);
    equal!(rows[0]["argv"], serde_json::json!(["one", "", "t w o"]));
    equal!(rows[0]["argv_state"], "complete");
    let last = rows.last().ok_or("no row")?;
    equal!(last["argv_bytes"], 200_001);
    equal!(last["argv_state"], "truncated");
    Ok(())
}

fn left_out() -> Result<(), Failed> {
    let recording = record(&["--no-failed-execs"], &[&workload(), "fail"])?;
    ensure!(
        recording.said().contains("--no-failed-execs"),
        "it does not say so: {}",
        recording.said()
    );
    ensure!(
        recording.printed().lines().count() > 1,
        "the workload's execs did not fail"
    );
    equal!(
        recording.number("SELECT count(*) FROM exec WHERE errno <> 0")?,
        0
    );
    equal!(
        recording.number("SELECT count(*) FROM exec WHERE argv[2] = 'fail'")?,
        1
    );
    Ok(())
}

fn check() -> Result<(), Failed> {
    let recording = of_workload(&["check"])?;
    // 0 where the kernel knows the question, EINVAL where it does not.
    let said = recording.printed();
    let execs = recording.number("SELECT count(*) FROM exec WHERE argv[1] = 'checked'")?;
    match said.trim() {
        "0" => equal!(execs, 0),
        _ => ensure!(execs <= 1, "{execs} execs"),
    }
    Ok(())
}

fn from_thread() -> Result<(), Failed> {
    let recording = of_workload(&["thread-exec"])?;
    let said = recording.printed();
    let row = &recording.query(&format!("SELECT pid, tid, upid {LAST}"))?[0];
    equal!(row["pid"].to_string(), said.trim());
    ensure!(
        row["tid"] != row["pid"],
        "the caller's thread is lost: {row}"
    );
    equal!(recording.number("SELECT count(*) FROM exit")?, 1);
    equal!(
        recording.number("SELECT count(DISTINCT upid) FROM exec")?,
        1
    );
    Ok(())
}

fn deleted_cwd() -> Result<(), Failed> {
    let recording = of_workload(&["deleted-cwd"])?;
    let dir = recording.printed().trim().to_owned();
    let cwd =
        |name: &str| recording.value(&format!("SELECT cwd FROM exec WHERE argv[1] = '{name}'"));
    equal!(cwd("there")?, dir.as_str());
    let gone = cwd("gone")?;
    ensure!(
        gone.as_str().is_some_and(|c| c.ends_with("/b (deleted)")),
        "{gone}"
    );
    Ok(())
}

fn environment() -> Result<(), Failed> {
    let recording = record(
        &["--sample", "0", "--env", "WHENCE_KEPT"],
        &["env", "WHENCE_KEPT=yes it is", "WHENCE_OTHER=no", "true"],
    )?;
    let env = recording.value("SELECT env FROM exec WHERE comm = 'true'")?;
    equal!(env, serde_json::json!(["WHENCE_KEPT=yes it is"]));
    Ok(())
}

/// strace prints arguments as C strings, in whole with `-s`.
fn witness() -> Result<(), Failed> {
    let workload = workload();
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("strace");
    let recording = record(
        &["--sample", "0"],
        &[
            "strace".as_ref(),
            "-f".as_ref(),
            "-qq".as_ref(),
            "-e".as_ref(),
            "trace=execve".as_ref(),
            "-s".as_ref(),
            "200".as_ref(),
            "-o".as_ref(),
            log.as_os_str(),
            workload.as_ref(),
            "storm".as_ref(),
            "50".as_ref(),
            "2".as_ref(),
        ],
    )?;
    let text = std::fs::read_to_string(&log)?;
    let mut seen: Vec<String> = text
        .lines()
        // Another process's call may stand between call and result.
        .filter(|line| line.contains("execve(") && line.contains("\"u-"))
        .filter_map(|line| Some(line.split("\"u-").nth(1)?.split('"').next()?.to_owned()))
        .collect();
    seen.sort();
    equal!(seen.len(), 50);
    let rows =
        recording.query("SELECT substr(argv[2], 3) AS a FROM exec WHERE argv[2] LIKE 'u-%'")?;
    let mut recorded: Vec<String> = rows
        .iter()
        .filter_map(|r| r["a"].as_str().map(str::to_owned))
        .collect();
    recorded.sort();
    equal!(recorded, seen);
    Ok(())
}
