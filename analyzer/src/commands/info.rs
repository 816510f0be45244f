//! `whence info`: what is in a recording, and how complete it is.

mod unresolved;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int64Type, Schema};
use whence_schemas::quote::printable;
use whence_schemas::read::Batches;
use whence_schemas::{TABLES, TableDef, frame, overhead, symbol};

use super::Answer;
use crate::Result;
use crate::cli::Info;
use crate::recording::{Recording, Recordings};
use crate::render::text;

/// Says what is in each recording.
///
/// # Errors
/// If it is no recording, or nothing of it can be read.
pub async fn run(args: &Info) -> Result<()> {
    let session = super::session(&args.source, false)?;
    let recordings = &session.recordings;
    let mut answer = Answer::begin(args.output.format, recordings)?;
    if !args.output.format.is_human() {
        let rows = rows(recordings)?;
        answer.rows(&rows.schema(), &[rows])?;
        return answer.finish();
    }
    for recording in recordings.all.iter() {
        answer.title(&recording.dir.display().to_string())?;
        for (name, value) in facts(recording) {
            let line = format!("  {name:<10} {}", printable(&value));
            answer.line(&line)?;
        }
        answer.line("")?;
        for line in tables(recording) {
            answer.line(&line)?;
        }
    }
    for line in unresolved::lines(&session, answer.screen).await? {
        answer.line(&line)?;
    }
    answer.finish()
}

fn facts(recording: &Recording) -> Vec<(&'static str, String)> {
    let manifest = &recording.manifest;
    let (start, end) = recording.range_ns();
    let wall = |ns| text::time(manifest.clock.wall_us(ns));
    let host = &manifest.host;
    let note = manifest.bundle.as_ref().and_then(|b| b.note.as_deref());
    let said = note.iter().flat_map(|note| note.lines());
    let mut facts: Vec<_> = said.map(|line| ("said", line.to_owned())).collect();
    facts.extend([
        (
            "host",
            format!(
                "{}, {}, {} CPUs, {}",
                host.hostname, host.machine, host.cpus, host.os
            ),
        ),
        (
            "kernel",
            format!("{} {}", manifest.kernel.release, manifest.kernel.version),
        ),
        (
            "recorded",
            format!(
                "{} to {} UTC, {}{}",
                wall(start),
                wall(end),
                text::duration(end.saturating_sub(start)),
                if recording.cut_off() {
                    ", not finished"
                } else {
                    ""
                }
            ),
        ),
        (
            "ids",
            format!(
                "recording {}, boot {}, whence {}",
                manifest.recording_id, manifest.boot_id, manifest.recorder_version
            ),
        ),
    ]);
    for event in &manifest.events {
        facts.push((
            "stacks of",
            format!("{} through {}", event.event, event.mechanism),
        ));
    }
    if let Some(overhead) = overhead_of(recording, end.saturating_sub(start)) {
        facts.push(("cost", overhead));
    }
    if let Some(names) = named_frames(recording) {
        facts.push(("names", names));
    }
    for note in &manifest.notes {
        facts.push(("note", note.clone()));
    }
    facts
}

/// CPU time of the recorder and of its BPF programs.
fn overhead_of(recording: &Recording, duration_ns: i64) -> Option<String> {
    let columns = ["subject", "cpu_ns", "rss_bytes"];
    let (mut recorder, mut bpf, mut peak) = (None, None, 0);
    each(recording, &overhead::DEF, &columns, |batch| {
        let subjects = batch.column(0).as_string::<i32>();
        let cpu = batch.column(1).as_primitive::<Int64Type>();
        let rss = batch.column(2).as_primitive::<Int64Type>();
        for row in (0..batch.num_rows()).filter(|row| subjects.is_valid(*row)) {
            if rss.is_valid(row) {
                peak = rss.value(row).max(peak);
            }
            if cpu.is_valid(row) {
                let sum = match subjects.value(row) {
                    "recorder" => &mut recorder,
                    _ => &mut bpf,
                };
                *sum = Some(sum.unwrap_or(0_i64).saturating_add(cpu.value(row)));
            }
        }
    });
    let recorder = recorder?;
    let of_cpu = text::share(recorder, duration_ns.max(1));
    let mut cost = format!(
        "recorder {} of CPU time, {of_cpu} of one CPU",
        text::duration(recorder)
    );
    if let Some(bpf) = bpf {
        let of_cpu = text::share(bpf, duration_ns.max(1));
        cost.push_str(&format!("; BPF programs {}, {of_cpu}", text::duration(bpf)));
    }
    if let Ok(peak) = u64::try_from(peak)
        && peak > 0
    {
        cost.push_str(&format!("; {} of memory at most", text::bytes(peak)));
    }
    Some(cost)
}

