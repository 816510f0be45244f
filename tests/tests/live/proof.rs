//! Call paths and shares that others find too: a debugger, perf.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use tempfile::TempDir;
use whence_tests::{Recording, record, run, workload};

use super::tools::{compile, missing};
use super::{Test, ensure, equal};

const fn with_gdb(name: &'static str, run: fn() -> Result<(), Failed>) -> Test {
    Test {
        name,
        obstacle: || missing(&["gcc", "gdb", "strip"]),
        run,
    }
}

pub(super) const TESTS: &[Test] = &[
    with_gdb("a_path_is_a_debuggers_in_a_stripped_program", || {
        as_in_gdb("spin", &["-fPIE", "-pie", "-s"])
    }),
    with_gdb(
        "a_path_is_a_debuggers_in_a_program_at_a_fixed_place",
        || as_in_gdb("spin", &["-fno-pie", "-no-pie"]),
    ),
    with_gdb("a_path_is_a_debuggers_through_the_vdso", || {
        as_in_gdb("vdso", &["-fPIE", "-pie"])
    }),
    with_gdb("a_path_is_a_debuggers_through_a_signal_handler", || {
        as_in_gdb("signal", &["-fPIE", "-pie"])
    }),
    with_gdb(
        "a_path_is_a_debuggers_through_code_made_at_run_time",
        || as_in_gdb("made", &["-fPIE", "-pie"]),
    ),
    Test {
        name: "the_function_that_started_a_program_is_known_through_libc",
        obstacle: || missing(&["gcc"]),
        run: spawns,
    },
    Test {
        name: "shares_are_those_that_perf_finds",
        obstacle: || missing(&["gcc", "perf"]),
        run: as_in_perf,
    },
    Test {
        name: "code_made_at_run_time_has_the_names_that_its_maker_tells",
        obstacle: || None,
        run: made_names,
    },
    Test {
        name: "code_made_in_a_container_has_names_too",
        obstacle: || missing(&["unshare"]),
        run: made_names_in_a_container,
    },
];

fn compiled(source: &str, dir: &TempDir, options: &[&str]) -> Result<PathBuf, Failed> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/live")
        .join(source);
    let to = dir.path().join("program");
    compile(&source, &to, &[&["-O2"], options].concat())?;
    Ok(to)
}

/// Stops the program where it stays, asks the debugger, and lets it go on: that
/// ends a wait, which has the path. With debug information the debugger would add
/// functions that have left by a jump, and are not on the stack.
const SCRIPT: &str = r#"
"$1" "$2" "$3/there" & pid=$!
until [ -e "$3/there" ]; do sleep 0.05; done
sleep 0.3
kill -STOP $pid
sleep 0.2
gdb -nx -batch -iex "set debug-file-directory $3" -ex "set print frame-info location-and-address" \
    -ex 'printf "sp 0x%lx\n", $sp' -ex bt -p $pid 2>"$3/said"
sleep 0.2
kill -CONT $pid
sleep 0.3
kill -KILL $pid
"#;

fn as_in_gdb(way: &str, options: &[&str]) -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let program = compiled(
        "chains.c",
        &dir,
        &[&["-fomit-frame-pointer"], options].concat(),
    )?;
    let (program, folder) = (
        program.display().to_string(),
        dir.path().display().to_string(),
    );
    let recording = record(
        &["--sample", "0", "--unwind", "dwarf", "--off-cpu", "100ms"],
        &["sh", "-c", SCRIPT, "sh", &program, way, &folder],
    )?;
    let printed = recording.printed();
    let expected = backtrace(&printed);
    // Its own five functions at the least.
    ensure!(expected.len() >= 5, "{printed}\n{}", recording.said());
    let found = path_of_stop(&recording)?;
    ensure!(found.len() >= expected.len(), "{found:x?} is not {printed}");
    for (place, address) in expected.iter().zip(&found) {
        // Of a caller, the byte before the return address stands for the call. Where
        // a handler returns to, the debugger does not say.
        let same = place.is_none_or(|place| [place, place - 1].contains(address));
        ensure!(
            same,
            "{place:x?} is not {address:x}: {found:x?} is not {printed}"
        );
    }
    Ok(())
}

