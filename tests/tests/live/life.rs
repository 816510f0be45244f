//! What is recorded of how processes begin and end.

use libtest_mimic::Failed;
use whence_tests::{Recording, record, run, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("exit_status_and_usage_are_those_of_wait4", statuses),
    test("a_process_lives_until_its_last_thread_ends", leader_first),
    test("the_parent_is_who_forked_and_not_who_adopted", orphan),
    test(
        "a_process_that_executes_nothing_is_its_parents_image",
        fork_only,
    ),
    test("a_chain_of_processes_is_numbered_in_preorder", deep),
    test(
        "a_command_is_recorded_from_its_first_exec_and_nothing_else",
        command_only,
    ),
    test("the_commands_status_is_the_recorders", command_status),
    Test {
        name: "a_reused_pid_is_another_process",
        obstacle: no_small_pid_namespace,
        run: pid_reuse,
    },
];

fn of_workload(name: &str) -> std::io::Result<Recording> {
    record(&["--sample", "0"], &[workload().as_str(), name])
}

fn statuses() -> Result<(), Failed> {
    let recording = of_workload("statuses")?;
    for line in recording.printed().lines() {
        let told: Vec<i64> = line.split(' ').filter_map(|n| n.parse().ok()).collect();
        let [pid, status, cpu_us, max_rss_kib] = told[..] else {
            return Err(format!("cannot read {line}").into());
        };
        let row = &recording.query(&format!(
            "SELECT exit_code, exit_signal, core_dumped, utime_ns + stime_ns AS cpu_ns, \
             max_rss_bytes FROM exit WHERE pid = {pid}"
        ))?[0];
        let signal = status & 0x7f;
        equal!(row["exit_signal"].as_i64(), (signal != 0).then_some(signal));
        equal!(
            row["exit_code"].as_i64(),
            (signal == 0).then_some(status >> 8)
        );
        equal!(row["core_dumped"], status & 0x80 != 0);
        equal!(row["max_rss_bytes"], max_rss_kib * 1024);
        // What the exit itself takes comes after the record.
        let cpu_ns = row["cpu_ns"].as_i64().unwrap_or(-1);
        let apart = (cpu_us * 1000 - cpu_ns).abs();
        ensure!(apart < 20_000_000, "{cpu_ns} ns are not {cpu_us} us");
        if status >> 8 == 3 {
            ensure!(cpu_ns >= 200_000_000, "{cpu_ns} ns of 200 ms");
        }
    }
    let signals = recording
        .query("SELECT exit_signal AS s FROM exit WHERE exit_signal IS NOT NULL ORDER BY ts_ns")?;
    let signals: Vec<_> = signals.iter().filter_map(|r| r["s"].as_i64()).collect();
    equal!(
        signals,
        [libc::SIGKILL, libc::SIGTERM, libc::SIGABRT].map(i64::from)
    );
    Ok(())
}

fn leader_first() -> Result<(), Failed> {
    let recording = of_workload("leader-first")?;
    let rows = recording.query("SELECT exit_code FROM exit")?;
    equal!(rows.len(), 1);
    equal!(rows[0]["exit_code"], 7);
    let lived = recording.number("SELECT end_ns - start_ns FROM process WHERE exit_code = 7")?;
    ensure!(lived > 250_000_000, "it ended after {lived} ns already");
    equal!(recording.output.status.code(), Some(7));
    Ok(())
}

fn orphan() -> Result<(), Failed> {
    let recording = of_workload("orphan")?;
    let said = recording.printed();
    let (parent, orphan) = said.trim().split_once(' ').ok_or("no pids")?;
    let row = &recording.query(&format!(
        "SELECT p.ppid, e.ppid AS exec_ppid, e.parent_upid AS exec_parent, \
                p.parent_upid, x.reaper_upid \
         FROM process p JOIN exec e ON e.upid = p.upid JOIN exit x ON x.upid = p.upid \
         WHERE p.pid = {orphan}"
    ))?[0];
    equal!(row["ppid"].to_string(), parent);
    let exec_ppid = row["exec_ppid"].to_string();
    ensure!(exec_ppid != parent, "the parent had gone: {row}");
    equal!(row["exec_parent"], row["reaper_upid"]);
    ensure!(row["reaper_upid"] != row["parent_upid"], "{row}");
    Ok(())
}

