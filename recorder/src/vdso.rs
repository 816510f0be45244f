//! The code that the kernel maps into every process, as a file.
//!
//! It has no file of its own, but it is an ELF image, the same in all processes
//! of the machine's native kind; so this program's own copy stands for all.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::FromRawFd as _;

/// Its name in `/proc/PID/maps`.
pub const NAME: &str = "[vdso]";

/// A file without a name that holds a copy of it.
#[must_use]
pub fn file() -> Option<File> {
    const FILE_NAME: &CStr = c"whence-vdso";
    let bytes = bytes()?;
    // SAFETY: memfd_create(2) with a NUL-terminated name.
    let fd = unsafe { libc::memfd_create(FILE_NAME.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return None;
    }
    // SAFETY: a descriptor that the kernel has just given belongs to us alone.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(bytes).ok()?;
    Some(file)
}

fn bytes() -> Option<&'static [u8]> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with(NAME))?;
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let at = std::ptr::with_exposed_provenance::<u8>(start);
    // SAFETY: the kernel maps this range readable for as long as the program
    // lives, and never changes what it holds.
    Some(unsafe { std::slice::from_raw_parts(at, end.checked_sub(start)?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unwind::Tables;

    #[test]
    fn it_is_an_image_with_unwind_tables() {
        let Some(file) = file() else {
            eprintln!("skipped: this machine maps no vdso");
            return;
        };
        assert!(Tables::read(&file).is_some());
    }
}
