//! `whence tree`: the process tree, or the parts of it that matter.

mod draw;

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};

use super::{Answer, negative, open, regex};
use crate::cli::Tree;
use crate::forest::{Column, Forest};
use crate::recording::{Boot, Recording, Recordings};
use crate::render::text;
use crate::time::instant;
use crate::{Error, Result};

/// Which nodes of a forest are shown, and which of them were asked for.
struct Part {
    shown: Vec<u32>,
    /// In pre-order.
    matched: Vec<u32>,
    /// Whether anything in particular was asked for.
    is_filtered: bool,
    /// Whether the time that was asked for was not recorded.
    is_outside: bool,
}

/// Writes the tree of each boot.
///
/// # Errors
/// [`Error::Usage`] for a bad pattern or time, [`Error::Nothing`] where no
/// process matches.
pub fn run(args: &Tree) -> Result<()> {
    let recordings = open(&args.source)?;
    let used = Column::ALL.into_iter().filter(|c| *c != Column::Exe);
    let (first, later): (Vec<Column>, Vec<Column>) = used.partition(|c| is_first(args, *c));
    let mut forests = Forest::load_all_in_parts(&recordings, &first, &later)?;
    let parts = forests
        .iter_mut()
        .map(|forest| {
            let part = part(args, &recordings, forest)?;
            forest.fetch(&later, &part.shown)?;
            Ok(part)
        })
        .collect::<Result<Vec<_>>>()?;
    if parts.iter().all(|part| part.is_outside) {
        return Err(negative(&recordings, outside(&recordings)));
    }
    let is_filtered = parts.iter().any(|part| part.is_filtered);
    if is_filtered && parts.iter().all(|part| part.matched.is_empty()) {
        return Err(negative(&recordings, nothing(args, &recordings)));
    }
    let mut answer = Answer::begin(args.output.format, &recordings)?;
    if !args.output.format.is_human() {
        let rows: Vec<RecordBatch> = forests
            .iter()
            .zip(&parts)
            .map(|(forest, part)| rows(forest, part))
            .collect::<Result<_>>()?;
        if let Some(first) = rows.first() {
            answer.rows(&first.schema(), &rows)?;
        }
        return answer.finish();
    }
    for (forest, part) in forests.iter().zip(&parts) {
        if forests.len() > 1 {
            answer.title(&format!(
                "{}, boot {}",
                forest.boot.host, forest.boot.boot_id
            ))?;
        }
        if forest.cycles > 0 {
            let line = format!("{} parent links in a circle were cut", forest.cycles);
            answer.line(&line)?;
        }
        let screen = answer.screen;
        let matched = part.is_filtered.then_some(&part.matched[..]);
        draw::Drawing::new(forest, &part.shown, matched, (args.all, args.wide), screen)
            .each(|line| answer.line(&line))?;
    }
    answer.finish()
}

/// Whether a column is read of all processes, to choose those that are shown.
fn is_first(args: &Tree, column: Column) -> bool {
    match (&args.pattern, args.pid, &args.at) {
        // What was alive is little less than all.
        (_, _, Some(_)) | (None, None, None) => true,
        (_, Some(_), None) => column == Column::Pid,
        (Some(_), None, None) => matches!(column, Column::Comm | Column::Cmdline),
    }
}

/// A time that no recording covers.
fn outside(recordings: &Recordings) -> Error {
    Error::Nothing(format!(
        "nothing was recorded then; {}",
        covered(recordings)
    ))
}

/// From when to when was recorded.
fn covered(recordings: &Recordings) -> String {
    let range = |recording: &Recording| {
        let (start, end) = recording.range_ns();
        let wall = |ns| recording.manifest.clock.wall_us(ns);
        let to = text::time_near(wall(end), wall(start));
        format!("{} to {to} UTC", text::time(wall(start)))
    };
    let ranges: Vec<String> = recordings.all.iter().map(range).collect();
    format!("recorded: {}", ranges.join(", "))
}

/// Whether a recording of the boot covers a time. Times that a person gives are
/// whole seconds.
fn covers(recordings: &Recordings, boot: &Boot, at_ns: i64) -> bool {
    const SECOND: i64 = 1_000_000_000;
    boot.recordings.iter().any(|at| {
        let recording = &recordings.all[*at];
        let (start, end) = recording.range_ns();
        // The last event of a recording that was cut off may not be listed yet.
        let end = if recording.cut_off() { i64::MAX } else { end };
        (start.saturating_sub(SECOND)..=end.saturating_add(SECOND)).contains(&at_ns)
    })
}

fn nothing(args: &Tree, recordings: &Recordings) -> Error {
    let what = match (args.pid, &args.pattern) {
        (Some(pid), _) => format!("no process with pid {pid} is in the recording"),
        (_, Some(pattern)) => format!("no process matches {pattern:?}"),
        _ => "no process was alive".into(),
    };
    if args.at.is_some() {
        return Error::Nothing(format!("{what} at that time; {}", covered(recordings)));
    }
    Error::Nothing(format!("{what}; `whence tree` without options shows all"))
}

