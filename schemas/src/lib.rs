//! What a whence recording is on disk.
//!
//! This crate owns the tables and their columns, the ids that are stored in
//! them, the files of a recording and how they come to be, and the few rules
//! that both programs must apply alike: how a process follows from its events
//! ([`mod@derive`]), how a tree is numbered ([`tree`]), how a command line is
//! quoted ([`quote`]) and how an event reads as one line ([`mod@line`]); and how
//! a recording is completed ([`complete`]), be its recorder killed ([`recover`]).
//!
//! It knows nothing of the kernel, of BPF, or of SQL.
//!
//! Adding a column: one line in its file under `tables/`. Adding a table: one
//! file there and one entry in [`TABLES`].

pub mod archive;
pub mod compact;
pub mod complete;
pub mod derive;
pub mod error;
pub mod grouping;
pub mod ids;
pub mod layout;
pub mod line;
pub mod lock;
pub mod manifest;
pub mod page;
pub mod place;
pub mod quote;
pub mod read;
pub mod recover;
pub mod redact;
pub mod segment;
pub mod table;
pub mod tables;
mod texts;
pub mod tree;

pub use error::{Error, Result};
pub use table::{ColumnDef, TableDef};
pub use tables::{
    clock, exec, exit, fork, frame, loss, mapping, overhead, process, sample, stack, symbol,
};

/// Version of the format that this crate writes. It rises only when an older
/// reader could misread a newer recording; added columns and tables do not
/// raise it.
pub const FORMAT_VERSION: u32 = 1;

/// Every table of a recording.
pub static TABLES: &[&TableDef] = &[
    &process::DEF,
    &exec::DEF,
    &fork::DEF,
    &exit::DEF,
    &sample::DEF,
    &stack::DEF,
    &frame::DEF,
    &symbol::DEF,
    &mapping::DEF,
    &loss::DEF,
    &clock::DEF,
    &overhead::DEF,
];

/// The table of that name.
#[must_use]
pub fn table(name: &str) -> Option<&'static TableDef> {
    TABLES.iter().copied().find(|def| def.name == name)
}
