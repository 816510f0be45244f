//! What a command can fail with, and the exit code that says so.

use std::path::PathBuf;
use std::process::ExitCode;

use datafusion::error::DataFusionError;
use whence_schemas::TABLES;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no answer. The text names the object and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The recording cannot be read.
    #[error(transparent)]
    Recording(#[from] whence_schemas::Error),
    /// There is no recording to ask.
    #[error("{0}")]
    NoRecording(String),
    /// Nothing of the recording can be used.
    #[error("{path} holds nothing that can be read: {reason}")]
    Unusable {
        /// The recording.
        path: PathBuf,
        /// The first of its defects.
        reason: String,
    },
    /// The question makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A bound that the user can raise was met.
    #[error("{0}")]
    Limit(String),
    /// A file decoded to nonsense.
    #[error("{0}")]
    Corrupt(String),
    /// The SQL engine refused.
    #[error("failed to run the query: {0}")]
    Query(String),
    /// The answer could not be written.
    #[error("failed to write {object}: {source}")]
    Write {
        /// Where to.
        object: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The operating system refused.
    #[error("failed to {action} {object}: {source}")]
    Io {
        /// Verb, as in "failed to open".
        action: &'static str,
        /// The object.
        object: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// The exit code: 1 error, 2 usage, 4 not a recording or corrupt, 5 a
    /// resource limit.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Recording(whence_schemas::Error::Io { .. }) => 1,
            Self::Recording(_) | Self::NoRecording(_) | Self::Unusable { .. } => 4,
            Self::Corrupt(_) => 4,
            Self::Limit(_) => 5,
            Self::Query(_) | Self::Write { .. } | Self::Io { .. } => 1,
        }
    }

    /// Whether the reader of the answer has gone, which is not an error.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// The [`ExitCode`] of [`exit_code`](Self::exit_code).
    #[must_use]
    pub fn to_exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_code())
    }

    /// For `map_err` on writes to the standard output.
    #[must_use]
    pub fn output(source: std::io::Error) -> Self {
        Self::Write {
            object: "standard output".into(),
            source,
        }
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::Limit(
                "the query needs more memory than it may use; give it more with --max-memory"
                    .into(),
            ),
            DataFusionError::ParquetError(e) => Self::Corrupt(format!(
                "a segment of the recording is corrupt: {e}; `whence info` checks all segments"
            )),
            DataFusionError::ExecutionJoin(_) => Self::Corrupt(
                "a segment of the recording is corrupt: its content cannot be decoded".into(),
            ),
            DataFusionError::SQL(e, _) => Self::Query(plain(&e.to_string())),
            root => match plain(&root.strip_backtrace()) {
                text if text.starts_with("LIMIT must be") => Self::Usage(text),
                text => Self::Query(missing_table(&text).unwrap_or(text)),
            },
        }
    }
}

/// An error of the engine without its own categories, and without the list of
/// all columns where it has found a near one.
fn plain(text: &str) -> String {
    const CATEGORIES: &[&str] = &[
        "sql parser error: ",
        "Error during planning: ",
        "Execution error: ",
        "Schema error: ",
        "Arrow error: ",
    ];
    let mut text = text;
    while let Some(rest) = CATEGORIES.iter().find_map(|c| text.strip_prefix(c)) {
        text = rest;
    }
    match text.split_once('\n') {
        Some((first, _)) if first.contains("Did you mean") => first.to_owned(),
        _ => text.lines().map(str::trim).collect::<Vec<_>>().join(" "),
    }
}

/// That there is no such table, with those that there are.
fn missing_table(text: &str) -> Option<String> {
    let name = text.strip_prefix("table '")?.strip_suffix("' not found")?;
    let name = name.strip_prefix("datafusion.public.").unwrap_or(name);
    let names = || TABLES.iter().map(|def| def.name);
    let like = |table: &str| strsim::jaro_winkler(table, name);
    let near: Vec<&str> = names().filter(|table| like(table) > 0.75).collect();
    let hint = match near.is_empty() {
        true => format!("the tables are {}", names().collect::<Vec<_>>().join(", ")),
        false => format!("near names: {}", near.join(", ")),
    };
    Some(format!("table {name:?} not found; {hint}"))
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        match error {
            arrow::error::ArrowError::IoError(_, source) => Self::output(source),
            error => Self::Query(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        let io = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let not_a_recording = whence_schemas::Error::NotARecording {
            path: "x".into(),
            reason: "y".into(),
        };
        assert_eq!(Error::Usage("x".into()).exit_code(), 2);
        assert_eq!(Error::from(not_a_recording).exit_code(), 4);
        assert_eq!(Error::Limit("x".into()).exit_code(), 5);
        assert_eq!(Error::Query("x".into()).exit_code(), 1);
        assert!(Error::output(io()).is_broken_pipe());
    }

    #[test]
    fn exhausted_memory_is_a_limit_and_says_what_to_do() {
        let wrapped = DataFusionError::Context(
            "sort".into(),
            Box::new(DataFusionError::ResourcesExhausted("pool".into())),
        );
        let error = Error::from(wrapped);
        assert_eq!(error.exit_code(), 5);
        assert!(error.to_string().contains("--max-memory"));
    }
}
