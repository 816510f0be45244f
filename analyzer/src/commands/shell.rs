//! `whence shell`: a prompt for SQL. From a pipe, the same without a prompt.

mod complete;
mod dot;
mod input;

use std::io::{IsTerminal as _, Read as _};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::query::{is_name, named, params, statement};
use super::{Answer, open, runtime};
use crate::cli::Shell;
use crate::interrupt::Meaning;
use crate::loss::Completeness;
use crate::render::{Format, Watch, text};
use crate::session::{Limits, Session};
use crate::{Error, Result};

use dot::After;
use input::Input;

/// Reads statements and answers them, one after the other.
///
/// # Errors
/// At a prompt, only if it cannot be shown; from a pipe, as the first statement
/// that fails.
pub async fn run(args: &Shell) -> Result<()> {
    let limits = Limits {
        max_memory: args.source.max_memory,
        allow_write: args.allow_write,
    };
    let recordings = open(&args.source)?;
    let completeness = Completeness::of(&recordings);
    let mut shell = State {
        session: Arc::new(Session::new(recordings, &limits)?),
        completeness: Arc::new(completeness),
        format: args.output.format,
        is_timed: true,
        is_prompt: std::io::stdin().is_terminal(),
    };
    match shell.is_prompt {
        true => shell.prompt().await,
        false => shell.pipe().await,
    }
}

/// What a shell remembers from one statement to the next.
struct State {
    session: Arc<Session>,
    completeness: Arc<Completeness>,
    format: Format,
    is_timed: bool,
    is_prompt: bool,
}

impl State {
    async fn prompt(&mut self) -> Result<()> {
        let mut answer = Answer::silent(Format::Table);
        answer.completeness(&self.completeness)?;
        let hint = "SQL ends with `;`. `.help` lists commands, Tab completes.";
        answer.line(&answer.screen.dim(hint))?;
        answer.finish()?;
        let interrupted = Arc::new(Notify::new());
        let _meaning = Meaning::notify(&interrupted);
        let mut input = Input::new(complete::Names::of(&self.session))?;
        while let Some(text) = input.read()? {
            let done = tokio::select! {
                done = self.answer(&text) => done,
                () = interrupted.notified() => {
                    Watch::silence();
                    eprintln!("\r\x1b[Kwhence: interrupted");
                    continue;
                }
            };
            match done {
                Ok(After::Quit) => return Ok(()),
                Ok(After::GoOn) => {}
                Err(e) if e.is_broken_pipe() => {}
                Err(e) => eprintln!("whence: {}", e.lines().join("\n")),
            }
        }
        Ok(())
    }

    async fn pipe(&mut self) -> Result<()> {
        let mut all = String::new();
        let read = std::io::stdin().read_to_string(&mut all);
        read.map_err(|source| Error::Io {
            action: "read",
            object: "standard input".into(),
            source,
        })?;
        self.script(&all).await
    }

    /// Runs all that a text holds, up to what fails.
    async fn script(&mut self, all: &str) -> Result<()> {
        for text in input::split(all) {
            if let After::Quit = Box::pin(self.answer(&text)).await? {
                break;
            }
        }
        Ok(())
    }

    /// Answers one statement or command.
    async fn answer(&mut self, text: &str) -> Result<After> {
        let text = text.trim();
        if let Some(command) = text.strip_prefix('.') {
            return dot::run(self, command).await;
        }
        let word = text.trim_end_matches(';').trim();
        if word.is_empty() {
            return Ok(After::GoOn);
        }
        match is_name(word) {
            true => self.named(word, &[]).await?,
            false => self.sql(text, &[]).await?,
        }
        Ok(After::GoOn)
    }

    /// Runs a query of the library.
    async fn named(&mut self, name: &str, given: &[(String, String)]) -> Result<()> {
        let query = named(name)?;
        self.sql(query.sql, given).await
    }

    async fn sql(&mut self, sql: &str, given: &[(String, String)]) -> Result<()> {
        let values = params::values(&whence_queries::params(sql), given)?;
        let mut statements = self.session.parse(sql)?;
        params::bind(&mut statements, &values)?;
        for statement in statements {
            let task = Statement {
                session: Arc::clone(&self.session),
                completeness: Arc::clone(&self.completeness),
                format: self.format,
                is_prompt: self.is_prompt,
                is_timed: self.is_timed,
                sql: sql.to_owned(),
            };
            let mut running = Running::start(task.run(statement))?;
            (&mut running.task).await.map_err(|e| Error::Io {
                action: "run",
                object: "the statement".into(),
                source: std::io::Error::other(e.to_string()),
            })??;
        }
        Ok(())
    }
}

/// A statement on threads of its own: if nobody waits for it any more and it
/// cannot be interrupted, it is left behind with them, and holds up no other.
struct Running {
    task: tokio::task::JoinHandle<Result<()>>,
    threads: Option<tokio::runtime::Runtime>,
}

impl Running {
    fn start(statement: impl Future<Output = Result<()>> + Send + 'static) -> Result<Self> {
        let threads = runtime()?;
        Ok(Self {
            task: threads.spawn(statement),
            threads: Some(threads),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

/// A statement to run, with all that it needs.
struct Statement {
    session: Arc<Session>,
    completeness: Arc<Completeness>,
    format: Format,
    is_prompt: bool,
    is_timed: bool,
    sql: String,
}

impl Statement {
    async fn run(self, statement: datafusion::sql::parser::Statement) -> Result<()> {
        let began = Instant::now();
        let frame = self.session.plan(statement).await;
        let frame = frame.map_err(|e| e.in_sql(&self.sql))?;
        let mut answer = Answer::silent(self.format);
        // At a prompt it was said at the beginning that nothing is missing.
        if !(self.is_prompt && self.completeness.is_complete()) {
            answer.completeness(&self.completeness)?;
        }
        let rows = statement::run(&self.session, frame, &mut answer).await?;
        if self.is_prompt && self.is_timed && self.format.is_human() {
            let rows = text::counted(i64::try_from(rows).unwrap_or(i64::MAX), "row", "rows");
            let took = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX);
            let line = format!("({rows}, {})", text::duration(took));
            answer.line(&answer.screen.dim(&line))?;
        }
        answer.finish()
    }
}
