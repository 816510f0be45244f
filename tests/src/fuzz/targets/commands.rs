//! `whence` itself, in this process.

use std::fs;
use std::path::Path;

use clap::Parser as _;
use whence_analyzer::cli::Cli;

use super::BROKEN;
use crate::bounds;
use crate::worker::{Bench, obeyed};

/// Everything that can be asked of a recording. `{i}` is the recording, `{o}` a
/// file that may be written.
const ASKED: &[&[&str]] = &[
    &["info", "-i", "{i}"],
    &["tree", "--all", "--wide", "-i", "{i}"],
    &["tree", "--pid", "1", "-i", "{i}"],
    &["who", ".", "--all", "-i", "{i}"],
    &["who", "x", "--cmdline", "--format", "csv", "-i", "{i}"],
    &["why", "work", "--all", "-i", "{i}"],
    &["top", "-i", "{i}"],
    &["replay", "-i", "{i}"],
    &["flame", "-o", "{o}.svg", "-i", "{i}"],
    &["report", "-o", "{o}.html", "-i", "{i}"],
    &["verify", "-i", "{i}"],
    &["bundle", "--inspect", "-i", "{i}"],
    &["bundle", "-o", "{o}.zip", "-i", "{i}"],
    &["bundle", "-o", "{o}.zip", "--max-size", "30KB", "-i", "{i}"],
    &["diff", "{i}", "{i}", "--all"],
    &["export", "--to", "perfetto", "-o", "{o}", "-i", "{i}"],
    &["export", "--to", "firefox", "-o", "{o}", "-i", "{i}"],
    &["export", "--to", "pprof", "-o", "{o}", "-i", "{i}"],
    &["export", "--to", "speedscope", "-o", "{o}", "-i", "{i}"],
    &["export", "--to", "folded", "-i", "{i}"],
    &["query", "SELECT * FROM process_tree(1)", "-i", "{i}"],
    &[
        "query",
        "SELECT upid, stack_text(user_stack_id) FROM exec",
        "--format",
        "csv",
        "-i",
        "{i}",
    ],
    &[
        "query",
        "SELECT * FROM call_paths('cpu-clock')",
        "-i",
        "{i}",
    ],
];

/// Asks `count` of all questions, from number `first` on.
pub(super) fn ask(
    bench: &Bench,
    recording: &Path,
    first: usize,
    count: usize,
) -> Result<(), String> {
    for question in ASKED.iter().cycle().skip(first % ASKED.len()).take(count) {
        run(bench, recording, question)?;
    }
    Ok(())
}

/// How many questions there are.
pub(super) const fn all() -> usize {
    ASKED.len()
}

/// Asks one of the queries that come with `whence`.
pub(super) fn named_query(bench: &Bench, recording: &Path, number: usize) -> Result<(), String> {
    let queries = whence_queries::QUERIES;
    let query = &queries[number % queries.len()];
    run(bench, recording, &["query", query.name, "-i", "{i}"])
}

/// Runs a command; a complaint of it is as good as an answer.
pub(super) fn run(bench: &Bench, recording: &Path, args: &[&str]) -> Result<(), String> {
    let output = bench.work.join("output");
    for entry in fs::read_dir(&bench.work)
        .map_err(|e| e.to_string())?
        .flatten()
    {
        if entry.file_name().to_string_lossy().starts_with("output") {
            let _ = fs::remove_file(entry.path());
        }
    }
    let filled = |arg: &&str| {
        arg.replace("{i}", &recording.display().to_string())
            .replace("{o}", &output.display().to_string())
    };
    let memory = (bounds::MAX_MEMORY / 4).to_string();
    let mut line: Vec<String> = ["whence".to_owned()]
        .into_iter()
        .chain(args.iter().map(filled))
        .collect();
    if !matches!(args[0], "verify" | "recover" | "compact") {
        line.extend(["--max-memory".to_owned(), memory]);
    }
    let cli = Cli::try_parse_from(line).map_err(|e| format!("{BROKEN}{e}"))?;
    let said = match whence_analyzer::commands::run(cli) {
        Ok(()) => String::new(),
        Err(e) => e.lines().join("\n"),
    };
    if said.contains("ermission denied") {
        return Err(said);
    }
    if let Some(line) = obeyed(said.as_bytes()) {
        return Err(format!("{BROKEN}{}: a terminal would obey {line}", args[0]));
    }
    bench
        .inert()
        .map_err(|e| format!("{BROKEN}{}: {e}", args[0]))
}
