//! What is known of the distinct texts of a row group, as long as it is read.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::error::Result;

/// Dictionaries that are remembered: row groups may be read in turns.
const REMEMBERED: usize = 8;

/// Something for each dictionary.
#[derive(Debug)]
pub(super) struct Memo<T> {
    /// The latest first.
    seen: Vec<(ArrayRef, T)>,
}

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self { seen: Vec::new() }
    }
}

impl<T> Memo<T> {
    /// What is known of these texts; it is made if they are new.
    ///
    /// # Errors
    /// What `make` fails with.
    pub(super) fn of(
        &mut self,
        texts: &ArrayRef,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<&mut T> {
        let known = |(seen, _): &(ArrayRef, T)| Arc::ptr_eq(seen, texts);
        match self.seen.iter().position(known) {
            Some(at) => self.seen[..=at].rotate_right(1),
            None => {
                let new = (Arc::clone(texts), make()?);
                self.seen.truncate(REMEMBERED - 1);
                self.seen.insert(0, new);
            }
        }
        Ok(&mut self.seen[0].1)
    }
}
