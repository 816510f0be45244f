//! The ways in which a recording can fail to be read or written.

use std::io;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a recording, naming the object and the cause.
///
/// The text is whole: causes are part of it, and not a chain beside it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path is no recording at all.
    #[error("{path} is not a whence recording: {reason}")]
    NotARecording {
        /// What was opened.
        path: PathBuf,
        /// Why it is not one.
        reason: String,
    },
    /// The recording was written in a format that this version cannot read.
    #[error(
        "{path} has format version {found}, this whence reads up to {supported}; use a newer whence"
    )]
    NewerFormat {
        /// The recording.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest version that is understood.
        supported: u32,
    },
    /// A file of the recording is damaged or missing.
    #[error("{path} is corrupt: {reason}")]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else writes to the recording.
    #[error("{path} is being recorded; stop its recorder first")]
    InUse {
        /// The recording.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("failed to {action} {path}: {cause}")]
    Io {
        /// Verb, as in "failed to open".
        action: &'static str,
        /// The object.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// Arrow or Parquet refused rows that this program made.
    #[error("failed to encode {path}: {cause}")]
    Encode {
        /// The file being written.
        path: PathBuf,
        /// The encoder's reason.
        cause: parquet::errors::ParquetError,
    },
    /// A bound that the user can raise was met.
    #[error(
        "failed to {action} {path}: it needs more than {bytes} bytes of memory; give it more with --max-memory"
    )]
    Memory {
        /// Verb, as in "failed to sort".
        action: &'static str,
        /// The object.
        path: PathBuf,
        /// The bound.
        bytes: usize,
    },
    /// Columns do not fit the table they are meant for.
    #[error("failed to build table {table}: {cause}")]
    Table {
        /// The table's name.
        table: &'static str,
        /// Arrow's reason.
        cause: arrow::error::ArrowError,
    },
}

impl Error {
    /// An [`Error::Io`] that names verb and object.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |cause| Self::Io {
            action,
            path,
            cause,
        }
    }

    /// An [`Error::Corrupt`] with a reason that can be printed.
    pub fn corrupt(path: impl AsRef<Path>, reason: impl ToString) -> Self {
        Self::Corrupt {
            path: path.as_ref().to_path_buf(),
            reason: reason.to_string(),
        }
    }
}
