//! Commands of the shell: they begin with a dot and end with the line.

use arrow::datatypes::DataType;
use clap::ValueEnum as _;
use whence_schemas::{TABLES, TableDef};

use super::State;
use crate::catalog::table_schema;
use crate::commands::Answer;
use crate::commands::query::{named, write_list};
use crate::functions::{SCALAR_FUNCTIONS, TABLE_FUNCTIONS};
use crate::render::Format;
use crate::{Error, Result};

/// What follows a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next one.
    GoOn,
    /// The end.
    Quit,
}

/// Names of commands with what follows them, and what they do.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    (".functions", "", "functions that whence adds to SQL"),
    (".help", "", "this list"),
    (".mode", "table|json|csv", "how answers are written"),
    (".queries", "[NAME]", "the named queries, or the SQL of one"),
    (".quit", "", "leave; Ctrl-D does so too"),
    (".read", "FILE", "run what a file holds"),
    (
        ".run",
        "NAME [K=V]...",
        "run a named query; NAME; alone does so with its defaults",
    ),
    (".schema", "[TABLE]", "columns of a table, or of all"),
    (".tables", "", "the tables"),
    (".timer", "on|off", "say how long an answer took"),
];

/// Runs the command, which is given without its dot.
pub(super) async fn run(state: &mut State, command: &str) -> Result<After> {
    let mut words = command.trim_end_matches(';').split_whitespace();
    let name = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    match (name, &words[..]) {
        ("quit" | "exit" | "q", []) => return Ok(After::Quit),
        ("help" | "h", []) => help()?,
        ("tables", []) => tables()?,
        ("functions", []) => functions()?,
        ("schema", []) => schema(TABLES)?,
        ("schema", [table]) => schema(&[definition(table)?])?,
        ("queries", []) => {
            let mut answer = Answer::silent(Format::Table);
            write_list(&mut answer)?;
            answer.finish()?;
        }
        ("queries", [name]) => lines(named(name)?.sql.lines().map(str::to_owned))?,
        ("mode", [format]) => state.format = mode(format)?,
        ("timer", ["on"]) => state.is_timed = true,
        ("timer", ["off"]) => state.is_timed = false,
        ("run", [name, given @ ..]) => {
            let given = given.iter().map(|text| parameter(text));
            state
                .named(name, &given.collect::<Result<Vec<_>>>()?)
                .await?;
        }
        ("read", [_, ..]) => {
            let file = command.trim().trim_start_matches("read").trim();
            let text = std::fs::read_to_string(file).map_err(|source| Error::Io {
                action: "read",
                object: file.into(),
                source,
            })?;
            Box::pin(state.script(&text)).await?;
        }
        _ => return Err(unknown(name)),
    }
    Ok(After::GoOn)
}

fn unknown(name: &str) -> Error {
    let known = COMMANDS.iter().find(|(known, ..)| known[1..] == *name);
    Error::Usage(match known {
        Some((name, args, _)) => format!("use it as: {name} {args}"),
        None => format!("there is no command .{name}; .help lists them"),
    })
}

fn lines(lines: impl Iterator<Item = String>) -> Result<()> {
    let mut answer = Answer::silent(Format::Table);
    for line in lines {
        answer.line(&line)?;
    }
    answer.finish()
}

fn help() -> Result<()> {
    let usage = |(name, args, _): &(&str, &str, &str)| format!("{name} {args}");
    let widest = COMMANDS.iter().map(|c| usage(c).len()).max().unwrap_or(0);
    lines(COMMANDS.iter().map(|command| {
        let usage = usage(command);
        format!("{usage:widest$}  {}", command.2)
    }))
}

/// First sentence of a description.
fn sentence(doc: &str) -> String {
    let words: Vec<&str> = doc.split_whitespace().collect();
    let text = words.join(" ");
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    text[..end].to_owned()
}

fn tables() -> Result<()> {
    let widest = TABLES.iter().map(|def| def.name.len()).max().unwrap_or(0);
    lines(
        TABLES
            .iter()
            .map(|def| format!("{:widest$}  {}", def.name, sentence(def.doc))),
    )
}

fn functions() -> Result<()> {
    let in_from = TABLE_FUNCTIONS
        .iter()
        .map(|name| format!("{name}(…)  in FROM"));
    let of_rows = SCALAR_FUNCTIONS.iter().map(|name| format!("{name}(…)"));
    lines(of_rows.chain(in_from))
}

fn schema(tables: &[&'static TableDef]) -> Result<()> {
    let mut all = Vec::new();
    for def in tables {
        if !all.is_empty() {
            all.push(String::new());
        }
        all.push(format!("{}: {}", def.name, sentence(def.doc)));
        for field in table_schema(def).fields() {
            let doc = match def.column(field.name()) {
                Some(column) => sentence(column.doc),
                None => match field.name().as_str() {
                    "host" => "Name of the host.".into(),
                    "recording_id" => "Id of the recording.".into(),
                    _ => "Random id of the boot.".into(),
                },
            };
            let of_type = type_name(field.data_type());
            all.push(format!("  {:<16} {of_type:<10} {doc}", field.name()));
        }
    }
    lines(all.into_iter())
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int64 => "BIGINT".into(),
        DataType::Int32 => "INTEGER".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Utf8 => "VARCHAR".into(),
        DataType::Binary => "BLOB".into(),
        DataType::Timestamp(..) => "TIMESTAMP".into(),
        DataType::List(item) => format!("{}[]", type_name(item.data_type())),
        other => other.to_string(),
    }
}

fn definition(name: &str) -> Result<&'static TableDef> {
    let found = TABLES.iter().find(|def| def.name == name).copied();
    found.ok_or_else(|| {
        let names: Vec<&str> = TABLES.iter().map(|def| def.name).collect();
        Error::Usage(format!(
            "there is no table {name:?}; the tables are {}",
            names.join(", ")
        ))
    })
}

fn mode(name: &str) -> Result<Format> {
    let format = Format::from_str(name, true).ok().filter(|f| !f.is_binary());
    format.ok_or_else(|| Error::Usage(format!("{name:?} is no mode; give table, json or csv")))
}

fn parameter(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err(Error::Usage(format!(
            "{text:?} is no parameter; give NAME=VALUE"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_sentence_is_told() {
        assert_eq!(sentence("One. Two."), "One.");
        assert_eq!(sentence(" As\n it is"), "As it is");
    }

    #[test]
    fn commands_are_in_order_and_unknown_ones_are_refused() {
        assert!(COMMANDS.is_sorted_by_key(|(name, ..)| *name));
        assert!(unknown("mode").to_string().contains("table|json|csv"));
        assert!(unknown("nope").to_string().contains(".help"));
        assert!(mode("parquet").is_err());
        assert_eq!(mode("JSON").ok(), Some(Format::Json));
    }
}
