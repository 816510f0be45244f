//! One file for each command: it asks, and says how the answer looks.

mod answer;
pub mod bundle;
pub mod compact;
pub mod diff;
pub mod export;
pub mod flame;
pub mod info;
pub mod query;
pub mod record;
pub mod recover;
pub mod replay;
pub mod report;
pub mod shell;
pub(crate) mod steps;
pub mod symbolize;
pub mod top;
pub mod tree;
pub mod verify;
pub mod who;
pub mod why;

use std::future::Future;

use answer::Answer;
use arrow::array::RecordBatch;
use whence_schemas::quote::printable;

use crate::cli::{Cli, Command, Source};
use crate::loss::Completeness;
use crate::recording::Recordings;
use crate::session::{Limits, Session};
use crate::{Error, Result};

/// Runs the command.
///
/// # Errors
/// Whatever the command fails with.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Record { args } => record::run(&args),
        Command::Info(args) => block_on(info::run(&args)),
        Command::Bundle(args) => block_on(bundle::run(&args)),
        Command::Verify(args) => verify::run(&args),
        Command::Tree(args) => tree::run(&args),
        Command::Who(args) => block_on(who::run(&args)),
        Command::Why(args) => block_on(why::run(&args)),
        Command::Top(args) => block_on(top::run(&args)),
        Command::Flame(args) => block_on(flame::run(&args)),
        Command::Report(args) => block_on(report::run(&args)),
        Command::Replay(args) => block_on(replay::run(&args)),
        Command::Query(args) => block_on(query::run(&args)),
        Command::Shell(args) => block_on(shell::run(&args)),
        Command::Recover(args) => recover::run(&args),
        Command::Compact(args) => compact::run(&args),
        Command::Symbolize(args) => block_on(symbolize::run(&args)),
        Command::Diff(args) => block_on(diff::run(&args)),
        Command::Export(args) => block_on(export::run(&args)),
    }
}

/// Threads to run queries on.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .enable_io()
        .build()
        .map_err(|source| Error::Io {
            action: "start",
            object: "threads".into(),
            source,
        })
}

fn block_on(command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = runtime()?;
    let result = runtime.block_on(command);
    // What was interrupted and goes on is not waited for.
    runtime.shutdown_background();
    result
}

/// Opens what is asked, and says which recording that is where the user named
/// none.
fn open(source: &Source) -> Result<Recordings> {
    let mut recordings = Recordings::open(&source.input)?;
    recordings.memory = crate::session::memory(source.max_memory);
    if let (true, Some(recording)) = (source.input.is_empty(), recordings.all.first()) {
        let name = recording.name();
        eprintln!(
            "whence: answered from {}, the newest recording here; -i names another",
            printable(&name)
        );
    }
    Ok(recordings)
}

/// A negative answer. What is missing could have been the answer, so it is said
/// here as well.
fn negative(recordings: &Recordings, error: Error) -> Error {
    if matches!(error, Error::Nothing(_)) {
        say_completeness(recordings);
    }
    error
}

fn session(source: &Source, allow_write: bool) -> Result<Session> {
    let recordings = open(source)?;
    let limits = Limits {
        max_memory: source.max_memory,
        allow_write,
    };
    Session::new(recordings, &limits)
}

/// Says beside a file what it cannot know.
fn say_completeness(recordings: &Recordings) {
    for line in Completeness::of(recordings).lines() {
        eprintln!("whence: {line}");
    }
}

/// That there is no stack event of a process, or none at all.
async fn no_samples(session: &Session, pid: i32) -> Result<Error> {
    let sql = "SELECT event FROM sample LIMIT 1";
    let rows: usize = session
        .ask(sql, vec![])
        .await?
        .iter()
        .map(RecordBatch::num_rows)
        .sum();
    Ok(Error::Nothing(match rows {
        0 => "no stacks were recorded; record with --sample or --stack".into(),
        _ => format!("no samples of pid {pid}; `whence tree --pid {pid}` shows whether it ran"),
    }))
}

/// A regular expression of the user.
fn regex(pattern: &str) -> Result<regex::Regex> {
    regex::Regex::new(pattern).map_err(|e| {
        let text = e.to_string();
        let last = text.lines().last().unwrap_or_default().trim();
        let reason = last.strip_prefix("error: ").unwrap_or(last);
        Error::Usage(format!("{pattern:?} is no regular expression: {reason}"))
    })
}
