//! Who may write to a recording: the recorder holds a lock on its directory as
//! long as it lives, and whatever ends it lets go of the lock.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::{Error, Result};

/// The right to write to a recording; it ends when this is dropped.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] File);

impl Lock {
    /// Takes the lock on the recording at `dir`.
    ///
    /// # Errors
    /// [`Error::InUse`] if somebody holds it, [`Error::Io`].
    pub fn take(dir: &Path) -> Result<Self> {
        let file = File::open(dir).map_err(Error::io("open", dir))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                path: dir.to_path_buf(),
            }),
            // A file system without locks has no other recorder either, as far
            // as can be known.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self(file)),
        }
    }

    /// Whether somebody writes to the recording at `dir`.
    #[must_use]
    pub fn is_held(dir: &Path) -> bool {
        let Ok(file) = File::open(dir) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_goes_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        assert!(Lock::is_held(dir.path()));
        assert!(matches!(Lock::take(dir.path()), Err(Error::InUse { .. })));
        drop(lock);
        assert!(!Lock::is_held(dir.path()));
        assert!(Lock::take(dir.path()).is_ok());
    }
}
