//! `whence query`: SQL, or a query of the library by its name.

pub(super) mod params;
pub(super) mod statement;

use std::io::Read as _;

use whence_queries::{Param, QUERIES};

use super::{Answer, session};
use crate::cli::Query;
use crate::render::{Format, text};
use crate::{Error, Result};

/// Runs each statement and writes its rows.
///
/// # Errors
/// As the statements do; [`Error::Usage`] for parameters that do not fit.
pub async fn run(args: &Query) -> Result<()> {
    if args.list {
        return list();
    }
    let (sql, params) = text(args)?;
    let values = params::values(&params, &args.params)?;
    let session = session(&args.source, args.allow_write)?;
    let mut statements = session.parse(&sql)?;
    if statements.is_empty() {
        return Err(Error::Usage("there is no statement in the query".into()));
    }
    params::bind(&mut statements, &values)?;
    let mut answer = None;
    for statement in statements {
        // A statement that makes no sense is refused before anything is said.
        let frame = session.plan(statement).await;
        let frame = frame.map_err(|e| e.in_sql(&sql))?;
        let answer = match &mut answer {
            Some(answer) => answer,
            None => answer.insert(Answer::begin(args.output.format, &session.recordings)?),
        };
        statement::run(&session, frame, answer).await?;
    }
    answer.map_or(Ok(()), Answer::finish)
}

/// The SQL to run, and the parameters that it declares.
fn text(args: &Query) -> Result<(String, Vec<Param>)> {
    let sql = match (&args.file, &args.query) {
        (Some(path), _) => {
            let mut sql = String::new();
            let read = if path.as_os_str() == "-" {
                std::io::stdin().read_to_string(&mut sql).map(drop)
            } else {
                std::fs::read_to_string(path).map(|text| sql = text)
            };
            read.map_err(|source| Error::Io {
                action: "read",
                object: path.display().to_string(),
                source,
            })?;
            sql
        }
        (None, Some(query)) if is_name(query) => named(query)?.sql.to_owned(),
        (None, Some(query)) => query.clone(),
        (None, None) => {
            return Err(Error::Usage(
                "give SQL, -f FILE, or the name of a query; --list lists them".into(),
            ));
        }
    };
    let params = whence_queries::params(&sql);
    Ok((sql, params))
}

/// One word is a name; no SQL statement that asks is one word.
pub(super) fn is_name(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

pub(super) fn named(name: &str) -> Result<&'static whence_queries::Query> {
    let wanted = name.replace('-', "_");
    if let Some(query) = QUERIES.iter().find(|query| query.name == wanted) {
        return Ok(query);
    }
    let near = QUERIES
        .iter()
        .max_by(|a, b| {
            let like = |q: &whence_queries::Query| strsim::jaro_winkler(q.name, &wanted);
            like(a).total_cmp(&like(b))
        })
        .map_or("", |query| query.name);
    Err(Error::Usage(format!(
        "there is no query named {name}; the nearest is {near}, and --list lists all"
    )))
}

fn list() -> Result<()> {
    let mut answer = Answer::silent(Format::Table);
    write_list(&mut answer)?;
    answer.finish()
}

/// Each query with its purpose and its parameters.
pub(super) fn write_list(answer: &mut Answer) -> Result<()> {
    let screen = answer.screen;
    let widest = QUERIES.iter().map(|q| q.name.len()).max().unwrap_or(0);
    for query in QUERIES {
        let name = screen.bold(&format!("{:widest$}", query.name));
        let columns = screen.line(false).saturating_sub(widest + 2).max(40);
        let purpose = text::fit(&query.purpose(), columns);
        answer.line(&format!("{name}  {purpose}"))?;
        for param in whence_queries::params(query.sql) {
            let line = format!(
                "--param {}={}  {}",
                param.name, param.default, param.meaning
            );
            let blank = " ".repeat(widest + 2);
            let line = text::fit(&line, screen.width.saturating_sub(widest + 2).max(40));
            answer.line(&format!("{blank}{}", screen.dim(&line)))?;
        }
    }
    Ok(())
}
