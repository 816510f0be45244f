//! Writes table `symbol` of a recording anew.

use std::collections::HashMap;
use std::fs;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt as _;
use whence_schemas::manifest::Manifest;
use whence_schemas::segment::OpenSegment;
use whence_schemas::{layout, symbol};

use super::{Frame, Function};
use crate::recording::Recording;
use crate::session::Session;
use crate::{Error, Result};

/// Rows that are encoded at a time.
const BATCH_ROWS: usize = 64 * 1024;

/// Refuses a recording that must not be changed.
pub(super) fn check(recording: &Recording) -> Result<()> {
    if recording.cut_off() {
        return Err(Error::Usage(format!(
            "{} is not finished: it is still being recorded, or its recorder was killed",
            recording.dir.display()
        )));
    }
    Ok(())
}

/// Replaces the rows of the frames that were named, and keeps all others.
pub(super) async fn replace(
    session: &Session,
    recording: &Recording,
    named: &[(Frame, Vec<Function>)],
) -> Result<()> {
    let dir = &recording.dir;
    let mut manifest = Manifest::read(dir)?;
    let number = next_number(recording, &manifest)?;
    let mut segment = OpenSegment::create(dir, &symbol::DEF, number)?;
    let boot_id = &recording.manifest.boot_id;
    let mut rows = symbol::Builder::default();
    let mut write = |rows: &mut symbol::Builder, least: usize| {
        if rows.len() < least {
            return Ok(());
        }
        let batch = rows.finish(boot_id)?;
        segment.write(&batch)
    };
    let replaced: HashMap<i64, ()> = named.iter().map(|(f, _)| (f.frame_id, ())).collect();
    let sql = "SELECT DISTINCT frame_id, inline_depth, function, file, line, source, first_ns \
               FROM symbol ORDER BY first_ns, frame_id, inline_depth";
    let mut batches = session.frame(sql, vec![]).await?.execute_stream().await?;
    while let Some(batch) = batches.try_next().await? {
        let text = |column: usize, row: usize| {
            let column = batch.column(column).as_string::<i32>();
            column.is_valid(row).then(|| column.value(row))
        };
        let int = |column: usize| batch.column(column).as_primitive::<Int64Type>();
        let small = |column: usize| batch.column(column).as_primitive::<Int32Type>();
        for row in 0..batch.num_rows() {
            if replaced.contains_key(&int(0).value(row)) {
                continue;
            }
            rows.push(symbol::Row {
                frame_id: int(0).value(row),
                inline_depth: small(1).value(row),
                function: text(2, row).unwrap_or_default(),
                file: text(3, row),
                line: small(4).is_valid(row).then(|| small(4).value(row)),
                source: text(5, row).unwrap_or_default(),
                first_ns: int(6).value(row),
            });
        }
        write(&mut rows, BATCH_ROWS)?;
    }
    for (frame, functions) in named {
        let has_file = functions.iter().any(|function| function.file.is_some());
        let source = if has_file { "dwarf" } else { "elf" };
        for (depth, function) in functions.iter().enumerate() {
            rows.push(symbol::Row {
                frame_id: frame.frame_id,
                inline_depth: i32::try_from(depth).unwrap_or(i32::MAX),
                function: &function.name,
                file: function.file.as_deref(),
                line: function.line,
                source,
                first_ns: frame.first_ns,
            });
        }
    }
    write(&mut rows, 0)?;
    let written = segment.finish()?;
    let old: Vec<String> = recording
        .segments_of(&symbol::DEF)
        .filter_map(|s| {
            s.file
                .path
                .strip_prefix(dir)
                .ok()?
                .to_str()
                .map(str::to_owned)
        })
        .collect();
    manifest.segments.retain(|s| !old.contains(&s.file));
    manifest.segments.push(written);
    manifest.write(dir)?;
    // From here on they belong to nothing.
    for file in old {
        let path = dir.join(file);
        fs::remove_file(&path).map_err(whence_schemas::Error::io("remove", &path))?;
    }
    Ok(())
}

/// A number that no segment of the table has, listed or not.
fn next_number(recording: &Recording, manifest: &Manifest) -> Result<u32> {
    let folder = recording.dir.join(symbol::DEF.name);
    let io = || whence_schemas::Error::io("list", &folder);
    let mut newest = 0;
    for entry in fs::read_dir(&folder).map_err(io())? {
        let name = entry.map_err(io())?.file_name();
        let number = name.to_str().and_then(layout::segment_number);
        newest = newest.max(number.unwrap_or(0));
    }
    for segment in manifest.segments_of(symbol::DEF.name) {
        let name = segment.file.rsplit('/').next().unwrap_or_default();
        newest = newest.max(layout::segment_number(name).unwrap_or(0));
    }
    newest.checked_add(1).ok_or_else(|| {
        let reason = "no number for a segment is left";
        whence_schemas::Error::corrupt(&folder, reason).into()
    })
}
