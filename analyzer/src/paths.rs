//! Call paths into a function, merged over all stack events.
//!
//! Samples are added up by distinct stack first ([`samples`]), so the work on
//! paths depends on how many different stacks there are, not on how many
//! samples. [`select`] decides which of them answer the question and where each
//! path begins and ends; [`trie`] merges them.

pub mod samples;
pub mod select;
mod sums;
pub mod trie;
