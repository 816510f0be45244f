//! Which segments a recording has: what its manifest lists and, if its recorder did
//! not end well, what was finished and is not listed. Opens none of them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::manifest::{Manifest, State};
use crate::place::{Location, Place};
use crate::{Error, Result, TABLES, TableDef, layout};

/// A segment that is there and looks whole.
#[derive(Clone, Debug)]
pub struct SegmentFile {
    /// Its table.
    pub def: &'static TableDef,
    /// Where it lies.
    pub path: Location,
    /// Size in bytes.
    pub bytes: u64,
    /// Rows, least and greatest time as the manifest lists them; `None` for a
    /// file that was finished when its recorder was killed.
    pub listed: Option<Listed>,
}

/// What a manifest says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Rows in it.
    pub rows: u64,
    /// Least value of the table's time column.
    pub min_ns: Option<i64>,
    /// Greatest value of the table's time column.
    pub max_ns: Option<i64>,
    /// When its rows were true; see [`crate::segment::Segment::at_ns`].
    pub at_ns: Option<i64>,
}

/// The segments of a recording.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Those that can be read, by table and number.
    pub segments: Vec<SegmentFile>,
    /// What is wrong with the others.
    pub findings: Vec<Error>,
}

/// Lists the segments of the recording at `place`: those in the manifest and, if
/// its recorder did not end well, those that were finished but not listed yet.
/// Tables that this version does not know are left out; a name that no version
/// could give to a table is damage.
#[must_use]
pub fn inventory_at(place: &Place, manifest: &Manifest) -> Inventory {
    let mut found = Inventory::default();
    let names: BTreeSet<&str> = manifest.segments.iter().map(|s| s.table.as_str()).collect();
    for name in names.into_iter().filter(|name| !is_table_name(name)) {
        let reason = format!("it lists a segment of {name:?}, which is no table's name");
        let finding = Error::corrupt(layout::manifest(place.path()), reason);
        found.findings.push(finding);
    }
    for def in TABLES {
        let mut of_table = Vec::new();
        for segment in manifest.segments_of(def.name) {
            match listed(place, def, segment) {
                Ok(file) => of_table.push(file),
                Err(finding) => found.findings.push(finding),
            }
        }
        if manifest.state == State::Recording {
            match unlisted(place, def, manifest) {
                Ok(files) => of_table.extend(files),
                Err(finding) => found.findings.push(finding),
            }
        }
        of_table.sort_by(|a, b| a.path.cmp(&b.path));
        of_table.dedup_by(|a, b| a.path == b.path);
        found.segments.append(&mut of_table);
    }
    found
}

/// [`inventory_at`] of the recording in the folder `dir`.
#[must_use]
pub fn inventory(dir: &Path, manifest: &Manifest) -> Inventory {
    inventory_at(&Place::Folder(dir.to_path_buf()), manifest)
}

/// Whether a table of some version may have that name.
fn is_table_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// The segments of a table, none of which may be damaged.
pub(super) fn usable(dir: &Path, manifest: &Manifest, def: &TableDef) -> Result<Vec<SegmentFile>> {
    let mut found = inventory(dir, manifest);
    let folder = dir.join(def.name);
    let of_table =
        |e: &Error| matches!(e, Error::Corrupt { path, .. } if path.starts_with(&folder));
    if let Some(finding) = found.findings.into_iter().find(of_table) {
        return Err(finding);
    }
    found.segments.retain(|s| s.def.name == def.name);
    Ok(found.segments)
}

/// A segment of the manifest, if it lies where it must and has its size.
fn listed(
    place: &Place,
    def: &'static TableDef,
    segment: &crate::segment::Segment,
) -> Result<SegmentFile> {
    let name = segment
        .file
        .strip_prefix(def.name)
        .and_then(|rest| rest.strip_prefix('/'))
        .filter(|name| layout::segment_number(name).is_some())
        .ok_or_else(|| {
            let reason = format!("it lists {:?}, which is no segment's name", segment.file);
            Error::corrupt(layout::manifest(place.path()), reason)
        })?;
    let (path, bytes) = place.find(def.name, name)?;
    if bytes != segment.bytes {
        let reason = format!(
            "it has {bytes} bytes, {} lists {}",
            layout::MANIFEST,
            segment.bytes
        );
        return Err(Error::corrupt(path, reason));
    }
    Ok(SegmentFile {
        def,
        path,
        bytes,
        listed: Some(Listed {
            rows: segment.rows,
            min_ns: segment.min_ns,
            max_ns: segment.max_ns,
            at_ns: segment.at_ns,
        }),
    })
}

/// Segments that are there and that the manifest does not list.
fn unlisted(
    place: &Place,
    def: &'static TableDef,
    manifest: &Manifest,
) -> Result<Vec<SegmentFile>> {
    let known: BTreeSet<&str> = manifest
        .segments_of(def.name)
        .filter_map(|s| s.file.strip_prefix(def.name)?.strip_prefix('/'))
        .collect();
    let names = place.segments_of(def.name)?.into_iter();
    let unknown = names.filter(|name| !known.contains(name.as_str()));
    let found = unknown.map(|name| {
        let (path, bytes) = place.find(def.name, &name)?;
        Ok(SegmentFile {
            def,
            path,
            bytes,
            listed: None,
        })
    });
    found.collect()
}
