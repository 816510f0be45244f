//! Code without names, ranked by what it weighs: which debug files or packages
//! would tell most.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use whence_queries::QUERIES;
use whence_schemas::quote::printable;

use crate::Result;
use crate::render::{Screen, text};
use crate::session::Session;

/// Modules that are listed.
const LISTED: usize = 5;

/// The heaviest modules of which functions have no names, with what passes
/// through them.
pub(super) async fn lines(session: &Session, screen: Screen) -> Result<Vec<String>> {
    let Some(query) = QUERIES.iter().find(|q| q.name == "unresolved_frames") else {
        return Ok(Vec::new());
    };
    let batches = session.ask(query.sql, vec![]).await?;
    let rows: Vec<(&RecordBatch, usize)> = batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)))
        .collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let title = "code without names, by the samples that pass through it";
    let mut lines = vec![String::new(), format!("  {}", screen.bold(title))];
    for (batch, row) in rows.iter().take(LISTED) {
        lines.push(line(batch, *row));
    }
    if rows.len() > LISTED {
        let more = text::count((rows.len() - LISTED) as i64);
        lines.push(format!("  {more} more: `whence query unresolved_frames`"));
    }
    Ok(lines)
}

fn line(batch: &RecordBatch, row: usize) -> String {
    let text = |name: &str| {
        let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row))
    };
    let frames = batch.column_by_name("frames");
    let frames = frames.and_then(|c| c.as_primitive_opt::<Int64Type>());
    let frames = frames.map_or(0, |column| column.value(row));
    let share = batch.column_by_name("share");
    let share = share.and_then(|c| c.as_primitive_opt::<Float64Type>());
    let share = share.map_or(0.0, |column| column.value(row) * 100.0);
    let module = text("module").unwrap_or("in no known module");
    let build_id = text("build_id").map_or(String::new(), |id| format!(", build-id {id}"));
    let places = text::counted(frames, "place", "places");
    format!(
        "  {share:>5.1}%  {}: {places}{}",
        printable(module),
        printable(&build_id)
    )
}
