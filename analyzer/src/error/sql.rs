//! What the SQL engine refused, in the words of the question: what is wrong,
//! near names, and the place in the text.

use std::fmt;

use datafusion::common::SchemaError;
use datafusion::common::{Column, DataFusionError};
use unicode_width::UnicodeWidthStr as _;
use whence_schemas::TABLES;
use whence_schemas::quote::printable;

use crate::functions::TABLE_FUNCTIONS;

/// Names that are suggested for one that is not there.
const SUGGESTED: usize = 3;
/// How alike a suggested name is, from 0 to 1.
const ALIKE: f64 = 0.75;
/// Characters of a line of SQL that are shown before and after the place.
const AROUND: usize = 60;

/// A question that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    text: String,
    place: Option<Place>,
    /// The line of the question with a mark below.
    shown: Vec<String>,
}

/// A place in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    width: usize,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<String> for QueryError {
    fn from(text: String) -> Self {
        let (text, place) = parser_place(text);
        Self {
            text,
            place,
            shown: Vec::new(),
        }
    }
}

impl QueryError {
    /// What an error of the engine says.
    #[must_use]
    pub fn of(error: &DataFusionError) -> Self {
        let text = match error.find_root() {
            DataFusionError::SQL(e, _) => plain(&e.to_string()),
            DataFusionError::SchemaError(e, _) => match e.as_ref() {
                SchemaError::FieldNotFound {
                    field,
                    valid_fields,
                } => missing_column(field, valid_fields),
                other => plain(&other.to_string()),
            },
            root => {
                let text = plain(&root.strip_backtrace());
                missing(&text).unwrap_or(text)
            }
        };
        let mut this = Self::from(text);
        if let Some(span) = error.diagnostic().and_then(|d| d.span) {
            let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            let (start, end) = (span.start, span.end);
            this.place = Some(Place {
                line: place(start.line),
                column: place(start.column),
                width: match start.line == end.line {
                    true => place(end.column).saturating_sub(place(start.column)).max(1),
                    false => 1,
                },
            });
        }
        this
    }

    /// The same with the line of the question that it is about.
    #[must_use]
    pub fn in_sql(mut self, sql: &str) -> Self {
        let Some(place) = self.place.filter(|_| self.shown.is_empty()) else {
            return self;
        };
        let Some(line) = sql.lines().nth(place.line.saturating_sub(1)) else {
            return self;
        };
        let length = line.chars().count();
        let at = place.column.saturating_sub(1).min(length);
        let skipped = at.saturating_sub(AROUND);
        let part = |from: usize, to: usize| {
            let part: String = line.chars().skip(from).take(to - from).collect();
            printable(&part.replace('\t', " ")).into_owned()
        };
        let width = place.width.min(AROUND);
        let before = part(skipped, at);
        let marked = part(at, at + width);
        let after = part(at + width, at + width + AROUND);
        let cut = if skipped > 0 { "…" } else { "" };
        let more = match length > at + width + AROUND {
            true => "…",
            false => "",
        };
        let number = match sql.lines().nth(1) {
            Some(_) => format!("{}: ", place.line),
            None => String::new(),
        };
        let blank = " ".repeat(number.width() + cut.width() + before.width());
        self.shown = vec![
            format!("  {number}{cut}{before}{marked}{after}{more}"),
            format!("  {blank}{}", "^".repeat(marked.width().max(1))),
        ];
        self
    }

    /// The line of the question that it is about, with a mark below the place.
    #[must_use]
    pub fn shown(&self) -> &[String] {
        &self.shown
    }
}

/// The place that the parser puts into its text.
fn parser_place(text: String) -> (String, Option<Place>) {
    let parsed = text.rsplit_once(" at Line: ").and_then(|(before, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        let place = Place {
            line: line.trim().parse().ok()?,
            column: column.trim().parse().ok()?,
            width: 1,
        };
        // The word that was found is the one to mark.
        let found = before.rsplit_once("found: ").map(|(_, word)| word);
        let width = found.filter(|word| *word != "EOF").map_or(1, str::width);
        let width = width.max(1);
        Some((before.to_owned(), Place { width, ..place }))
    });
    match parsed {
        Some((before, place)) => (before, Some(place)),
        None => (text, None),
    }
}

