//! What a recorder takes while it runs, seen from outside: its memory and its
//! descriptors, as the kernel tells of them.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Memory that it has made for itself, in bytes, without the rings.
    pub own_bytes: u64,
    /// Descriptors that are open.
    pub files: usize,
}

/// Reads again and again until it is asked for the result.
pub(super) struct Watch {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Reading>>,
}

impl Watch {
    /// Looks at a process this often.
    pub(super) fn start(pid: u32, every: Duration) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            let mut readings = Vec::new();
            while !asked.load(Ordering::Relaxed) {
                readings.extend(read(pid));
                std::thread::sleep(every);
            }
            readings
        });
        Self { done, thread }
    }

    /// All readings, in their order.
    pub(super) fn stop(self) -> Vec<Reading> {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// `None` once it has gone.
fn read(pid: u32) -> Option<Reading> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kb = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(Reading {
        own_bytes: (kb("RssAnon:")? + kb("RssShmem:")?) << 10,
        files: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count(),
    })
}

/// Most of what the readings show, in bytes.
pub(super) fn most_bytes(readings: &[Reading]) -> u64 {
    readings.iter().map(|r| r.own_bytes).max().unwrap_or(0)
}
