//! Other engines read the files as they lie, and find the same.

use std::path::PathBuf;

use libtest_mimic::Failed;
use whence_tests::{Recording, record, run, workload};

use super::{Test, equal};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "duckdb_counts_the_same_and_reads_the_same_arguments",
        obstacle: || without("duckdb"),
        run: duckdb,
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
    let script = "import duckdb; print(duckdb.sql(\"SELECT string_agg(argv[2], ' ' ORDER BY argv[2]) \
                  FROM 'exec/*.parquet' WHERE argv[2] LIKE 'u-%'\").fetchall()[0][0])";
    let mut expected: Vec<String> = (0..200).map(|n| format!("u-{}-{n}", n % 2)).collect();
    expected.sort();
    equal!(answer(script, &recording.path())?, expected.join(" "));
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