/// What of a forest is asked for: matches, their ancestors and descendants, of
/// those that were alive.
fn part(args: &Tree, recordings: &Recordings, forest: &Forest) -> Result<Part> {
    let at_ns = match &args.at {
        Some(text) => Some(instant(text, recordings, &forest.boot)?),
        None => None,
    };
    let alive = |node: u32| {
        at_ns.is_none_or(|at| {
            forest.start_ns(node) <= at && forest.end_ns(node).is_none_or(|end| end >= at)
        })
    };
    let is_outside = at_ns.is_some_and(|at| !covers(recordings, &forest.boot, at));
    let selective = args.pattern.is_some() || args.pid.is_some();
    let is_filtered = selective || at_ns.is_some();
    if !is_filtered {
        return Ok(Part {
            shown: forest.order().to_vec(),
            matched: Vec::new(),
            is_filtered,
            is_outside,
        });
    }
    let mut matched = asked(args, forest)?;
    matched.retain(|node| alive(*node));
    let mut shown = vec![false; forest.len()];
    for node in &matched {
        shown[*node as usize] = true;
        let mut at = forest.parent(*node);
        while let Some(above) = at {
            if std::mem::replace(&mut shown[above as usize], true) {
                break;
            }
            at = forest.parent(above);
        }
    }
    // Pre-order: below a match that is done all is done.
    let mut done = 0;
    for node in matched.iter().filter(|_| selective) {
        for below in forest.subtree(*node).iter().filter(|n| **n >= done) {
            shown[*below as usize] |= alive(*below);
        }
        done = done.max(node + forest.subtree(*node).len() as u32);
    }
    let shown = forest
        .nodes()
        .filter(|node| shown[*node as usize])
        .collect();
    Ok(Part {
        shown,
        matched,
        is_filtered,
        is_outside,
    })
}

/// The nodes that are asked for, whenever they were alive, in pre-order.
fn asked(args: &Tree, forest: &Forest) -> Result<Vec<u32>> {
    if let Some(pid) = args.pid {
        return Ok(forest.nodes_of_pid(pid).collect());
    }
    let Some(pattern) = &args.pattern else {
        return Ok(forest.nodes().collect());
    };
    let pattern = regex(pattern)?;
    let mut nodes = forest.matching(Column::Comm, |comm| pattern.is_match(comm))?;
    // An empty command line is one that is not known.
    let is_match = |line: &str| !line.is_empty() && pattern.is_match(line);
    nodes.extend(forest.matching(Column::Cmdline, is_match)?);
    nodes.sort_unstable();
    nodes.dedup();
    Ok(nodes)
}

/// One row for each process that is shown, in pre-order.
fn rows(forest: &Forest, part: &Part) -> Result<RecordBatch> {
    let nodes = || part.shown.iter().copied();
    let clock = forest.boot.clock;
    let constant = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(vec![text; part.shown.len()]))
    };
    let time = |of: &dyn Fn(u32) -> Option<i64>| -> ArrayRef {
        let times = nodes().map(|node| of(node).map(|ns| clock.wall_us(ns)));
        Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC"))
    };
    let int = |of: &dyn Fn(u32) -> Option<i64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter(nodes().map(of)))
    };
    let int32 = |of: &dyn Fn(u32) -> Option<i32>| -> ArrayRef {
        Arc::new(Int32Array::from_iter(nodes().map(of)))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("host", constant(&forest.boot.host)),
        ("boot_id", constant(&forest.boot.boot_id)),
        ("depth", int32(&|n| i32::try_from(forest.depth(n)).ok())),
        ("upid", int(&|n| Some(forest.upid(n)))),
        (
            "parent_upid",
            int(&|n| forest.parent(n).map(|p| forest.upid(p))),
        ),
        ("pid", int32(&|n| Some(forest.pid(n)))),
        (
            "comm",
            Arc::new(StringArray::from_iter_values(
                nodes().map(|n| forest.comm(n)),
            )),
        ),
        (
            "cmdline",
            Arc::new(StringArray::from_iter(nodes().map(|n| forest.cmdline(n)))),
        ),
        ("start_time", time(&|n| Some(forest.start_ns(n)))),
        ("end_time", time(&|n| forest.end_ns(n))),
        ("exit_code", int32(&|n| forest.exit_code(n))),
        ("exit_signal", int32(&|n| forest.exit_signal(n))),
        (
            "source",
            Arc::new(StringArray::from_iter_values(
                nodes().map(|n| forest.source(n)),
            )),
        ),
        (
            "matched",
            Arc::new(BooleanArray::from_iter(nodes().map(|n| {
                Some(!part.is_filtered || part.matched.binary_search(&n).is_ok())
            }))),
        ),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}
