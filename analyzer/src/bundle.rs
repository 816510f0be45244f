//! A part of a recording in one zip, to attach to a report of a bug.
//!
//! [`select`] says which events; `copy` takes them with all that is needed to
//! understand them, without secrets; [`fit`] makes that small enough; [`pack`]
//! writes the zip. [`inspect`] tells what would leave the house.

mod columns;
mod copy;
pub mod fit;
pub mod inspect;
pub mod pack;
mod redact;
mod renamed;
pub mod select;
mod thin;

pub use copy::{Part, Plan};
