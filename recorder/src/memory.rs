//! The bound on the recorder's memory: what it has, and how the allocator is kept
//! from holding more than that.

use std::fs;

/// Beyond this share of the bound, what can be found again is forgotten.
const HIGH: u64 = 85;
/// Below this share, the bulky streams are let through again.
const LOW: u64 = 65;

/// How much memory is in use, against the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Far from the bound.
    Low,
    /// Neither.
    Middle,
    /// Near the bound.
    High,
}

/// Where `bytes` stand against the bound.
#[must_use]
pub fn level(bytes: u64, max_bytes: u64) -> Level {
    match bytes.saturating_mul(100) / max_bytes.max(1) {
        HIGH.. => Level::High,
        LOW.. => Level::Middle,
        _ => Level::Low,
    }
}

/// Resident memory of this program in bytes: with that of its files, and with the
/// rings, twice, since they are mapped twice.
#[must_use]
pub fn resident_bytes() -> u64 {
    statm_bytes(1)
}

/// Memory that this program has made for itself, in bytes: what is resident
/// without pages of files, which the system takes back when it needs them, and
/// among which it counts the rings. It shares none with others.
#[must_use]
pub fn own_bytes() -> u64 {
    resident_bytes().saturating_sub(statm_bytes(2))
}

/// A field of `/proc/self/statm` (proc_pid_statm(5)), from pages into bytes.
fn statm_bytes(field: usize) -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(field);
    pages.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * page_bytes()
}

/// Size of a page.
#[must_use]
pub fn page_bytes() -> u64 {
    // SAFETY: asks for a constant.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    bytes.unsigned_abs()
}

/// Keeps the allocator from holding what was freed: a burst must not leave the
/// recorder large. To be called while there is a single thread.
pub fn tame_allocator() {
    const LARGE: i32 = 512 * 1024;
    // SAFETY: sets numbers of the allocator.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
    }
}

/// Gives back to the system what was freed.
pub fn trim() {
    // SAFETY: touches only what is free.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_high_and_low_nothing_changes() {
        assert_eq!(level(90, 100), Level::High);
        assert_eq!(level(70, 100), Level::Middle);
        assert_eq!(level(10, 100), Level::Low);
    }

    #[test]
    fn a_program_knows_its_size() {
        let before = own_bytes();
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(own_bytes() >= before + (48 << 20));
        drop(block);
    }

    /// A mapped file is the system's memory: under a large program there would be
    /// no room left for what it records.
    #[test]
    fn pages_of_files_are_not_its_own() {
        assert!(own_bytes() < resident_bytes());
        let text = fs::read_to_string("/proc/self/status").unwrap();
        let line = text.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
        let kb: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(own_bytes().abs_diff(kb << 10) < 16 << 20, "{line}");
    }
}
