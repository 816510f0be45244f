//! Answers questions about a whence recording, offline.
//!
//! A recording is opened and checked by [`recording`], shown to SQL by
//! [`catalog`] and [`session`], and asked by the [`commands`]. Trees
//! ([`forest`]) and call paths ([`paths`]) are plain algorithms over arrays;
//! [`render`] is the only way by which anything from a recording gets out.
//!
//! Nothing here knows of BPF, of the recorder's process, or of this host: what
//! is not in the recording is not known.

pub mod bundle;
pub mod catalog;
pub mod cli;
mod combinations;
pub mod commands;
pub mod diff;
pub mod error;
pub mod export;
pub mod forest;
pub mod functions;
mod grouping;
pub mod integrity;
pub mod interrupt;
pub mod loss;
mod names;
pub mod paths;
pub mod recording;
pub mod render;
pub mod report;
mod scan;
pub mod scratch;
pub mod session;
mod spill;
pub mod stacks;
pub mod store;
pub mod symbolize;
pub mod time;

pub use error::{Error, Result};