/// How many places in code have a name, by kind.
fn named_frames(recording: &Recording) -> Option<String> {
    let mut named = std::collections::HashSet::new();
    each(recording, &symbol::DEF, &["frame_id"], |batch| {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        named.extend(ids.iter().flatten());
    });
    let mut kinds: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    each(recording, &frame::DEF, &["frame_id", "kind"], |batch| {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let names = batch.column(1).as_string::<i32>();
        for row in (0..batch.num_rows()).filter(|row| names.is_valid(*row)) {
            let kind = kinds.entry(names.value(row).to_owned()).or_default();
            kind.0 += i64::from(named.contains(&ids.value(row)));
            kind.1 += 1;
        }
    });
    let parts: Vec<String> = kinds
        .iter()
        .map(|(kind, (named, all))| {
            let named = text::share(*named, *all);
            format!("{named} of {} {kind} frames", text::count(*all))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn each(
    recording: &Recording,
    def: &'static TableDef,
    columns: &[&str],
    mut visit: impl FnMut(&RecordBatch),
) {
    for segment in recording.segments_of(def) {
        let batches = Batches::open(&segment.file.path, def, columns);
        for batch in batches.into_iter().flatten().map_while(Result::ok) {
            visit(&batch);
        }
    }
}

/// A table of a recording.
struct Contents {
    table: &'static str,
    segments: i64,
    rows: i64,
    bytes: i64,
    range_us: Option<(i64, i64)>,
}

fn contents(recording: &Recording) -> Vec<Contents> {
    let clock = recording.manifest.clock;
    TABLES
        .iter()
        .map(|def| {
            let mut of_table = Contents {
                table: def.name,
                segments: 0,
                rows: 0,
                bytes: 0,
                range_us: None,
            };
            for segment in recording.segments_of(def) {
                of_table.segments += 1;
                let rows = i64::try_from(segment.rows).unwrap_or(i64::MAX);
                of_table.rows = of_table.rows.saturating_add(rows);
                of_table.bytes += segment.file.bytes as i64;
                let listed = segment.file.listed.and_then(|l| l.min_ns.zip(l.max_ns));
                let range = listed.map(|(a, b)| (clock.wall_us(a), clock.wall_us(b)));
                of_table.range_us = match (of_table.range_us, range) {
                    (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                    (a, b) => a.or(b),
                };
            }
            of_table
        })
        .collect()
}

fn tables(recording: &Recording) -> Vec<String> {
    let mut lines = vec![format!(
        "  {:<10} {:>12} {:>12} {:>9}  {}",
        "table", "rows", "bytes", "segments", "times (UTC)"
    )];
    let near = recording.manifest.clock.wall_us(recording.range_ns().0);
    let all = contents(recording);
    for of_table in &all {
        let range = of_table.range_us.map_or(String::new(), |(a, b)| {
            format!(
                "{} to {}",
                text::time_near(a, near),
                text::time_near(b, near)
            )
        });
        lines.push(format!(
            "  {:<10} {:>12} {:>12} {:>9}  {range}",
            of_table.table,
            text::count(of_table.rows),
            text::bytes(of_table.bytes as u64),
            of_table.segments,
        ));
    }
    let bytes = all.iter().fold(0_i64, |sum, c| sum.saturating_add(c.bytes));
    let rows = all.iter().fold(0_i64, |sum, c| sum.saturating_add(c.rows));
    lines.push(format!(
        "  {:<10} {:>12} {:>12}",
        "all",
        text::count(rows),
        text::bytes(bytes as u64)
    ));
    lines
}

/// One row for each table of each recording.
fn rows(recordings: &Recordings) -> Result<RecordBatch> {
    let all: Vec<(&Recording, Contents)> = recordings
        .all
        .iter()
        .flat_map(|recording| contents(recording).into_iter().map(move |c| (recording, c)))
        .collect();
    let text = |of: &dyn Fn(&(&Recording, Contents)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(all.iter().map(of)))
    };
    let int = |of: &dyn Fn(&Contents) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(all.iter().map(|(_, c)| of(c))))
    };
    let time = |of: &dyn Fn((i64, i64)) -> i64| -> ArrayRef {
        let times = all.iter().map(|(_, c)| c.range_us.map(of));
        Arc::new(TimestampMicrosecondArray::from_iter(times).with_timezone("UTC"))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("recording", text(&|(r, _)| r.name())),
        (
            "recording_id",
            text(&|(r, _)| r.manifest.recording_id.clone()),
        ),
        ("host", text(&|(r, _)| r.manifest.host.hostname.clone())),
        ("boot_id", text(&|(r, _)| r.manifest.boot_id.clone())),
        (
            "state",
            text(&|(r, _)| if r.cut_off() { "recording" } else { "finished" }.to_owned()),
        ),
        ("table_name", text(&|(_, c)| c.table.to_owned())),
        ("segments", int(&|c| c.segments)),
        ("row_count", int(&|c| c.rows)),
        ("bytes", int(&|c| c.bytes)),
        ("first_time", time(&|(a, _)| a)),
        ("last_time", time(&|(_, b)| b)),
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
