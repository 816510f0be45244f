//! The library of named queries: text only.
//!
//! Each `.sql` file holds one idea. Its first comment line says what it is for;
//! the comments after it describe parameters (`-- param: name = default  --
//! meaning`) and each column of its output (`-- column: meaning`). Parameters
//! stand in the SQL as `$name` and are bound as literals of the type of their
//! default, never pasted as text.

/// A named query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Name of its file, without the ending.
    pub name: &'static str,
    /// The SQL, comments included.
    pub sql: &'static str,
}

/// A column of the output of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, or several that are described together.
    pub names: Vec<String>,
    /// What it means.
    pub meaning: String,
}

/// A parameter that a query declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name, without the `$`.
    pub name: String,
    /// The value that it has if none is given.
    pub default: String,
    /// What it means.
    pub meaning: String,
    quoted: bool,
}

impl Param {
    /// Whether its values are numbers, as its default is.
    #[must_use]
    pub fn is_number(&self) -> bool {
        !self.quoted
    }
}

impl Query {
    /// What it is for: its first comment lines.
    #[must_use]
    pub fn purpose(&self) -> String {
        let comments = self.sql.lines().map_while(|line| line.strip_prefix("-- "));
        let words =
            comments.take_while(|text| !text.starts_with("param:") && !text.starts_with(' '));
        words.collect::<Vec<_>>().join(" ")
    }

    /// The columns of its output, as its comments describe them.
    #[must_use]
    pub fn columns(&self) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        let comments = self.sql.lines().map_while(|line| line.strip_prefix("--"));
        for text in comments.filter_map(|text| text.strip_prefix("   ")) {
            match (text.starts_with(' '), columns.last_mut()) {
                // The meaning goes on.
                (true, Some(column)) => {
                    column.meaning.push(' ');
                    column.meaning.push_str(text.trim());
                }
                _ => {
                    let (names, meaning) = text.split_once("  ").unwrap_or((text, ""));
                    columns.push(Column {
                        names: names.split(", ").map(str::to_owned).collect(),
                        meaning: meaning.trim().to_owned(),
                    });
                }
            }
        }
        columns
    }
}

/// The parameters that a text declares.
///
/// ```
/// let params = whence_queries::params("-- param: program = 'awk'  -- its name\nSELECT $program");
/// assert_eq!(params[0].name, "program");
/// assert_eq!(params[0].default, "awk");
/// assert!(!params[0].is_number());
/// ```
#[must_use]
pub fn params(sql: &str) -> Vec<Param> {
    sql.lines()
        .filter_map(|line| {
            let declared = line.trim().strip_prefix("-- param:")?;
            let (name, rest) = declared.split_once('=')?;
            let (default, meaning) = rest.split_once("  -- ").unwrap_or((rest, ""));
            let default = default.trim();
            let text = default
                .strip_prefix('\'')
                .and_then(|text| text.strip_suffix('\''));
            Some(Param {
                name: name.trim().to_owned(),
                default: text.unwrap_or(default).to_owned(),
                meaning: meaning.trim().to_owned(),
                quoted: text.is_some(),
            })
        })
        .collect()
}

macro_rules! library {
    ($($name:literal),+ $(,)?) => {
        /// Every named query, in order of its name.
        pub const QUERIES: &[Query] = &[$(
            Query { name: $name, sql: include_str!(concat!($name, ".sql")) },
        )+];
    };
}

library!(
    "boots",
    "callees",
    "callers",
    "changed_commands",
    "changed_functions",
    "clock_sanity",
    "cpu_by_chain",
    "cpu_by_container",
    "cpu_by_context",
    "cpu_by_process",
    "cpu_by_unit",
    "cpu_over_time",
    "deepest_chains",
    "exec_rate_by_chain",
    "execs_by_user",
    "execs_over_time",
    "failing_execs",
    "failing_exits",
    "forks_without_exec",
    "gaps",
    "hot_functions",
    "hot_paths",
    "incomplete_arguments",
    "io_by_program",
    "killed",
    "long_running",
    "loss",
    "loss_over_time",
    "memory_by_process",
    "odd_places",
    "off_cpu_by_stack",
    "off_cpu_by_waker",
    "orphans",
    "overhead",
    "periodic_jobs",
    "privileged_execs",
    "processes_over_time",
    "scripts",
    "secrets_in_argv",
    "short_lived_storms",
    "spawn_latency",
    "spawn_sites",
    "unresolved_frames",
    "who_runs",
);

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is not in the list could not be run by its name.
    #[test]
    fn the_list_and_the_files_are_the_same() {
        let dir = env!("CARGO_MANIFEST_DIR");
        let mut files: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.strip_suffix(".sql").map(str::to_owned)
            })
            .collect();
        files.sort();
        let listed: Vec<&str> = QUERIES.iter().map(|query| query.name).collect();
        assert_eq!(listed, files);
    }

    #[test]
    fn every_query_says_what_it_is_for_and_what_its_columns_are() {
        for query in QUERIES {
            assert!(query.sql.starts_with("-- "), "{}", query.name);
            assert!(query.purpose().ends_with('.'), "{}", query.name);
            assert!(!query.columns().is_empty(), "{}", query.name);
            for column in query.columns() {
                assert!(!column.meaning.is_empty(), "{}: {column:?}", query.name);
            }
            assert!(
                query.sql.contains("ORDER BY"),
                "{} has no order",
                query.name
            );
        }
    }

    #[test]
    fn every_placeholder_is_declared_and_every_declared_one_is_used() {
        for query in QUERIES {
            let body: String = query
                .sql
                .lines()
                .filter(|line| !line.starts_with("--"))
                .collect::<Vec<_>>()
                .join("\n");
            let declared = params(query.sql);
            for param in &declared {
                let used = body.contains(&format!("${}", param.name));
                assert!(used, "{}: {}", query.name, param.name);
                assert!(!param.meaning.is_empty(), "{}: {}", query.name, param.name);
            }
            for (at, _) in body.match_indices('$') {
                let name: String = body[at + 1..]
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                let known = declared.iter().any(|param| param.name == name);
                assert!(known, "{}: ${name}", query.name);
            }
        }
    }

    #[test]
    fn a_number_and_a_text_are_told_apart() {
        let params = params("-- param: n = 5  -- rows\n-- param: s = '5'  -- text");
        assert!(params[0].is_number());
        assert!(!params[1].is_number());
        assert_eq!(params[1].default, "5");
    }

    #[test]
    fn a_purpose_and_a_meaning_may_take_several_lines() {
        let query = Query {
            name: "x",
            sql: "-- One\n-- two.\n-- param: n = 5  -- rows\n--   a, b    first\n--           \
                  second\n--   c       third\nSELECT 1",
        };
        assert_eq!(query.purpose(), "One two.");
        let columns = query.columns();
        assert_eq!(columns[0].names, ["a", "b"]);
        assert_eq!(columns[0].meaning, "first second");
        assert_eq!(columns[1].names, ["c"]);
        assert_eq!(params(query.sql)[0].name, "n");
    }
}
