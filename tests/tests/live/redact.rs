//! What becomes of secrets on command lines.

use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use whence_tests::{Recorder, Recording, record};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test(
        "no_secret_of_a_command_line_is_written_or_printed",
        everywhere,
    ),
    test("a_process_that_ran_before_has_no_secret_either", before),
    test("without_rules_arguments_are_exact", none),
    test("rules_of_a_file_are_applied_too", own),
    test(
        "rules_that_cannot_be_understood_stop_it_before_it_begins",
        wrong,
    ),
];

const SECRET: &str = "hunter2-of-whence";

/// Fails if the secret is anywhere in the recording.
fn ensure_gone(recording: &Recording) -> Result<(), Failed> {
    let manifest = std::fs::read_to_string(recording.path().join("recording.json"))?;
    ensure!(!manifest.contains(SECRET), "recording.json has it");
    ensure!(!recording.printed().contains(SECRET), "it was printed");
    for table in ["exec", "process", "mapping", "frame"] {
        let sql = format!("SELECT * FROM {table}");
        let rows = recording.answer(&["query", "--format", "json", &sql])?;
        ensure!(!rows.contains(SECRET), "table {table} has it");
    }
    Ok(())
}

fn everywhere() -> Result<(), Failed> {
    let script = format!(
        "/bin/true --password {SECRET}; /nonexistent/x --token={SECRET}; \
         cd /tmp; exec /bin/true 'mysql -p{SECRET}' $'\\xff' http://u:{SECRET}@h/"
    );
    let token = format!("WHENCE_TOKEN={SECRET}");
    let recording = record(
        &["--sample", "0", "--print", "--env", "WHENCE_TOKEN"],
        &["env", &token, "bash", "-c", &script],
    )?;
    ensure_gone(&recording)?;
    let rows = recording.query("SELECT argv, env, errno FROM exec ORDER BY ts_ns")?;
    let argv: Vec<String> = rows.iter().map(|row| row["argv"].to_string()).collect();
    ensure!(
        argv.iter()
            .any(|a| a.contains(r#"["/bin/true","--password","[secret:1]"]"#)),
        "{argv:?}"
    );
    ensure!(
        rows.iter()
            .any(|r| r["errno"] == 2 && r["argv"][1] == "--token=[secret:1]"),
        "the exec that failed: {argv:?}"
    );
    ensure!(
        rows.iter()
            .any(|r| r["env"][0] == "WHENCE_TOKEN=[secret:1]"),
        "{rows:?}"
    );
    let manifest = std::fs::read_to_string(recording.path().join("recording.json"))?;
    let manifest: serde_json::Value = serde_json::from_str(&manifest)?;
    equal!(manifest["redaction"]["secrets"], 1);
    ensure!(
        manifest["redaction"]["replaced"].as_u64() > Some(5),
        "{}",
        manifest["redaction"]
    );
    Ok(())
}

fn before() -> Result<(), Failed> {
    let mut child = Command::new("sh")
        .args([
            "-c",
            "read x; exit 0",
            "whence-before",
            "--password",
            SECRET,
        ])
        .stdin(Stdio::piped())
        .spawn()?;
    let recorder = Recorder::start(&["--sample", "0"]);
    drop(child.stdin.take());
    child.wait()?;
    let recording = recorder?.stop(libc::SIGINT)?;
    ensure_gone(&recording)?;
    let sql = format!(
        "SELECT argv[6] AS a FROM process WHERE pid = {}",
        child.id()
    );
    let value = recording.value(&sql)?;
    ensure!(
        value.as_str().is_some_and(|v| v.starts_with("[secret:")),
        "{value}"
    );
    Ok(())
}

fn none() -> Result<(), Failed> {
    let recording = record(
        &["--sample", "0", "--redact", "none"],
        &["/bin/true", "--password", SECRET],
    )?;
    equal!(recording.value("SELECT argv[3] FROM exec")?, SECRET);
    Ok(())
}

fn own() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let rules = dir.path().join("rules");
    std::fs::write(&rules, "# ours\nname badge\n")?;
    let rules = rules.display().to_string();
    let recording = record(
        &["--sample", "0", "--redact", &rules],
        &["/bin/true", "--badge", SECRET, "--password", "other-pw"],
    )?;
    ensure_gone(&recording)?;
    equal!(recording.value("SELECT argv[3] FROM exec")?, "[secret:1]");
    equal!(recording.value("SELECT argv[5] FROM exec")?, "[secret:2]");
    Ok(())
}

fn wrong() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let rules = dir.path().join("rules");
    std::fs::write(&rules, "name badge\nforbid x\n")?;
    let rules = rules.display().to_string();
    let recording = record(&["--redact", &rules], &["true"])?;
    equal!(recording.output.status.code(), Some(2));
    ensure!(
        recording.said().contains("line 2: "),
        "{}",
        recording.said()
    );
    ensure!(!recording.path().exists(), "it has begun");
    Ok(())
}
