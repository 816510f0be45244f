//! CPU time that is spent in known shares.

use std::time::Duration;

/// Spins until it has used that much CPU time, however busy the machine is.
pub(crate) fn spin(time: Duration) {
    until(time, std::hint::spin_loop);
}

/// Does something until that much CPU time is used.
pub(crate) fn until(time: Duration, mut work: impl FnMut()) {
    let begin = cpu_time();
    while cpu_time() - begin < time {
        work();
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

/// Runs processes one after the other that live some five milliseconds.
pub(crate) fn brief(count: usize) {
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    for _ in 0..count {
        let child = std::process::Command::new(&program)
            .args(["spin", "5"])
            .status();
        assert!(child.is_ok_and(|status| status.success()), "no child");
    }
}

/// Spends `ms` milliseconds: half, three tenths and a fifth in three functions.
pub(crate) fn burn(ms: usize) {
    // In small turns, so that a disturbance hits all alike; of uneven length, or
    // a sampler in step with them would always find the same function.
    let mut random: u32 = 1;
    for _ in 0..ms / 10 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let tenth_us = 500 + u64::from(random >> 16) % 1_000;
        whence_half(5 * tenth_us);
        whence_three_tenths(3 * tenth_us);
        whence_fifth(2 * tenth_us);
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn whence_half(us: u64) {
    spin(Duration::from_micros(us));
    std::hint::black_box(());
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn whence_three_tenths(us: u64) {
    spin(Duration::from_micros(us));
    std::hint::black_box(());
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn whence_fifth(us: u64) {
    spin(Duration::from_micros(us));
    std::hint::black_box(());
}
