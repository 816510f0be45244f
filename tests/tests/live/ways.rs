//! What is recorded of the less common ways to start a program.

use libtest_mimic::Failed;
use whence_tests::{Recording, record, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "a_32_bit_program_is_recorded_like_any_other",
        obstacle: no_compat,
        run: compat,
    },
    Test {
        name: "a_format_of_binfmt_misc_is_known_with_its_interpreter",
        obstacle: no_binfmt,
        run: binfmt,
    },
    test("a_program_is_known_by_the_descriptor_it_was", execveat),
    test("an_empty_argv_is_recorded_as_the_program_sees_it", no_argv),
    test("posix_spawn_is_a_fork_and_an_exec", posix_spawn),
    test("a_busy_program_and_a_circle_of_links_fail_as_told", busy),
];

fn of_workload(args: &[&str]) -> std::io::Result<Recording> {
    let workload = workload();
    let command: Vec<&str> = std::iter::once(workload.as_str())
        .chain(args.iter().copied())
        .collect();
    record(&["--sample", "0"], &command)
}

fn no_compat() -> Option<String> {
    let ran = whence_tests::run(&[workload().as_str(), "compat"]);
    let said = ran.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let works = said.is_ok_and(|said| said.ends_with("\n7\n"));
    (!works).then(|| "this kernel runs no 32-bit programs".into())
}

fn compat() -> Result<(), Failed> {
    let recording = of_workload(&["compat"])?;
    let said = recording.printed();
    let path = said.lines().next().unwrap_or_default();
    let row = &recording.query(&format!(
        "SELECT e.argv, e.exe, e.argv_state, x.exit_code FROM exec e \
         JOIN exit x ON x.upid = e.upid WHERE e.filename = '{path}'"
    ))?[0];
    equal!(row["argv"], serde_json::json!([path, "a b", ""]));
    equal!(row["exe"].as_str(), Some(path));
    equal!(row["argv_state"], "complete");
    equal!(row["exit_code"], 7);
    // Tables are of 64 bits: they would lead anywhere.
    let unwinders = recording.query(&format!(
        "SELECT s.unwinder FROM fork f JOIN stack s ON s.stack_id = f.user_stack_id \
         JOIN exec e ON e.upid = f.parent_upid WHERE e.filename = '{path}'"
    ))?;
    equal!(unwinders, [serde_json::json!({ "unwinder": "fp" })]);
    Ok(())
}

fn no_binfmt() -> Option<String> {
    let mount = "mount -t binfmt_misc x /proc/sys/fs/binfmt_misc";
    let mounted = whence_tests::run(&["unshare", "--mount", "sh", "-c", mount]);
    let works = mounted.is_ok_and(|output| output.status.success());
    (!works).then(|| "binfmt_misc cannot be mounted here".into())
}

fn binfmt() -> Result<(), Failed> {
    let workload = workload();
    let command = ["unshare", "--mount", &workload, "binfmt"];
    let recording = record(&["--sample", "0"], &command)?;
    let said = recording.printed();
    let path = said.lines().next().ok_or("nothing was registered")?;
    let row = &recording.query(&format!(
        "SELECT argv, filename, interpreter, exe FROM exec WHERE filename = '{path}'"
    ))?[0];
    equal!(row["interpreter"], "/bin/true");
    equal!(
        row["argv"],
        serde_json::json!(["/bin/true", path, "a b", ""])
    );
    let exe = std::fs::canonicalize("/bin/true")?;
    equal!(row["exe"].as_str(), exe.to_str());
    Ok(())
}

fn execveat() -> Result<(), Failed> {
    let recording = of_workload(&["execveat"])?;
    let said = recording.printed();
    let (folder, file) = said.trim().split_once(' ').ok_or("no descriptors")?;
    let exe = std::fs::canonicalize("/bin/true")?;
    for (name, filename) in [
        ("by-folder", format!("/dev/fd/{folder}/true")),
        ("by-descriptor", format!("/dev/fd/{file}")),
    ] {
        let row = &recording.query(&format!(
            "SELECT filename, exe, errno, argc FROM exec WHERE argv[1] = '{name}'"
        ))?[0];
        equal!(row["filename"].as_str(), Some(filename.as_str()));
        equal!(row["exe"].as_str(), exe.to_str());
        equal!(row["errno"], 0);
        equal!(row["argc"], 1);
    }
    Ok(())
}

/// Kernels from 5.18 give a program that is given no argument an empty one.
fn no_argv() -> Result<(), Failed> {
    let recording = of_workload(&["argv", "none"])?;
    let row = &recording
        .query("SELECT argv, argc, argv_bytes, argv_state, cmdline FROM exec WHERE exec_seq = 2")?
        [0];
    equal!(row["argv"], serde_json::json!([""]));
    equal!(row["argc"], 1);
    equal!(row["argv_bytes"], 1);
    equal!(row["argv_state"], "complete");
    equal!(row["cmdline"], "''");
    Ok(())
}

fn posix_spawn() -> Result<(), Failed> {
    let recording = of_workload(&["posix-spawn"])?;
    let said = recording.printed();
    let mut lines = said.lines();
    let pid = lines.next().and_then(|l| l.strip_suffix(" 0"));
    let pid = pid.ok_or_else(|| format!("nothing was spawned: {said}"))?;
    let row = &recording.query(&format!(
        "SELECT f.flags, f.parent_upid, e.parent_upid AS exec_parent, e.argv \
         FROM exec e JOIN fork f ON f.child_upid = e.upid WHERE e.pid = {pid}"
    ))?[0];
    let vfork = i64::from(libc::CLONE_VFORK | libc::CLONE_VM);
    equal!(row["flags"].as_i64().map(|f| f & vfork), Some(vfork));
    equal!(row["parent_upid"], row["exec_parent"]);
    equal!(row["argv"], serde_json::json!(["spawned"]));
    // The other one: a child that could not execute and ended with 127.
    ensure!(lines.next().is_some_and(|l| l.ends_with(" 2")), "{said}");
    let row = &recording.query(
        "SELECT e.errno, e.argv, x.exit_code, f.parent_upid = e.parent_upid AS ours \
         FROM exec e JOIN exit x ON x.upid = e.upid JOIN fork f ON f.child_upid = e.upid \
         WHERE e.filename = '/no/such/spawn'",
    )?[0];
    equal!(row["errno"], libc::ENOENT);
    equal!(row["argv"], serde_json::json!(["spawned"]));
    equal!(row["exit_code"], 127);
    equal!(row["ours"], true);
    Ok(())
}

fn busy() -> Result<(), Failed> {
    let recording = of_workload(&["busy"])?;
    let rows = recording.query(
        "SELECT errno, filename, argv[1] AS name FROM exec WHERE errno <> 0 ORDER BY ts_ns",
    )?;
    let recorded: Vec<String> = rows
        .iter()
        .map(|r| format!("{} {}", r["errno"], r["filename"].as_str().unwrap_or("?")))
        .collect();
    let said = recording.printed();
    equal!(recorded, said.lines().collect::<Vec<_>>());
    equal!(rows[0]["errno"], libc::ELOOP);
    equal!(rows[1]["errno"], libc::ETXTBSY);
    equal!(rows[1]["name"], "tried");
    Ok(())
}
