//! Other engines read the files as they lie, and find the same.

use std::path::PathBuf;

use libtest_mimic::Failed;
use serde_json::Value;
use whence_tests::{Recording, record, run, workload};

use super::{Test, ensure, equal};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "duckdb_counts_the_same_in_every_table",
        obstacle: || without("duckdb"),
        run: duckdb,
    },
    Test {
        name: "duckdb_reads_the_same_arguments",
        obstacle: || without("duckdb"),
        run: same_rows,
    },
    Test {
        name: "the_examples_of_the_readme_run",
        obstacle: || without("duckdb").or_else(|| without("pandas")),
        run: readme,
    },
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

fn recording() -> std::io::Result<Recording> {
    record(&[], &[workload().as_str(), "storm", "200", "2"])
}

fn answer(script: &str, dir: &PathBuf) -> Result<String, Failed> {
    let output = std::process::Command::new(python())
        .args(["-c", script])
        .current_dir(dir)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn duckdb() -> Result<(), Failed> {
    let recording = recording()?;
    for table in whence_schemas::TABLES {
        let script = format!(
            "import duckdb; print(duckdb.sql(\"SELECT count(*) FROM '{}/*.parquet'\").fetchall()[0][0])",
            table.name
        );
        let here = recording.number(&format!("SELECT count(*) FROM {}", table.name))?;
        equal!(
            (table.name, answer(&script, &recording.path())?),
            (table.name, here.to_string())
        );
    }
    Ok(())
}

/// Rows as lists of values, to compare what two engines read.
fn same_rows() -> Result<(), Failed> {
    const COLUMNS: [&str; 7] = [
        "upid", "exec_seq", "errno", "argc", "argv", "cmdline", "cwd",
    ];
    let workload = workload();
    let script = format!("{workload} storm 50 2; {workload} argv bytes; {workload} fail; true");
    let recording = record(&[], &["bash", "-c", &script])?;
    let columns = COLUMNS.join(", ");
    let script = format!(
        "import duckdb, json\n\
         rows = duckdb.sql(\"SELECT {columns} FROM 'exec/*.parquet' ORDER BY ts_ns, upid\")\n\
         print(json.dumps([list(row) for row in rows.fetchall()]))"
    );
    let there: Vec<Vec<Value>> = serde_json::from_str(&answer(&script, &recording.path())?)?;
    let here: Vec<Vec<Value>> = recording
        .query(&format!("SELECT {columns} FROM exec ORDER BY ts_ns, upid"))?
        .iter()
        .map(|row| COLUMNS.map(|name| row[name].clone()).to_vec())
        .collect();
    // The storm, what bash runs, and the child that each failure takes.
    ensure!(here.len() > 55, "{} rows", here.len());
    equal!(here, there);
    Ok(())
}

/// Runs each python block of the README on a recording of that name.
fn readme() -> Result<(), Failed> {
    let recording = recording()?;
    let dir = tempfile::tempdir()?;
    std::os::unix::fs::symlink(recording.path(), dir.path().join("host.whence"))?;
    let text = include_str!("../../../README.md");
    let blocks: Vec<&str> = text
        .split("```python\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    equal!(blocks.len(), 2);
    for block in blocks {
        answer(block, &dir.path().to_path_buf())?;
    }
    Ok(())
}