/// The addresses that `bt` prints, leaf first; `None` for a signal's trampoline.
fn backtrace(printed: &str) -> Vec<Option<i64>> {
    const STACK: i64 = 1 << 20;
    let address = |line: &str| {
        let hex = line.split_once("0x")?.1.split(' ').next()?;
        i64::from_str_radix(hex, 16).ok()
    };
    let sp = printed.lines().find(|line| line.starts_with("sp "));
    let sp = sp.and_then(address).unwrap_or(0);
    let frames = printed.lines().filter(|line| line.starts_with('#'));
    let mut places: Vec<_> = frames
        .map(address)
        // Of code without a symbol it takes all words on the stack for callers.
        .filter(|place| place.is_none_or(|at| !(sp..sp + STACK).contains(&at)))
        .collect();
    // Functions that are inlined are at one address.
    places.dedup();
    places
}

/// The addresses of the only user path on which the program was stopped, leaf first.
/// It may also have had to wait for a processor.
fn path_of_stop(recording: &Recording) -> Result<Vec<i64>, Failed> {
    let stacks = recording.query(
        "SELECT frame_ids, unwinder FROM stack WHERE stack_id IN ( \
           SELECT user_stack_id FROM sample WHERE event = 'off-cpu' AND comm = 'program' \
           AND stack_text(kernel_stack_id) LIKE '%get_signal%')",
    )?;
    let whole = stacks.len() == 1 && stacks[0]["unwinder"] == "dwarf";
    ensure!(whole, "{stacks:?}");
    // A frame keeps the address that was seen first: here that of the shell.
    let frames = recording.query(
        "SELECT f.frame_id, f.offset - m.file_offset + m.start_address AS address \
         FROM frame f JOIN mapping m ON m.module = f.module \
           AND f.offset >= m.file_offset \
           AND f.offset < m.file_offset + m.end_address - m.start_address \
         WHERE m.upid IN (SELECT upid FROM process WHERE comm = 'program')",
    )?;
    let number = |value: &serde_json::Value| value.as_i64().unwrap_or(0);
    let addresses: HashMap<i64, i64> = frames
        .iter()
        .map(|row| (number(&row["frame_id"]), number(&row["address"])))
        .collect();
    let ids = stacks[0]["frame_ids"].as_array().ok_or("no frames")?;
    Ok(ids
        .iter()
        .map(|id| addresses.get(&number(id)).copied().unwrap_or(0))
        .collect())
}

/// The same load, once under each, and both find the same functions at the top with
/// the same shares.
fn as_in_perf() -> Result<(), Failed> {
    const SECONDS: &str = "5";
    let dir = TempDir::new()?;
    let program = compiled("shares.c", &dir, &["-fno-omit-frame-pointer"])?;
    let program = program.display().to_string();
    let data = dir.path().join("perf.data").display().to_string();
    let perf = run(&[
        "perf", "record", "-g", "-F", "499", "-o", &data, &program, SECONDS,
    ])?;
    let said = String::from_utf8_lossy(&perf.stderr).into_owned();
    ensure!(perf.status.success(), "{said}");
    let report = run(&[
        "perf",
        "report",
        "-i",
        &data,
        "--no-children",
        "-g",
        "none",
        "--stdio",
        "-F",
        "overhead,sym",
    ])?;
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    let recording = record(&["--sample", "499"], &[program.as_str(), SECONDS])?;
    let top = recording.query(
        "SELECT y.function, sum(s.weight) * 100.0 / sum(sum(s.weight)) OVER () AS share \
         FROM sample s JOIN stack t ON t.stack_id = s.user_stack_id \
         JOIN symbol y ON y.frame_id = t.frame_ids[1] \
         WHERE s.comm = 'program' GROUP BY y.function ORDER BY share DESC LIMIT 3",
    )?;
    let in_perf = shares(&report);
    for (row, (function, share)) in top.iter().zip(&in_perf) {
        equal!(row["function"].as_str(), Some(function.as_str()));
        let found = row["share"].as_f64().unwrap_or(0.0);
        ensure!(
            (found - share).abs() < 3.0,
            "{function}: {found} % is not {share} %: {report}"
        );
    }
    let names: Vec<&str> = in_perf
        .iter()
        .take(3)
        .map(|(name, _)| name.as_str())
        .collect();
    equal!(names, ["share_half", "share_three_tenths", "share_fifth"]);
    Ok(())
}