/// An error of the engine without its own categories, on one line.
fn plain(text: &str) -> String {
    const CATEGORIES: &[&str] = &[
        "sql parser error: ",
        "Error during planning: ",
        "Execution error: ",
        "Schema error: ",
        "Arrow error: ",
        "External error: ",
    ];
    let mut text = text;
    while let Some(rest) = CATEGORIES.iter().find_map(|c| text.strip_prefix(c)) {
        text = rest;
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// That there is no such column, with near names.
fn missing_column(field: &Column, valid: &[Column]) -> String {
    let wanted = field.name.to_ascii_lowercase();
    let mut names: Vec<String> = valid.iter().map(Column::flat_name).collect();
    names.sort_unstable();
    names.dedup();
    let short = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let near = near(&wanted, names.iter().map(|n| (short(n), n.clone())));
    let hint = match (near.is_empty(), names.is_empty()) {
        (false, _) => format!("; near names: {}", near.join(", ")),
        (true, true) => "; the query reads no table".to_owned(),
        (true, false) => {
            let columns: Vec<String> = names.iter().map(|name| short(name)).collect();
            format!("; the columns are {}", columns.join(", "))
        }
    };
    format!("column {:?} not found{hint}", field.flat_name())
}

/// That there is no such table or function, with near names.
fn missing(text: &str) -> Option<String> {
    let quoted = |before: &str, after: &str| {
        let name = text.strip_prefix(before)?.strip_suffix(after)?;
        Some(name.strip_prefix("datafusion.public.").unwrap_or(name))
    };
    if let Some(name) = quoted("table '", "' not found") {
        return Some(missing_table(name));
    }
    let function = quoted("Table function '", "' not found");
    if let Some(name) = function.or_else(|| quoted("table function '", "' not found")) {
        let near = near(name, TABLE_FUNCTIONS.iter().map(|n| (*n, *n)));
        return Some(match near.is_empty() {
            true => format!(
                "table function {name:?} not found; there are {}",
                TABLE_FUNCTIONS.join(", ")
            ),
            false => format!(
                "table function {name:?} not found; near names: {}",
                near.join(", ")
            ),
        });
    }
    let (name, near) = text
        .strip_prefix("Invalid function '")?
        .split_once("'. Did you mean '")?;
    let near = near.trim_end_matches("'?");
    Some(format!("function {name:?} not found; near name: {near}"))
}

fn missing_table(name: &str) -> String {
    let is_query = |q: &&whence_queries::Query| q.name == name;
    if whence_queries::QUERIES.iter().any(|q| is_query(&q)) {
        return format!("{name:?} is a named query, not a table; run `whence query {name}`");
    }
    let near = near(name, TABLES.iter().map(|def| (def.name, def.name)));
    let hint = match near.is_empty() {
        true => {
            let names: Vec<&str> = TABLES.iter().map(|def| def.name).collect();
            format!("the tables are {}", names.join(", "))
        }
        false => format!("near names: {}", near.join(", ")),
    };
    format!("table {name:?} not found; {hint}")
}

/// The names most like the one that is wanted: each is given with what it is
/// compared by.
fn near<K: AsRef<str>, N>(wanted: &str, names: impl Iterator<Item = (K, N)>) -> Vec<N> {
    let like = |key: &str| strsim::jaro_winkler(key, wanted);
    let mut near: Vec<(f64, N)> = names
        .map(|(key, name)| (like(key.as_ref()), name))
        .filter(|(like, _)| *like > ALIKE)
        .collect();
    // A stable sort: names that are as near stay in their order.
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(SUGGESTED).map(|(_, n)| n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, sql: &str) -> Vec<String> {
        QueryError::from(text.to_owned()).in_sql(sql).shown
    }

    #[test]
    fn the_place_is_marked_below_its_line() {
        let text = "Expected: end of statement, found: FORM at Line: 1, Column: 10";
        let error = QueryError::from(text.to_owned());
        assert_eq!(error.to_string(), "Expected: end of statement, found: FORM");
        assert_eq!(
            at(text, "SELECT * FORM exec"),
            ["  SELECT * FORM exec", "           ^^^^"]
        );
        assert_eq!(
            at("found: x at Line: 2, Column: 3", "SELECT\n  x"),
            ["  2:   x", "       ^"]
        );
    }

    #[test]
    fn a_place_beyond_the_text_is_not_shown() {
        assert!(at("found: x at Line: 9, Column: 3", "SELECT").is_empty());
        let end = at("found: EOF at Line: 1, Column: 7", "SELECT");
        assert_eq!(end, ["  SELECT", "        ^"]);
        let far = "found: EOF at Line: 1, Column: 18446744073709551615";
        at(far, "SELECT");
    }

    #[test]
    fn of_a_long_line_only_the_part_around_the_place_is_shown() {
        let sql = format!("SELECT {} FORM {}", "a, ".repeat(100), "b".repeat(200));
        let shown = at("found: FORM at Line: 1, Column: 309", &sql);
        assert!(
            shown[0].width() < 140 && shown[0].contains("FORM"),
            "{shown:?}"
        );
        let mark = shown[1].find('^').map(|at| at + "…".len() - 1);
        assert_eq!(mark, shown[0].find("FORM"));
    }

    #[test]
    fn escape_sequences_of_a_query_are_shown_not_sent() {
        let shown = at("found: x at Line: 1, Column: 8", "SELECT x, '\x1b[31m'");
        assert!(!shown[0].contains('\x1b'), "{shown:?}");
    }
}
