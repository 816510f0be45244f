//! CPU time that is spent in known shares.

use std::time::Duration;

/// Spins until it has used that much CPU time, however busy the machine is.
pub(crate) fn spin(time: Duration) {
    let begin = cpu_time();
    while cpu_time() - begin < time {
        std::hint::spin_loop();
    }
}

fn cpu_time() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// Spends `ms` milliseconds: half, three tenths and a fifth in three functions.
pub(crate) fn burn(ms: usize) {
    // In small turns, so that a disturbance hits all alike.
    for _ in 0..ms / 10 {
        whence_half();
        whence_three_tenths();
        whence_fifth();
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn whence_half() {
    spin(Duration::from_micros(5_000));
    std::hint::black_box(());
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn whence_three_tenths() {
    spin(Duration::from_micros(3_000));
    std::hint::black_box(());
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn whence_fifth() {
    spin(Duration::from_micros(2_000));
    std::hint::black_box(());
}
