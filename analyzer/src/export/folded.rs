//! Folded stacks: a line for each call path, root first, with its weight.

use std::collections::BTreeMap;

use whence_schemas::quote::printable;

use super::events::Weighted;
use super::frames::Frames;
use super::{Out, failed};
use crate::Result;

/// Writes the lines in alphabetical order.
pub(super) fn write(rows: &[Weighted], frames: &Frames, out: Out<'_>) -> Result<()> {
    let mut paths: BTreeMap<String, i64> = BTreeMap::new();
    for row in rows {
        let mut path = part(&printable(&row.comm));
        for line in frames.lines(row.user, row.kernel) {
            path.push(';');
            path.push_str(&part(frames.text(line.function)));
        }
        let weight = paths.entry(path).or_default();
        *weight = weight.saturating_add(row.weight);
    }
    for (path, weight) in paths {
        writeln!(out, "{path} {weight}").map_err(failed)?;
    }
    Ok(())
}

/// A name as a part of a path, which `;` would end.
fn part(name: &str) -> String {
    name.replace(';', ":")
}
