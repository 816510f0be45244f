//! Files and folders that must not outlive the program: removed when it is done
//! with them, when it fails, and when a signal ends it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

use tempfile::TempDir;

use crate::{Error, Result};

/// Folders that are there now.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A folder that only this user can read and that goes with this value, or with
/// the program.
#[derive(Debug)]
pub struct Folder(TempDir);

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
        clean_up_at_signals();
        let made = tempfile::Builder::new()
            .prefix(".whence-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(|source| Error::Io {
                action: "create",
                object: format!("a folder in {}", parent.display()),
                source,
            })?;
        lock().push(made.path().to_path_buf());
        Ok(Self(made))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        lock().retain(|path| path != self.0.path());
    }
}

fn lock() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what is there when a signal asks the program to end, and ends it as
/// the signal would have.
fn clean_up_at_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]) else {
            return;
        };
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                for folder in lock().iter() {
                    let _ = fs::remove_dir_all(folder);
                }
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        });
    });
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
