//! How much room there is on disk, and what that means: first the bulky streams
//! stop, then the recording ends while there is still room to end it well.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Kept back for what ends a recording: counts of what was lost, the manifest.
const RESERVE_BYTES: u64 = 256 * 1024;
/// No more than this share of a small disk is kept free.
const SHARE: u64 = 20;

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everything.
    Enough,
    /// Process life only; why.
    Scarce(&'static str),
    /// Nothing but an end; why.
    Gone(Cause),
}

/// Why a recording must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It has the size that it may have: it ends well.
    Size,
    /// The disk is full: that is an error.
    Disk,
}

/// The bounds, and what is kept back.
#[derive(Debug)]
pub struct Room {
    dir: PathBuf,
    max_bytes: Option<u64>,
    keep_free: u64,
    reserve: Option<PathBuf>,
}

impl Room {
    /// For the recording at `dir`.
    #[must_use]
    pub fn new(dir: &Path, max_bytes: Option<u64>, keep_free: u64) -> Self {
        Self {
            dir: dir.to_path_buf(),
            max_bytes,
            keep_free,
            reserve: reserve(dir),
        }
    }

    /// What there is room for when the recording has `bytes`, and needs `ending`
    /// bytes more to end.
    #[must_use]
    pub fn level(&self, bytes: u64, ending: u64) -> Level {
        let by_size = self
            .max_bytes
            .map_or(Level::Enough, |max| size_level(bytes + ending, max));
        match (by_size, disk(&self.dir)) {
            (Level::Enough, Some(disk)) => disk_level(disk, self.keep_free, ending),
            (level, _) => level,
        }
    }

    /// Gives back what was kept back, for the end.
    pub fn release(&mut self) {
        if let Some(path) = self.reserve.take() {
            let _ = fs::remove_file(path);
        }
    }
}

fn size_level(bytes: u64, max: u64) -> Level {
    match bytes {
        bytes if bytes >= max => Level::Gone(Cause::Size),
        bytes if bytes >= max - max / 5 => Level::Scarce("size limit"),
        _ => Level::Enough,
    }
}

fn disk_level((free, total): (u64, u64), keep_free: u64, ending: u64) -> Level {
    let floor = keep_free.min(total / SHARE);
    match free {
        free if free < floor / 2 + ending.min(floor / 2) => Level::Gone(Cause::Disk),
        free if free < floor + ending => Level::Scarce("disk full"),
        _ => Level::Enough,
    }
}

/// Bytes that are free on the disk of `dir`, and that it has in all.
#[must_use]
pub fn disk(dir: &Path) -> Option<(u64, u64)> {
    let path = CString::new(dir.as_os_str().as_bytes()).ok()?;
    // SAFETY: all zeros are a valid `statvfs`.
    let mut found: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a path that ends with a NUL; `found` is valid for writes.
    let failed = unsafe { libc::statvfs(path.as_ptr(), &raw mut found) };
    (failed == 0).then(|| {
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        (bytes(found.f_bavail), bytes(found.f_blocks))
    })
}

/// A file that takes room without holding anything; `None` where the disk has
/// none to spare.
fn reserve(dir: &Path) -> Option<PathBuf> {
    let (free, _) = disk(dir)?;
    if free < RESERVE_BYTES * SHARE / 4 {
        return None;
    }
    let path = dir.join(".reserve.tmp");
    let _ = fs::remove_file(&path);
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .ok()?;
    // SAFETY: the descriptor is open for writing.
    let failed = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, RESERVE_BYTES as i64) };
    if failed != 0 {
        let _ = fs::remove_file(&path);
        return None;
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_stops_first_and_there_is_room_left_to_end() {
        const MB: u64 = 1 << 20;
        assert_eq!(size_level(70 * MB, 100 * MB), Level::Enough);
        assert_eq!(size_level(85 * MB, 100 * MB), Level::Scarce("size limit"));
        assert_eq!(size_level(100 * MB, 100 * MB), Level::Gone(Cause::Size));
        let level = |free| disk_level((free * MB, 10_000 * MB), 200 * MB, 10 * MB);
        assert_eq!(level(300), Level::Enough);
        assert_eq!(level(205), Level::Scarce("disk full"));
        assert_eq!(level(105), Level::Gone(Cause::Disk));
    }

    #[test]
    fn a_small_disk_is_used_too() {
        const KB: u64 = 1 << 10;
        let level = |free| disk_level((free * KB, 2048 * KB), 256 << 20, 0);
        assert_eq!(level(1024), Level::Enough);
        assert_eq!(level(90), Level::Scarce("disk full"));
        assert_eq!(level(40), Level::Gone(Cause::Disk));
    }

    #[test]
    fn what_is_kept_back_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut room = Room::new(dir.path(), None, 0);
        let held = || fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(held(), 1);
        room.release();
        assert_eq!(held(), 0);
    }
}
