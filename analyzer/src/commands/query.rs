//! `whence query`: SQL, or a query of the library by its name.

use std::io::Read as _;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Value, VisitMut as _, VisitorMut};
use futures::StreamExt as _;
use whence_queries::{Param, QUERIES};

use super::{Answer, session};
use crate::cli::Query;
use crate::render::{Rows, Screen, text};
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
    let values = values(&params, &args.params)?;
    let session = session(&args.source, args.allow_write)?;
    let mut statements = session.parse(&sql)?;
    if statements.is_empty() {
        return Err(Error::Usage("there is no statement in the query".into()));
    }
    bind(&mut statements, &values)?;
    let mut answer = Answer::begin(args.output.format, &session.recordings)?;
    for statement in statements {
        let frame = session.plan(statement).await;
        let frame = frame.map_err(|e| e.in_sql(&sql))?;
        let mut batches = frame.execute_stream().await?;
        let schema = batches.schema();
        let (format, screen) = (answer.format, answer.screen);
        let mut rows = Rows::new(format, &schema, &screen, &mut answer.out)?;
        while let Some(batch) = batches.next().await {
            rows.write(&batch?)?;
        }
        rows.finish()?;
    }
    answer.finish()
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
fn is_name(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn named(name: &str) -> Result<&'static whence_queries::Query> {
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

/// The value of each parameter: as given, else its default.
fn values(params: &[Param], given: &[(String, String)]) -> Result<Vec<(String, Value)>> {
    let unknown = |name: &String| params.iter().all(|param| param.name != *name);
    if let Some((name, _)) = given.iter().find(|(name, _)| unknown(name)) {
        let known: Vec<&str> = params.iter().map(|p| p.name.as_str()).collect();
        return Err(Error::Usage(match known.is_empty() {
            true => format!("the query has no parameter {name}; it has none"),
            false => format!(
                "the query has no parameter {name}; it has {}",
                known.join(", ")
            ),
        }));
    }
    let value = |param: &Param| {
        let text = given
            .iter()
            .rfind(|(name, _)| *name == param.name)
            .map_or(param.default.as_str(), |(_, value)| value);
        Ok((param.name.clone(), literal(param, text)?))
    };
    params.iter().map(value).collect()
}

/// A text as a literal of the type that the parameter's default has. It is
/// never parsed as SQL.
fn literal(param: &Param, text: &str) -> Result<Value> {
    if !param.is_number() {
        return Ok(Value::SingleQuotedString(text.to_owned()));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Number(text.to_owned(), false)),
        _ => Err(Error::Usage(format!(
            "parameter {} must be a number, not {text:?}",
            param.name
        ))),
    }
}

/// Puts values in the place of placeholders such as `$name`.
fn bind(statements: &mut [Statement], values: &[(String, Value)]) -> Result<()> {
    let mut binder = Binder { values };
    for statement in statements {
        let mut statement = statement;
        while let Statement::Explain(explain) = statement {
            statement = explain.statement.as_mut();
        }
        if let Statement::Statement(statement) = statement
            && let ControlFlow::Break(name) = statement.visit(&mut binder)
        {
            return Err(Error::Usage(format!(
                "{name} has no value; declare it in the query by a line \
                 `-- param: {} = DEFAULT`",
                name.trim_start_matches('$')
            )));
        }
    }
    Ok(())
}

struct Binder<'a> {
    values: &'a [(String, Value)],
}

impl VisitorMut for Binder<'_> {
    type Break = String;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        let Expr::Value(value) = expr else {
            return ControlFlow::Continue(());
        };
        let Value::Placeholder(placeholder) = &value.value else {
            return ControlFlow::Continue(());
        };
        let name = placeholder.trim_start_matches('$');
        match self.values.iter().find(|(known, _)| known == name) {
            Some((_, bound)) => {
                value.value = bound.clone();
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(placeholder.clone()),
        }
    }
}

fn list() -> Result<()> {
    use std::io::Write as _;
    let screen = Screen::stdout();
    let mut out = std::io::stdout().lock();
    let widest = QUERIES.iter().map(|q| q.name.len()).max().unwrap_or(0);
    for query in QUERIES {
        let name = screen.bold(&format!("{:widest$}", query.name));
        writeln!(out, "{name}  {}", query.purpose()).map_err(Error::output)?;
        for param in whence_queries::params(query.sql) {
            let line = format!(
                "--param {}={}  {}",
                param.name, param.default, param.meaning
            );
            let blank = " ".repeat(widest + 2);
            let line = text::fit(&line, screen.width.saturating_sub(widest + 2).max(40));
            writeln!(out, "{blank}{}", screen.dim(&line)).map_err(Error::output)?;
        }
    }
    Ok(())
}
