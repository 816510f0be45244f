//! What a report's page is made of: columns of numbers, and strings by number.
//! `decode.js` is its reader; the two change together.
//!
//! Times are microseconds of wall-clock time after the begin of the first
//! recording, so that they stay exact in a double. `null` is not known.

use serde::Serialize;

/// All of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Document {
    pub(super) version: &'static str,
    /// Begin and end, microseconds since 1970.
    pub(super) range_us: (i64, i64),
    pub(super) recordings: Vec<Recording>,
    pub(super) complete: bool,
    /// What was lost, a line each.
    pub(super) completeness: Vec<u32>,
    /// What the recording has and this page has not, a line each.
    pub(super) left_out: Vec<u32>,
    pub(super) counts: Counts,
    pub(super) strings: Vec<String>,
    /// Each: how many arguments, then the strings of the first ones.
    pub(super) argvs: Vec<Vec<u32>>,
    pub(super) boots: Vec<Boot>,
    pub(super) process: Processes,
    pub(super) exec: Execs,
    pub(super) function: Functions,
    pub(super) path: Paths,
    pub(super) events: Vec<Event>,
    pub(super) sample: Samples,
    pub(super) series: Series,
    pub(super) losses: Vec<Loss>,
    /// Another recording that this one is compared with.
    pub(super) against: Option<Against>,
}

/// Facts of one recording.
#[derive(Debug, Serialize)]
pub(super) struct Recording {
    pub(super) name: u32,
    pub(super) host: u32,
    pub(super) os: u32,
    pub(super) machine: u32,
    pub(super) cpus: u32,
    pub(super) kernel: u32,
    pub(super) recorder_version: u32,
    pub(super) boot_id: u32,
    pub(super) range_us: (i64, i64),
    /// What whoever made the bundle had to say, by lines.
    pub(super) said: Vec<u32>,
    pub(super) notes: Vec<u32>,
}

/// Rows in the recordings.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) process: usize,
    pub(super) fork: u64,
    pub(super) exec: u64,
    pub(super) exit: u64,
    pub(super) sample: u64,
    pub(super) stack: u64,
}

/// A boot, and the first of its processes.
#[derive(Debug, Serialize)]
pub(super) struct Boot {
    pub(super) host: u32,
    pub(super) boot_id: u32,
    pub(super) first: usize,
}

/// Columns of processes, in pre-order.
#[derive(Debug, Default, Serialize)]
pub(super) struct Processes {
    /// How far above the parent is; 0 for a root.
    pub(super) up: Vec<u32>,
    pub(super) pid: Vec<i32>,
    /// Start, as the difference to that of the process before.
    pub(super) start_us: Vec<i64>,
    pub(super) dur_us: Vec<Option<i64>>,
    pub(super) comm: Vec<u32>,
    /// Name when it was forked.
    pub(super) born_as: Vec<Option<u32>>,
    pub(super) source: Vec<u32>,
    pub(super) exit_code: Vec<Option<i32>>,
    pub(super) exit_signal: Vec<Option<i32>>,
    pub(super) exe: Vec<Option<u32>>,
    pub(super) cmdline: Vec<Option<u32>>,
    pub(super) argv: Vec<Option<u32>>,
    pub(super) cwd: Vec<Option<u32>>,
    pub(super) uid: Vec<Option<i64>>,
    pub(super) cgroup: Vec<Option<u32>>,
    pub(super) cpu_us: Vec<Option<i64>>,
    pub(super) max_rss_bytes: Vec<Option<i64>>,
    /// Call path that forked it.
    pub(super) caller: Vec<Option<u32>>,
    /// Children that the page does not show.
    pub(super) left_out: Vec<u32>,
}

/// Columns of execs, by process and time.
#[derive(Debug, Default, Serialize)]
pub(super) struct Execs {
    pub(super) process: Vec<u32>,
    /// After the start of its process.
    pub(super) after_us: Vec<i64>,
    pub(super) comm: Vec<u32>,
    pub(super) cmdline: Vec<u32>,
    pub(super) argv: Vec<u32>,
    /// `null` if the argument vector is complete.
    pub(super) argv_state: Vec<Option<u32>>,
    pub(super) exe: Vec<Option<u32>>,
    pub(super) cwd: Vec<Option<u32>>,
    pub(super) errno: Vec<i32>,
    /// Call path that executed it.
    pub(super) caller: Vec<Option<u32>>,
}

/// Columns of functions.
#[derive(Debug, Default, Serialize)]
pub(super) struct Functions {
    pub(super) name: Vec<u32>,
    /// 0 of a program, 1 of the kernel, 2 a place without a name, 3 a mark.
    pub(super) kind: Vec<u8>,
}

/// Columns of call paths, merged from their root: parents come first.
#[derive(Debug, Default, Serialize)]
pub(super) struct Paths {
    /// How far above the caller is; 0 for a root.
    pub(super) up: Vec<u32>,
    pub(super) function: Vec<u32>,
}

/// A kind of stack event.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    pub(super) name: u32,
    /// What a weight counts: `ns`, `cycles` or `hits`.
    pub(super) unit: &'static str,
    /// Weight in the idle task, which no path shows.
    pub(super) idle: i64,
}

/// Columns of stack events, added up.
#[derive(Debug, Default, Serialize)]
pub(super) struct Samples {
    pub(super) event: Vec<u32>,
    /// Name of the thread; of the context where that is an interrupt.
    pub(super) comm: Vec<u32>,
    pub(super) process: Vec<Option<u32>>,
    /// Where the path ends; `null` without one.
    pub(super) path: Vec<Option<u32>>,
    pub(super) weight: Vec<i64>,
    pub(super) count: Vec<i64>,
}

/// What happened when, in steps of equal length.
#[derive(Debug, Default, Serialize)]
pub(super) struct Series {
    pub(super) step_us: i64,
    pub(super) exec: Vec<u32>,
    /// Weight, by event.
    pub(super) events: Vec<Vec<i64>>,
    /// CPU time by process: process, step as the difference to the row before
    /// of the same process, nanoseconds.
    pub(super) cpu_process: Vec<u32>,
    /// Steps in one of `cpu_step`.
    pub(super) cpu_width: u32,
    pub(super) cpu_step: Vec<u32>,
    pub(super) cpu_ns: Vec<i64>,
}

/// Events that were lost.
#[derive(Debug, Serialize)]
pub(super) struct Loss {
    pub(super) stream: u32,
    pub(super) cause: u32,
    pub(super) t0_us: i64,
    pub(super) t1_us: i64,
    pub(super) count: i64,
}

/// What is new, gone or changed since another recording.
#[derive(Debug, Serialize)]
pub(super) struct Against {
    pub(super) name: u32,
    /// What was lost there, and what could not be compared, a line each.
    pub(super) notes: Vec<u32>,
    pub(super) lists: Vec<Changes>,
}

/// Columns of the differences of one kind, the least likely by chance first.
#[derive(Debug, Default, Serialize)]
pub(super) struct Changes {
    pub(super) title: u32,
    /// `new`, `gone` or `changed`.
    pub(super) change: Vec<&'static str>,
    pub(super) name: Vec<u32>,
    /// What each recording has, as text …
    pub(super) before: Vec<u32>,
    pub(super) now: Vec<u32>,
    /// … how many times as much it is now …
    pub(super) times: Vec<Option<u32>>,
    /// … and both as numbers of one unit.
    pub(super) values: Vec<[f64; 2]>,
    /// Differences that the page does not show.
    pub(super) left_out: usize,
}
