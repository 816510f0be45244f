//! Opening perf events, to attach BPF programs to, and setting their period: the
//! edge to perf_event_open(2).

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use libbpf_sys as sys;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// `PERF_TYPE_*`.
    pub kind: u32,
    /// What of that type.
    pub config: u64,
    /// Occurrences between samples.
    pub period: u64,
}

impl Event {
    /// A tracepoint, by the number that tracefs gives it.
    #[must_use]
    pub fn tracepoint(id: u64) -> Self {
        Self {
            kind: sys::PERF_TYPE_TRACEPOINT,
            config: id,
            period: 1,
        }
    }

    /// Opens it on a CPU, for all processes.
    ///
    /// # Errors
    /// If the kernel has no such event or refuses.
    pub fn open(&self, cpu: u32) -> io::Result<OwnedFd> {
        let mut attr = sys::perf_event_attr {
            type_: self.kind,
            size: size_of::<sys::perf_event_attr>() as u32,
            config: self.config,
            ..Default::default()
        };
        attr.__bindgen_anon_1.sample_period = self.period;
        attr.set_use_clockid(1);
        attr.clockid = libc::CLOCK_MONOTONIC;
        // SAFETY: the attribute points to nothing.
        unsafe { open(&attr, cpu) }
    }
}

/// Sets how many occurrences lie between samples; what was counted since the last
/// one is dropped.
///
/// # Errors
/// What the kernel says.
pub fn set_period(event: &OwnedFd, period: u64) -> io::Result<()> {
    /// `PERF_EVENT_IOC_PERIOD`, `_IOW('$', 4, __u64)`.
    const SET_PERIOD: libc::c_ulong = 0x4008_2404;
    // SAFETY: a descriptor that is open; the kernel reads the number.
    match unsafe { libc::ioctl(event.as_raw_fd(), SET_PERIOD, &raw const period) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Opens an event of all processes on a CPU (perf_event_open(2)).
///
/// # Errors
/// What the kernel says.
///
/// # Safety
/// What the attribute points to is there.
pub unsafe fn open(attr: &sys::perf_event_attr, cpu: u32) -> io::Result<OwnedFd> {
    let (pid, group, flags) = (-1, -1, sys::PERF_FLAG_FD_CLOEXEC);
    // SAFETY: an attribute of the size that it states; the rest is promised.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, attr, pid, cpu, group, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the kernel has just given belongs to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
