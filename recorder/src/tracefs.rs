//! The tracepoints of the running kernel, from a private tracefs: it is opened
//! without being mounted anywhere, so that nothing of the host changes.

use std::collections::HashSet;
use std::ffi::CStr;
use std::fs;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// An open tracefs.
#[derive(Debug)]
pub struct Tracefs(OwnedFd);

impl Tracefs {
    /// Opens it; `None` where the kernel or missing privileges forbid it.
    #[must_use]
    pub fn open() -> Option<Self> {
        const FSCONFIG_CMD_CREATE: libc::c_long = 6;
        const NAME: &CStr = c"tracefs";
        // SAFETY: fsopen(2) with a NUL-terminated name.
        let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, NAME.as_ptr(), 1) })?;
        let null = std::ptr::null::<libc::c_void>();
        let fd = context.as_raw_fd();
        // SAFETY: fsconfig(2), whose command takes neither key nor value.
        let created =
            unsafe { libc::syscall(libc::SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, null, null, 0) };
        if created != 0 {
            return None;
        }
        // SAFETY: fsmount(2) on a valid context.
        let mount = owned(unsafe { libc::syscall(libc::SYS_fsmount, fd, 1, 0) })?;
        Some(Self(mount))
    }

    /// The number of a tracepoint.
    #[must_use]
    pub fn id(&self, category: &str, name: &str) -> Option<u64> {
        let fd = self.0.as_raw_fd();
        let path = format!("/proc/self/fd/{fd}/events/{category}/{name}/id");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    }

    /// The functions that the kernel lets be traced; none if it does not tell.
    #[must_use]
    pub fn functions(&self) -> HashSet<String> {
        let fd = self.0.as_raw_fd();
        let path = format!("/proc/self/fd/{fd}/available_filter_functions");
        let text = fs::read_to_string(path).unwrap_or_default();
        let names = text.lines().filter_map(|line| line.split(' ').next());
        names.map(str::to_owned).collect()
    }

    /// All tracepoints as `category:name`.
    #[must_use]
    pub fn tracepoints(&self) -> Vec<String> {
        let events = format!("/proc/self/fd/{}/events", self.0.as_raw_fd());
        let mut names = Vec::new();
        for category in folders(&events) {
            for name in folders(&format!("{events}/{category}")) {
                names.push(format!("{category}:{name}"));
            }
        }
        names.sort();
        names
    }
}

fn folders(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .filter_map(|e| e.file_name().into_string().ok())
        .collect()
}

fn owned(fd: libc::c_long) -> Option<OwnedFd> {
    // SAFETY: a descriptor that the kernel has just given belongs to us alone.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
