//! Completion: commands of the shell, tables, columns, functions, named queries
//! and words of SQL.

use rustyline::Context;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use whence_queries::QUERIES;
use whence_schemas::TABLES;

use super::dot::COMMANDS;
use crate::catalog::table_schema;
use crate::functions::TABLE_FUNCTIONS;
use crate::session::Session;

/// Words of SQL that are worth completing.
const WORDS: &[&str] = &[
    "AND",
    "ASC",
    "BETWEEN",
    "CASE",
    "CAST",
    "COUNT",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "EXPLAIN",
    "FROM",
    "GROUP BY",
    "HAVING",
    "INTERVAL",
    "IS NULL",
    "JOIN",
    "LEFT JOIN",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULLS LAST",
    "ORDER BY",
    "OVER",
    "PARTITION BY",
    "SELECT",
    "THEN",
    "TIMESTAMP",
    "UNION ALL",
    "USING",
    "WHEN",
    "WHERE",
    "WITH",
];

/// All names that can be completed.
pub(super) struct Names {
    /// Functions of the engine and of whence.
    functions: Vec<String>,
    /// Columns of any table.
    columns: Vec<String>,
}

impl Names {
    /// The names of a session.
    pub(super) fn of(session: &Session) -> Self {
        let state = session.state();
        let engine = state.scalar_functions().keys();
        let engine = engine.chain(state.aggregate_functions().keys());
        let engine = engine.chain(state.window_functions().keys());
        let mut functions: Vec<String> = engine.cloned().collect();
        functions.extend(TABLE_FUNCTIONS.iter().map(|name| (*name).to_owned()));
        functions.sort_unstable();
        functions.dedup();
        let mut columns: Vec<String> = TABLES.iter().flat_map(|def| columns(def.name)).collect();
        columns.sort_unstable();
        columns.dedup();
        Self { functions, columns }
    }

    /// What a line may go on with: where the word begins, and the words.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let begin = line.rfind(|c| !is_word(c)).map_or(0, |at| {
            at + line[at..].chars().next().map_or(1, char::len_utf8)
        });
        let word = &line[begin..];
        if let Some(command) = line.trim_start().strip_prefix('.') {
            return command_candidates(line, command, begin, word);
        }
        let before = line[..begin].trim_end();
        if let Some(table) = line[..begin].strip_suffix('.') {
            let at = table.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
            let of_table = columns(&table[at..]);
            let columns = match of_table.is_empty() {
                // An alias, which may stand for any table.
                true => &self.columns,
                false => &of_table,
            };
            return (begin, matching(word, columns));
        }
        let last = before
            .rsplit(|c: char| c.is_whitespace() || c == '(')
            .next();
        let last = last.unwrap_or_default().to_ascii_uppercase();
        let tables = TABLES.iter().map(|def| def.name);
        if matches!(last.as_str(), "FROM" | "JOIN") {
            let functions = TABLE_FUNCTIONS.iter().map(|name| format!("{name}("));
            let names: Vec<String> = tables.map(str::to_owned).chain(functions).collect();
            return (begin, matching(word, &names));
        }
        let mut names: Vec<String> = tables.map(str::to_owned).collect();
        if before.is_empty() {
            names = QUERIES
                .iter()
                .map(|query| format!("{};", query.name))
                .collect();
        }
        names.extend(self.columns.iter().cloned());
        names.extend(self.functions.iter().map(|name| format!("{name}(")));
        names.extend(WORDS.iter().map(|word| (*word).to_owned()));
        (begin, matching(word, &names))
    }
}

fn columns(table: &str) -> Vec<String> {
    let def = TABLES.iter().find(|def| def.name == table);
    let Some(def) = def else { return Vec::new() };
    let schema = table_schema(def);
    schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}

fn command_candidates(line: &str, command: &str, begin: usize, word: &str) -> (usize, Vec<String>) {
    let Some((name, _)) = command.split_once(char::is_whitespace) else {
        let dot = line.len() - command.len() - 1;
        let names: Vec<String> = COMMANDS
            .iter()
            .map(|(name, ..)| (*name).to_owned())
            .collect();
        return (dot, matching(&line[dot..], &names));
    };
    let names: Vec<&str> = match name {
        "schema" => TABLES.iter().map(|def| def.name).collect(),
        "run" | "queries" => QUERIES.iter().map(|query| query.name).collect(),
        "mode" => vec!["csv", "json", "table"],
        "timer" => vec!["off", "on"],
        _ => Vec::new(),
    };
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    (begin, matching(word, &names))
}

/// The names that begin with a word, whatever its case.
fn matching(word: &str, names: &[String]) -> Vec<String> {
    let begins = |name: &&String| {
        let begin = name.get(..word.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(word))
    };
    let mut found: Vec<String> = names.iter().filter(begins).cloned().collect();
    // Words of SQL keep the case in which the user writes them.
    if word.chars().any(|c| c.is_ascii_lowercase()) {
        for name in &mut found {
            *name = name.to_ascii_lowercase();
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

impl Completer for Names {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (begin, names) = self.candidates(&line[..pos]);
        let pair = |name: String| Pair {
            display: name.clone(),
            replacement: name,
        };
        Ok((begin, names.into_iter().map(pair).collect()))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> Vec<String> {
        let names = Names {
            functions: vec!["basename".into(), "descendants".into(), "sum".into()],
            columns: vec!["comm".into(), "cmdline".into(), "stack_id".into()],
        };
        names.candidates(line).1
    }

    #[test]
    fn each_place_is_completed_by_what_can_stand_there() {
        assert_eq!(completed("SELECT cm"), ["cmdline"]);
        assert_eq!(completed("SELECT bas"), ["basename("]);
        assert_eq!(completed("SELECT 1 FROM exe"), ["exec"]);
        assert_eq!(completed("SELECT 1 FROM desc"), ["descendants("]);
        assert_eq!(completed("SELECT clock.rea"), ["real_ns"]);
        assert_eq!(completed("SELECT e.comm, e.cmd"), ["cmdline"]);
        assert_eq!(completed("who"), ["who_runs;"]);
        assert_eq!(completed("sel"), ["select"]);
        assert_eq!(completed("SELECT comm FROM exec WHER"), ["WHERE"]);
        assert_eq!(completed(".sch"), [".schema"]);
        assert_eq!(completed(".schema samp"), ["sample"]);
        assert_eq!(completed(".run who_"), ["who_runs"]);
        assert_eq!(completed(".mode j"), ["json"]);
        assert!(completed("SELECT é").is_empty());
    }
}
