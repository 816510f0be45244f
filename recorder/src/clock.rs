//! The clocks of this host.

use whence_schemas::manifest::Clock;

/// Reads all clocks as close together as can be.
#[must_use]
pub fn read() -> Clock {
    Clock {
        boot_ns: now(libc::CLOCK_BOOTTIME),
        mono_ns: now(libc::CLOCK_MONOTONIC),
        real_ns: now(libc::CLOCK_REALTIME),
    }
}

/// CLOCK_BOOTTIME in nanoseconds, the time of all events.
#[must_use]
pub fn boot_ns() -> i64 {
    now(libc::CLOCK_BOOTTIME)
}

/// CPU time that this program has used, in nanoseconds.
#[must_use]
pub fn cpu_ns() -> i64 {
    now(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn now(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writes; the clocks asked for always exist, so
    // that the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
