//! How answers are written. This is the only way by which text of a recording
//! gets out, and everything that passes it is made printable.

mod csv;
pub mod file;
pub mod flame;
mod json;
mod output;
mod progress;
mod rows;
mod screen;
mod table;
pub mod text;
mod watch;

use clap::ValueEnum;

pub use output::Output;
pub use progress::Progress;
pub use rows::Rows;
pub use screen::Screen;
pub use watch::Watch;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: aligned columns, trees, text
    Table,
    /// An array of objects, one a line
    Json,
    /// Comma-separated values with a header
    Csv,
    /// A Parquet file
    Parquet,
    /// A stream of Arrow IPC
    Arrow,
}

impl Format {
    /// Whether it is for people.
    #[must_use]
    pub fn is_human(self) -> bool {
        self == Self::Table
    }

    /// Whether it is made of bytes that a terminal cannot show.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}
