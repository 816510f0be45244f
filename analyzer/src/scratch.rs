//! Folders that must not outlive the program: removed when it is done with them,
//! when it fails, and when a signal ends it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::interrupt::Temporary;
use crate::{Error, Result};

/// A folder that only this user can read and that goes with this value, or with
/// the program.
#[derive(Debug)]
pub struct Folder {
    made: TempDir,
    _at_signals: Temporary,
}

impl Folder {
    /// A folder beside `path`, so that what is made in it can be renamed to it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be made.
    pub fn beside(path: &Path) -> Result<Self> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let made = tempfile::Builder::new()
            .prefix(".whence-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(|source| Error::Io {
                action: "create",
                object: format!("a folder in {}", parent.display()),
                source,
            })?;
        Ok(Self {
            _at_signals: Temporary::new(made.path()),
            made,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.made.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_value_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::beside(&dir.path().join("x.zip")).unwrap();
        let path = folder.path().to_path_buf();
        assert_eq!(path.parent(), Some(dir.path()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o77, 0);
        drop(folder);
        assert!(!path.exists());
    }
}
