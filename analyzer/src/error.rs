//! What a command can fail with, and the exit code that says so.

mod sql;

use std::path::PathBuf;
use std::process::ExitCode;

use datafusion::error::DataFusionError;

use whence_schemas::quote::printable;

use crate::render::text::fit;

pub use sql::QueryError;

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
    /// The question makes sense, and nothing in the recording answers it.
    #[error("{0}")]
    Nothing(String),
    /// The SQL engine refused.
    #[error("failed to run the query: {0}")]
    Query(QueryError),
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
    /// The exit code: 1 error or nothing found, 2 usage, 4 not a recording or
    /// corrupt, 5 a resource limit.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Recording(
                whence_schemas::Error::Io { .. } | whence_schemas::Error::InUse { .. },
            ) => 1,
            Self::Recording(whence_schemas::Error::Memory { .. }) => 5,
            Self::Recording(_) | Self::NoRecording(_) | Self::Unusable { .. } => 4,
            Self::Corrupt(_) => 4,
            Self::Limit(_) => 5,
            Self::Nothing(_) | Self::Query(_) => 1,
            Self::Write { .. } | Self::Io { .. } => 1,
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

    /// The same, with the place in the question if the engine names one.
    #[must_use]
    pub fn in_sql(self, sql: &str) -> Self {
        match self {
            Self::Query(error) => Self::Query(error.in_sql(sql)),
            other => other,
        }
    }

    /// What is said of it: one line, and for a question the line of it that is
    /// wrong. A name from a recording may have a megabyte: a longer line is cut.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        const COLUMNS: usize = 2000;
        let text = self.to_string();
        let mut lines = vec![fit(&printable(text.trim_end()), COLUMNS)];
        if let Self::Query(error) = self {
            lines.extend_from_slice(error.shown());
        }
        lines
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
            DataFusionError::ResourcesExhausted(text) if text.contains("disk space") => full_disk(),
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
            DataFusionError::IoError(e) if is_full(e) => full_disk(),
            DataFusionError::ArrowError(e, _) if is_full_arrow(e) => full_disk(),
            root => {
                let query = QueryError::of(&error);
                match root.strip_backtrace().contains("LIMIT must be") {
                    true => Self::Usage(query.to_string()),
                    false => Self::Query(query),
                }
            }
        }
    }
}

/// That what does not fit in memory does not fit on the disk either.
pub(crate) fn full_disk() -> Error {
    Error::Limit(
        "there is no space left for what does not fit in memory; set TMPDIR to a folder \
         with more, or give the query more memory with --max-memory"
            .into(),
    )
}

/// Whether it is for want of space.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn is_full_arrow(error: &arrow::error::ArrowError) -> bool {
    matches!(error, arrow::error::ArrowError::IoError(_, e) if is_full(e))
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        match error {
            arrow::error::ArrowError::IoError(_, source) => Self::output(source),
            error => Self::Query(error.to_string().into()),
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
        assert_eq!(Error::Query(String::new().into()).exit_code(), 1);
        assert_eq!(Error::Nothing("x".into()).exit_code(), 1);
        assert!(Error::output(io()).is_broken_pipe());
    }

    #[test]
    fn a_name_of_a_megabyte_does_not_fill_the_screen() {
        let error = Error::Nothing(format!("no {}; near names: y", "x".repeat(1 << 20)));
        let [line] = &error.lines()[..] else {
            panic!("one line");
        };
        assert!(line.chars().count() == 2000 && line.ends_with('…'));
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

    #[test]
    fn a_full_disk_is_a_limit_and_says_what_to_do() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        for error in [
            DataFusionError::IoError(full()),
            DataFusionError::from(arrow::error::ArrowError::IoError("x".into(), full())),
        ] {
            let error = Error::from(error);
            assert_eq!(error.exit_code(), 5);
            assert!(error.to_string().contains("TMPDIR"));
        }
    }
}
