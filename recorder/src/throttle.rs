//! How long the kernel has kept a counter from sampling, since its samples took
//! too much of the time: what it tells of that on the counter's own buffer.
//!
//! Nothing else is written there: samples are taken by a BPF program.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use libbpf_sys as sys;

const PAGE: usize = 4096;
/// Pages for records: two of them a tick and counter, and the buffer is read once
/// a second.
const PAGES: usize = 16;
const BYTES: usize = PAGE * PAGES;

/// The buffer of one counter.
#[derive(Debug)]
pub struct Throttle {
    /// A page that says how far it is written and read, then the records.
    at: NonNull<u8>,
    /// Since when the counter has been kept from sampling, CLOCK_MONOTONIC.
    since_ns: Option<u64>,
}

impl Throttle {
    /// Maps the buffer of a counter, whose records have times of CLOCK_MONOTONIC.
    ///
    /// # Errors
    /// What the kernel says, such as that too much is locked in memory.
    pub fn of(counter: BorrowedFd<'_>) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let (bytes, fd) = (PAGE + BYTES, counter.as_raw_fd());
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let at =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_SHARED, fd, 0) };
        match NonNull::new(at.cast()) {
            Some(at) if at.as_ptr() != libc::MAP_FAILED.cast() => Ok(Self { at, since_ns: None }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Nanoseconds up to now in which the counter has not sampled, since this was
    /// last asked.
    pub fn take(&mut self, now_ns: u64) -> u64 {
        let records = self.records();
        let mut kept_ns = 0;
        for (kind, at_ns) in records {
            match kind {
                sys::PERF_RECORD_THROTTLE => self.since_ns = self.since_ns.or(Some(at_ns)),
                sys::PERF_RECORD_UNTHROTTLE => {
                    let since_ns = self.since_ns.take();
                    kept_ns += since_ns.map_or(0, |since| at_ns.saturating_sub(since));
                }
                _ => {}
            }
        }
        if let Some(since_ns) = &mut self.since_ns {
            kept_ns += now_ns.saturating_sub(*since_ns);
            *since_ns = now_ns.max(*since_ns);
        }
        kept_ns
    }

    /// What was written since: kind and time of each record.
    fn records(&mut self) -> Vec<(u32, u64)> {
        let page = self.at.as_ptr().cast::<sys::perf_event_mmap_page>();
        // SAFETY: the first page is mapped; the kernel writes `data_head` only as a
        // whole, and `data_tail` is ours.
        let (head, tail) = unsafe {
            (
                AtomicU64::from_ptr(&raw mut (*page).data_head),
                AtomicU64::from_ptr(&raw mut (*page).data_tail),
            )
        };
        let (end, begin) = (head.load(Ordering::Acquire), tail.load(Ordering::Relaxed));
        let written = end.wrapping_sub(begin).min(BYTES as u64) as usize;
        let mut bytes = vec![0; written];
        for (i, byte) in bytes.iter_mut().enumerate() {
            let place = PAGE + (begin as usize + i) % BYTES;
            // SAFETY: within what is mapped, and the kernel does not touch it until
            // it is said to be read.
            *byte = unsafe { self.at.as_ptr().add(place).read() };
        }
        tail.store(end, Ordering::Release);
        parse(&bytes)
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        // SAFETY: what was mapped, and nothing refers to it any more.
        unsafe { libc::munmap(self.at.as_ptr().cast(), PAGE + BYTES) };
    }
}

/// Kind and first field, which is the time where it matters here, of each record
/// (perf_event_open(2)).
fn parse(mut bytes: &[u8]) -> Vec<(u32, u64)> {
    let mut records = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
        let size = usize::from(u16::from_ne_bytes([header[6], header[7]]));
        let [a, b, c, d, ..] = *header;
        if let Some(time) = rest.first_chunk::<8>() {
            records.push((u32::from_ne_bytes([a, b, c, d]), u64::from_ne_bytes(*time)));
        }
        match bytes.split_at_checked(size) {
            Some((record, rest)) if record.len() >= 8 => bytes = rest,
            _ => break,
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_up_to_one_that_is_cut_off() {
        let mut bytes = Vec::new();
        for (kind, time) in [
            (sys::PERF_RECORD_THROTTLE, 5u64),
            (sys::PERF_RECORD_UNTHROTTLE, 9),
        ] {
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0, 0, 32, 0]);
            bytes.extend(time.to_ne_bytes());
            bytes.extend([0; 16]);
        }
        let both = [
            (sys::PERF_RECORD_THROTTLE, 5),
            (sys::PERF_RECORD_UNTHROTTLE, 9),
        ];
        assert_eq!(parse(&bytes), both);
        for end in 0..bytes.len() {
            assert!(parse(&bytes[..end]).len() <= 2);
        }
        assert_eq!(parse(&[0; 64]).len(), 1);
    }
}