fn fork_only() -> Result<(), Failed> {
    let recording = of_workload("fork-only")?;
    let pid = recording.printed();
    let row = &recording.query(&format!(
        "SELECT source, cmdline, comm FROM process WHERE pid = {}",
        pid.trim()
    ))?[0];
    equal!(row["source"], "fork");
    let line = row["cmdline"].as_str().unwrap_or_default();
    ensure!(line.ends_with("whence-workload fork-only"), "{line}");
    Ok(())
}

fn deep() -> Result<(), Failed> {
    let recording = record(&["--sample", "0"], &[workload().as_str(), "deep", "30"])?;
    let row = &recording.query(
        "SELECT count(*) AS n, max(d.depth) - min(d.depth) AS deep \
         FROM process root JOIN process d \
           ON d.tree_first BETWEEN root.tree_first AND root.tree_last \
         WHERE root.upid = (SELECT upid FROM exec)",
    )?[0];
    equal!(row["n"], 31);
    equal!(row["deep"], 30);
    Ok(())
}

fn command_only() -> Result<(), Failed> {
    // Noise from elsewhere must stay outside.
    let noise = std::thread::spawn(|| {
        for _ in 0..50 {
            let _ = run(&["true"]);
        }
    });
    let script = "sleep 0.2; awk 'BEGIN {exit}'; exit 0";
    let recording = record(&["--sample", "0"], &["sh", "-c", script])?;
    let _ = noise.join();
    let rows =
        recording.query("SELECT comm, parent_comm FROM exec WHERE errno = 0 ORDER BY ts_ns")?;
    let names: Vec<_> = rows.iter().filter_map(|r| r["comm"].as_str()).collect();
    equal!(names.first(), Some(&"sh"));
    equal!(names.len(), 3);
    // Its ancestors are known, up to the first process.
    let first = recording.query("SELECT pid, source FROM process ORDER BY tree_first LIMIT 1")?;
    equal!(first[0]["pid"], 1);
    Ok(())
}

fn command_status() -> Result<(), Failed> {
    equal!(
        record(&[], &["sh", "-c", "exit 5"])?.output.status.code(),
        Some(5)
    );
    let recording = record(&[], &["/no/such/command"])?;
    equal!(recording.output.status.code(), Some(127));
    equal!(
        record(&[], &["sh", "-c", "kill -9 $$"])?
            .output
            .status
            .code(),
        Some(137)
    );
    Ok(())
}

/// A shell as the first process of a pid namespace with few pids.
fn small_pid_namespace(script: &str) -> Vec<String> {
    let script = format!("echo 310 > /proc/sys/kernel/pid_max && {script}");
    [
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "bash",
        "-c",
        &script,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Only newer kernels keep the limit per namespace; on others, setting it would
/// change the whole host.
fn no_small_pid_namespace() -> Option<String> {
    let release = whence_recorder::host::kernel().release;
    let mut numbers = release
        .split(['.', '-'])
        .map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next()?, numbers.next()?);
    (version < (6, 14)).then(|| "this kernel has one kernel.pid_max for all".into())
}

fn pid_reuse() -> Result<(), Failed> {
    let script = "for i in $(seq 2000); do /bin/true $i; done";
    let recording = record(&["--sample", "0"], &small_pid_namespace(script))?;
    equal!(recording.output.status.code(), Some(0));
    let row = &recording.query(
        "SELECT count(*) AS runs, count(DISTINCT e.upid) AS processes, \
                count(DISTINCT e.ns_pid) AS pids, \
                count(DISTINCT p.parent_upid) AS parents \
         FROM exec e JOIN process p ON p.upid = e.upid \
         WHERE e.comm = 'true'",
    )?[0];
    equal!(row["runs"], 2000);
    equal!(row["processes"], 2000);
    equal!(row["parents"], 1);
    let pids = row["pids"].as_i64().unwrap_or(0);
    ensure!(pids < 400, "{pids} pids were used: none again");
    Ok(())
}
