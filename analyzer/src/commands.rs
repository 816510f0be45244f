//! One file for each command: it asks, and says how the answer looks.

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
pub(crate) mod steps;
pub mod symbolize;
pub mod top;
pub mod tree;
pub mod who;
pub mod why;

use std::future::Future;
use std::io::{BufWriter, Stdout, Write as _};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use whence_schemas::quote::printable;

use crate::cli::{Cli, Command, Source};
use crate::loss::Completeness;
use crate::recording::Recordings;
use crate::render::{Format, Rows, Screen};
use crate::session::{Limits, Session};
use crate::{Error, Result};

/// Runs the command.
///
/// # Errors
/// Whatever the command fails with.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Record { args } => record::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Tree(args) => tree::run(&args),
        Command::Who(args) => block_on(who::run(&args)),
        Command::Why(args) => block_on(why::run(&args)),
        Command::Top(args) => block_on(top::run(&args)),
        Command::Flame(args) => block_on(flame::run(&args)),
        Command::Report(args) => block_on(report::run(&args)),
        Command::Replay(args) => block_on(replay::run(&args)),
        Command::Query(args) => block_on(query::run(&args)),
        Command::Recover(args) => recover::run(&args),
        Command::Compact(args) => compact::run(&args),
        Command::Symbolize(args) => block_on(symbolize::run(&args)),
        Command::Diff(args) => block_on(diff::run(&args)),
        Command::Export(args) => block_on(export::run(&args)),
    }
}

fn block_on(command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .enable_io()
        .build()
        .map_err(|source| Error::Io {
            action: "start",
            object: "threads".into(),
            source,
        })?;
    runtime.block_on(command)
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

/// An answer on its way to the standard output.
#[derive(Debug)]
struct Answer {
    format: Format,
    screen: Screen,
    out: BufWriter<Stdout>,
}

impl Answer {
    /// Begins an answer by saying what it cannot know: in it for people, beside
    /// it for machines.
    fn begin(format: Format, recordings: &Recordings) -> Result<Self> {
        let mut this = Self::silent(format);
        let completeness = Completeness::of(recordings);
        for line in completeness.lines() {
            if !format.is_human() {
                eprintln!("whence: {line}");
            } else if completeness.is_complete() {
                this.line(&this.screen.dim(&line))?;
            } else {
                this.line(&this.screen.warning(&line))?;
            }
        }
        Ok(this)
    }

    /// An answer of a command that says by itself what it cannot know.
    fn silent(format: Format) -> Self {
        Self {
            format,
            screen: Screen::stdout(),
            out: BufWriter::new(std::io::stdout()),
        }
    }

    /// Writes a line that is printable already.
    fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.out, "{}", line.trim_end()).map_err(Error::output)
    }

    /// Writes a title with an empty line above.
    fn title(&mut self, title: &str) -> Result<()> {
        let title = self.screen.bold(&printable(title));
        self.line("")?;
        self.line(&title)
    }

    /// Writes rows in the format that was asked for.
    fn rows(&mut self, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<()> {
        let mut rows = Rows::new(self.format, schema, &self.screen, &mut self.out)?;
        for batch in batches {
            rows.write(batch)?;
        }
        rows.finish()
    }

    fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(Error::output)
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
