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

/// The sum of weights; the greatest number where they are absurd.
pub fn add_up(weights: impl IntoIterator<Item = i64>) -> i64 {
    weights.into_iter().fold(0, i64::saturating_add)
}
