//! The bounds that an input must keep, enforced by what cannot be reasoned with:
//! the allocator, the kernel's clock of this process, the kernel's rules for
//! writing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory that an input may make a reader take, in bytes. Commands are told to
/// do with a quarter.
pub(crate) const MAX_MEMORY: usize = 256 << 20;
/// Address space of the worker: what decoders in C take is not counted.
const MAX_ADDRESS_SPACE: u64 = 8 << 30;
/// CPU time that an input may take, in seconds, of unoptimized code.
pub(crate) const MAX_CPU_S: i64 = 20;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Hands out memory up to a bound. Beyond it there is none, which ends the
/// program, as it would on a small machine.
#[derive(Debug)]
pub(crate) struct Counted;

impl Counted {
    fn take(bytes: usize) -> bool {
        let before = TAKEN.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= MOST.load(Ordering::Relaxed);
        if !fits {
            TAKEN.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

// SAFETY: all memory is the system's; what is refused is not handed out.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !Self::take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !Self::take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !Self::take(size) {
            return std::ptr::null_mut();
        }
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

/// Bounds the next input: memory beyond what is taken now, and CPU time, after
/// which the kernel ends the program by SIGPROF.
pub(crate) fn begin() {
    let most = TAKEN.load(Ordering::Relaxed).saturating_add(MAX_MEMORY);
    MOST.store(most, Ordering::Relaxed);
    timer(MAX_CPU_S);
}

/// Lifts the bounds.
pub(crate) fn end() {
    timer(0);
    MOST.store(usize::MAX, Ordering::Relaxed);
}

fn timer(seconds: i64) {
    let none = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let value = libc::itimerval {
        it_interval: none,
        it_value: libc::timeval {
            tv_sec: seconds,
            tv_usec: 0,
        },
    };
    // SAFETY: the argument is complete, and no old value is asked for.
    unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const value, std::ptr::null_mut()) };
}

/// Bounds the address space of this process.
pub(crate) fn address_space() {
    let limit = libc::rlimit {
        rlim_cur: MAX_ADDRESS_SPACE,
        rlim_max: MAX_ADDRESS_SPACE,
    };
    // SAFETY: the argument is complete.
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
}

/// What Landlock is asked to watch: everything that changes a file system.
const WRITES: u64 = 0b1_1111_1111_0010;
const CREATE_RULESET: libc::c_long = 444;
const ADD_RULE: libc::c_long = 445;
const RESTRICT_SELF: libc::c_long = 446;
const RULE_PATH_BENEATH: libc::c_int = 1;

/// Lets this thread and all that it starts write nowhere but below `dir`, and
/// to `/dev/null`.
///
/// # Errors
/// If the kernel has no Landlock.
pub(crate) fn write_only_below(dir: &Path) -> io::Result<()> {
    let checked = |code: libc::c_long| match code {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(libc::c_int::try_from(value).unwrap_or(-1)),
    };
    let watched = WRITES;
    // SAFETY: the ruleset is one integer, and its size is given.
    let rules = checked(unsafe { libc::syscall(CREATE_RULESET, &raw const watched, 8, 0) })?;
    for (path, rights) in [(dir, WRITES), (Path::new("/dev/null"), 0b10)] {
        let name = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the name ends with NUL.
        let below = unsafe { libc::open(name.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
        let below = checked(below.into())?;
        // The kernel's structure is packed: rights, then the descriptor.
        let mut rule = [0_u8; 12];
        rule[..8].copy_from_slice(&rights.to_ne_bytes());
        rule[8..].copy_from_slice(&below.to_ne_bytes());
        // SAFETY: the rule is as the kernel lays it out.
        let added = unsafe { libc::syscall(ADD_RULE, rules, RULE_PATH_BENEATH, rule.as_ptr(), 0) };
        checked(added)?;
        // SAFETY: it was opened above and is not used again.
        unsafe { libc::close(below) };
    }
    // SAFETY: takes integers only.
    checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
    // SAFETY: takes integers only.
    checked(unsafe { libc::syscall(RESTRICT_SELF, rules, 0) })?;
    // SAFETY: it was opened above and is not used again.
    unsafe { libc::close(rules) };
    Ok(())
}