/// Function and share of each line of a report, the heaviest first.
fn shares(report: &str) -> Vec<(String, f64)> {
    let line = |line: &str| {
        let (share, rest) = line.trim().split_once('%')?;
        let function = rest.split_once("] ")?.1.trim();
        Some((function.to_owned(), share.parse().ok()?))
    };
    report.lines().filter_map(line).collect()
}

fn made_names() -> Result<(), Failed> {
    for unwind in ["dwarf", "fp"] {
        let options = ["--sample", "499", "--unwind", unwind];
        let recording = record(&options, &[workload(), "jit".into(), "1000".into()])?;
        let _ = std::fs::remove_file(recording.printed().trim());
        let all = recording.number("SELECT count(*) FROM sample WHERE context = 'task'")?;
        let chain = match unwind {
            "dwarf" => "%main%;whence_calls_jit;%jit_outer;jit_inner",
            // Who calls it may have no frame pointer.
            _ => "%jit_outer;jit_inner",
        };
        let whole = recording.number(&format!(
            "SELECT count(*) FROM sample WHERE stack_text(user_stack_id) LIKE '{chain}'"
        ))?;
        ensure!(whole * 10 > all * 8, "{whole} of {all} samples by {unwind}");
        equal!(
            names_told(&recording)?,
            ["jit_inner [jit]", "jit_outer [jit]"]
        );
    }
    Ok(())
}

/// Names that makers of code have told, with their module.
fn names_told(recording: &Recording) -> Result<Vec<String>, Failed> {
    let rows = recording.query(
        "SELECT DISTINCT y.function || ' ' || f.module AS name \
         FROM symbol y JOIN frame f USING (frame_id) WHERE y.source = 'perf-map' ORDER BY 1",
    )?;
    let name = |row: &serde_json::Value| row["name"].as_str().map(str::to_owned);
    Ok(rows.iter().filter_map(name).collect())
}

/// The file lies where only the container sees it, under the pid that it has there.
fn made_names_in_a_container() -> Result<(), Failed> {
    let script = "exec 3<\"$0\"; mount -t tmpfs whence /tmp; /proc/self/fd/3 jit 3000";
    let container = ["unshare", "--pid", "--fork", "--mount", "sh", "-c", script];
    let command: Vec<String> = container
        .map(str::to_owned)
        .into_iter()
        .chain([workload()])
        .collect();
    let recording = record(&["--sample", "499", "--unwind", "fp"], &command)?;
    let path = recording.printed();
    let path = path.trim();
    ensure!(
        !Path::new(path).exists(),
        "{path} is not the container's own"
    );
    equal!(
        names_told(&recording)?,
        ["jit_inner [jit]", "jit_outer [jit]"]
    );
    Ok(())
}

/// The C library's ways to start a program have no frame pointers.
fn spawns() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let program = compiled("spawns.c", &dir, &["-fomit-frame-pointer"])?;
    let recording = record(&["--sample", "0", "--unwind", "dwarf"], &[program])?;
    let paths = recording.query(
        "SELECT stack_text(f.user_stack_id) AS path FROM fork f \
         JOIN process p ON p.upid = f.parent_upid WHERE p.comm = 'program' ORDER BY f.ts_ns",
    )?;
    let ways = ["by_fork", "by_posix_spawn", "by_system", "by_popen"];
    equal!(paths.len(), ways.len());
    for (row, way) in paths.iter().zip(ways) {
        let path = row["path"].as_str().unwrap_or_default();
        ensure!(path.contains(&format!("main;{way};")), "{way}: {path}");
    }
    Ok(())
}
