//! Which events of a recording are chosen.

use std::collections::HashSet;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use regex::Regex;
use whence_schemas::exec;
use whence_schemas::read::Batches;

use crate::forest::Forest;
use crate::recording::Recording;
use crate::render::text;
use crate::{Error, Result};

/// What a user asks for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Nothing before, nanoseconds of CLOCK_BOOTTIME.
    pub since_ns: Option<i64>,
    /// Nothing after.
    pub until_ns: Option<i64>,
    /// Only processes that had this pid, and what descends from them.
    pub pid: Option<i32>,
    /// Only processes whose name or command line matches, likewise.
    pub pattern: Option<Regex>,
}

/// The events that are chosen.
#[derive(Clone, Debug)]
pub struct Selection {
    /// First time, nanoseconds of CLOCK_BOOTTIME.
    pub since_ns: i64,
    /// Last time.
    pub until_ns: i64,
    /// Processes whose events are chosen; all if `None`.
    pub chosen: Option<HashSet<i64>>,
    /// What is left out thereby, a sentence each.
    pub left_out: Vec<String>,
}

impl Selection {
    /// What `wanted` means in a recording.
    ///
    /// # Errors
    /// [`Error::Nothing`] if no process matches or the times are outside.
    pub fn of(wanted: &Wanted, recording: &Recording, forest: &Forest) -> Result<Self> {
        let (start, end) = recording.range_ns();
        // What was there a moment before the first reading of the clocks counts.
        let since_ns = wanted.since_ns.unwrap_or(i64::MIN);
        let until_ns = wanted.until_ns.unwrap_or(i64::MAX);
        let wall = |ns: i64| text::time(recording.manifest.clock.wall_us(ns));
        if since_ns > end || until_ns < start || since_ns > until_ns {
            return Err(Error::Nothing(format!(
                "nothing was recorded then; recorded: {} to {} UTC",
                wall(start),
                wall(end)
            )));
        }
        let mut left_out = Vec::new();
        if since_ns > start {
            left_out.push(format!("events before {} UTC", wall(since_ns)));
        }
        if until_ns < end {
            left_out.push(format!("events after {} UTC", wall(until_ns)));
        }
        let chosen = chosen(wanted, recording, forest)?;
        if chosen.is_some() {
            let which = match (wanted.pid, &wanted.pattern) {
                (Some(pid), Some(pattern)) => format!("pid {pid} and what matches {pattern}"),
                (Some(pid), None) => format!("pid {pid}"),
                (_, pattern) => format!(
                    "what matches {}",
                    pattern.as_ref().map_or("", Regex::as_str)
                ),
            };
            left_out.push(format!(
                "events of other processes than {which} and their descendants"
            ));
        }
        Ok(Self {
            since_ns,
            until_ns,
            chosen,
            left_out,
        })
    }

    /// Whether a time is chosen.
    #[must_use]
    pub fn has_time(&self, ts_ns: i64) -> bool {
        (self.since_ns..=self.until_ns).contains(&ts_ns)
    }

    /// Whether the events of a process are chosen.
    #[must_use]
    pub fn has_process(&self, upid: Option<i64>) -> bool {
        match &self.chosen {
            None => true,
            Some(chosen) => upid.is_some_and(|upid| chosen.contains(&upid)),
        }
    }
}

/// The processes that are asked for, with their descendants.
fn chosen(wanted: &Wanted, recording: &Recording, forest: &Forest) -> Result<Option<HashSet<i64>>> {
    if wanted.pid.is_none() && wanted.pattern.is_none() {
        return Ok(None);
    }
    let matches = |text: &str| wanted.pattern.as_ref().is_some_and(|p| p.is_match(text));
    let mut found: HashSet<u32> = forest
        .nodes()
        .filter(|node| {
            wanted.pid == Some(forest.pid(*node))
                || matches(forest.comm(*node))
                || forest.cmdline(*node).is_some_and(matches)
        })
        .collect();
    if wanted.pattern.is_some() {
        found.extend(
            ran(recording, matches)?
                .into_iter()
                .filter_map(|upid| forest.node_of(upid)),
        );
    }
    if found.is_empty() {
        return Err(Error::Nothing(match (wanted.pid, &wanted.pattern) {
            (Some(pid), None) => format!("no process with pid {pid} is in the recording"),
            (_, pattern) => format!(
                "no process matches {:?}",
                pattern.as_ref().map_or("", Regex::as_str)
            ),
        }));
    }
    let subtrees = found.iter().flat_map(|node| forest.subtree(*node));
    Ok(Some(subtrees.map(|node| forest.upid(*node)).collect()))
}

/// Processes that ran a program once whose name or command line matches.
fn ran(recording: &Recording, matches: impl Fn(&str) -> bool) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    for segment in recording.segments_of(&exec::DEF) {
        let batches = Batches::open(&segment.file.path, &exec::DEF, &["upid", "comm", "cmdline"])?;
        // What is damaged is told when it is copied.
        for batch in batches.map_while(std::result::Result::ok) {
            let upid = batch.column(0).as_primitive::<Int64Type>();
            let (comm, cmdline) = (
                batch.column(1).as_string::<i32>(),
                batch.column(2).as_string::<i32>(),
            );
            let rows = (0..batch.num_rows()).filter(|row| {
                let of = |column: &arrow::array::StringArray| {
                    column.is_valid(*row) && matches(column.value(*row))
                };
                of(comm) || of(cmdline)
            });
            found.extend(rows.map(|row| upid.value(row)));
        }
    }
    Ok(found)
}

/// The first time at which something happened: the hit of a stack event of that
/// name, or else the start of a program whose command line matches.
///
/// # Errors
/// [`Error::Nothing`] if neither did, [`Error::Usage`] if it is no regular
/// expression.
pub fn first(event: &str, recording: &Recording) -> Result<i64> {
    if let Some(ts_ns) = first_row(recording, &whence_schemas::sample::DEF, "event", |name| {
        name == event || name.rsplit(':').next() == Some(event)
    })? {
        return Ok(ts_ns);
    }
    let pattern = Regex::new(event)
        .map_err(|e| Error::Usage(format!("{event:?} is no regular expression: {e}")))?;
    first_row(recording, &exec::DEF, "cmdline", |line| {
        pattern.is_match(line)
    })?
    .ok_or_else(|| {
        Error::Nothing(format!(
            "{event:?} is no time, no recorded event, and no command line matches it"
        ))
    })
}

/// The least time of the rows whose text is asked for.
fn first_row(
    recording: &Recording,
    def: &'static whence_schemas::TableDef,
    column: &str,
    asked: impl Fn(&str) -> bool,
) -> Result<Option<i64>> {
    let mut first: Option<i64> = None;
    for segment in recording.segments_of(def) {
        let batches = Batches::open(&segment.file.path, def, &["ts_ns", column])?;
        for batch in batches.map_while(std::result::Result::ok) {
            let times = batch.column(0).as_primitive::<Int64Type>();
            let texts = batch.column(1).as_string::<i32>();
            let rows = 0..batch.num_rows();
            let found = rows.filter(|row| texts.is_valid(*row) && asked(texts.value(*row)));
            let least = found.map(|row| times.value(row)).min();
            first = first.into_iter().chain(least).min();
        }
    }
    Ok(first)
}
