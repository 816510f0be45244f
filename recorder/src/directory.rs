//! The directory of a recording: made so that it is there whole or not at all,
//! closed to others, and never where others could swap it.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use whence_schemas::lock::Lock;
use whence_schemas::manifest::Manifest;
use whence_schemas::segment::sync_dir;
use whence_schemas::{Error, Result, TABLES, layout};

/// Makes the directory of a new recording, with a folder per table and the
/// manifest, and takes the lock on it. Whoever looks sees all of that or nothing.
///
/// # Errors
/// If it exists or cannot be made, or others can write where it shall be.
pub fn create(dir: &Path, manifest: &Manifest) -> Result<Lock> {
    create_with(dir, manifest, |_| Ok(()))
}

/// As [`create`], with what `fill` puts into it while it has its temporary name.
///
/// # Errors
/// As [`create`], and what `fill` gives.
pub fn create_with(
    dir: &Path,
    manifest: &Manifest,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<Lock> {
    let parent = parent(dir);
    refuse_shared(&parent)?;
    if fs::symlink_metadata(dir).is_ok() {
        return Err(Error::io("create", dir)(
            io::ErrorKind::AlreadyExists.into(),
        ));
    }
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = parent.join(format!(".{name}.{}.tmp", std::process::id()));
    let made = make(&unfinished, manifest)
        .and_then(|()| fill(&unfinished))
        .and_then(|()| Lock::take(&unfinished))
        .and_then(|lock| {
            rename_new(&unfinished, dir).map_err(Error::io("create", dir))?;
            Ok(lock)
        });
    if made.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    let lock = made?;
    sync_dir(&parent)?;
    Ok(lock)
}

fn make(dir: &Path, manifest: &Manifest) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    let folder = |path: &Path| builder.create(path).map_err(Error::io("create", path));
    folder(dir)?;
    TABLES
        .iter()
        .try_for_each(|def| folder(&dir.join(def.name)))?;
    manifest.write(dir)
}

/// The folder that holds it.
fn parent(dir: &Path) -> PathBuf {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Refuses a folder in which everybody can replace what is ours.
fn refuse_shared(folder: &Path) -> Result<()> {
    let found = fs::metadata(folder).map_err(Error::io("open", folder))?;
    let mode = found.permissions().mode();
    if mode & 0o002 != 0 && mode & 0o1000 == 0 {
        return Err(Error::io("use", folder)(io::Error::other(
            "everybody can write there and replace what is recorded; take write permission \
             from others (chmod o-w), or set the sticky bit",
        )));
    }
    Ok(())
}

/// Takes the lock on a recording that exists, to go on with it.
///
/// # Errors
/// If it is a link, belongs to somebody else, others can write to it, or it is
/// being recorded.
pub fn reopen(dir: &Path) -> Result<Lock> {
    refuse_shared(&parent(dir))?;
    let refuse = |reason: &str| Err(Error::io("use", dir)(io::Error::other(reason.to_owned())));
    let found = fs::symlink_metadata(dir).map_err(Error::io("open", dir))?;
    // SAFETY: asks for a number.
    let own = unsafe { libc::geteuid() };
    match () {
        () if !found.is_dir() => refuse("it is no folder, or a link to one"),
        () if found.uid() != own => refuse("it belongs to another user"),
        () if found.permissions().mode() & 0o022 != 0 => {
            refuse("others can write to it; take that permission from them (chmod go-w)")
        }
        () => Lock::take(dir),
    }
}

/// Removes a recording: its tables and its manifest. Whatever else is there
/// stays, and the directory with it.
///
/// # Errors
/// [`Error::Io`].
pub fn remove(dir: &Path) -> Result<()> {
    for def in TABLES {
        let folder = dir.join(def.name);
        if fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) {
            fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
        }
    }
    let manifest = layout::manifest(dir);
    fs::remove_file(&manifest).map_err(Error::io("remove", &manifest))?;
    fs::remove_dir(dir).map_err(Error::io("remove", dir))
}

/// Gives a folder its name, unless there is something of that name.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let [old, new] = [from, to].map(|path| CString::new(path.as_os_str().as_bytes()));
    let (old, new) = (old?, new?);
    // SAFETY: both are paths that end with a NUL and live.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            old.as_ptr(),
            libc::AT_FDCWD,
            new.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    match failed {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            // A file system that does not know the flag.
            e if e.raw_os_error() == Some(libc::EINVAL) => fs::rename(from, to),
            e => Err(e),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::manifest_for_tests;

    #[test]
    fn a_new_recording_is_closed_to_others_and_locked() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("x.whence");
        let lock = create(&dir, &manifest_for_tests()).unwrap();
        assert!(Lock::is_held(&dir));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join("exec")), 0o700);
        assert_eq!(mode(&dir.join("recording.json")), 0o600);
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 1);
        drop(lock);
        // A process that another test forks holds the lock until it executes.
        let again = || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            reopen(&dir).is_ok()
        };
        assert!((0..100).any(|_| again()));
    }

    #[test]
    fn what_exists_is_left_alone_be_it_a_link_to_nothing() {
        let top = tempfile::tempdir().unwrap();
        for name in ["folder", "link"] {
            let dir = top.path().join(name);
            match name {
                "folder" => fs::create_dir(&dir).unwrap(),
                _ => std::os::unix::fs::symlink("/no/such/place", &dir).unwrap(),
            }
            let error = create(&dir, &manifest_for_tests()).unwrap_err().to_string();
            assert!(error.starts_with("failed to create "), "{error}");
        }
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 2);
    }

    #[test]
    fn folders_that_everybody_can_write_to_are_refused() {
        let top = tempfile::tempdir().unwrap();
        let mode = |mode| fs::set_permissions(top.path(), fs::Permissions::from_mode(mode));
        let dir = top.path().join("x.whence");
        mode(0o777).unwrap();
        let error = create(&dir, &manifest_for_tests()).unwrap_err().to_string();
        assert!(error.contains("chmod o-w"), "{error}");
        mode(0o1777).unwrap();
        drop(create(&dir, &manifest_for_tests()).unwrap());
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(reopen(&dir).unwrap_err().to_string().contains("chmod go-w"));
        let link = top.path().join("y.whence");
        std::os::unix::fs::symlink(&dir, &link).unwrap();
        assert!(reopen(&link).unwrap_err().to_string().contains("link"));
    }
}
