//! What the recorder says while it records and at its end, on stderr.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use whence_schemas::manifest::Manifest;

/// Says how far the recording is, on a terminal only.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    written: bool,
}

impl Progress {
    /// Shown if stderr is a terminal and nothing else is printed there.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self {
            shown: !quiet && std::io::stderr().is_terminal(),
            written: false,
        }
    }

    /// Replaces the line.
    pub fn show(&mut self, seconds: i64, events: &BTreeMap<&'static str, u64>, lost: u64) {
        if !self.shown {
            return;
        }
        let mut line = format!("recording {seconds} s");
        for stream in ["exec", "fork", "exit", "sample", "probe"] {
            if let Some(count) = events.get(stream).filter(|c| **c > 0) {
                let _ = write!(line, ", {count} {stream}");
            }
        }
        let _ = write!(line, ", {lost} lost  (ctrl-c ends it)");
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        self.written = true;
    }

    /// Removes the line.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.written) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Rows, bytes and losses by table, and what recording has cost.
#[must_use]
pub fn summary(dir: &str, manifest: &Manifest, cpu_ns: i64, peak_rss_bytes: u64) -> String {
    let mut tables: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for segment in &manifest.segments {
        let sum = tables.entry(&segment.table).or_default();
        sum.0 += segment.rows;
        sum.1 += segment.bytes;
    }
    let bytes: u64 = tables.values().map(|t| t.1).sum();
    let mut text = format!("{dir}: {} in {} tables\n", size(bytes), tables.len());
    for (table, (rows, bytes)) in &tables {
        if *rows > 0 {
            let _ = writeln!(text, "  {table:<9} {rows:>9} rows {:>9}", size(*bytes));
        }
    }
    let lost: Vec<String> = manifest
        .lost
        .iter()
        .map(|(stream, count)| format!("{count} {stream}"))
        .collect();
    let _ = match lost.is_empty() {
        true => writeln!(text, "  nothing was lost"),
        false => writeln!(text, "  LOST: {}", lost.join(", ")),
    };
    if let Some(redaction) = manifest.redaction.as_ref().filter(|r| r.replaced > 0) {
        let _ = writeln!(
            text,
            "  {} secrets in {} places were replaced",
            redaction.secrets, redaction.replaced
        );
    }
    for note in &manifest.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    let _ = write!(
        text,
        "  the recorder used {:.2} s of CPU and {} of memory",
        cpu_ns as f64 / 1e9,
        size(peak_rss_bytes)
    );
    text
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// Most memory that this program has had resident, in bytes.
#[must_use]
pub fn peak_rss_bytes() -> u64 {
    // SAFETY: all zeros are a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for writes.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    usage.ru_maxrss.unsigned_abs() * 1024
}
