//! The files of a recording: the zip around them, the manifest, a segment.

use std::fs;
use std::path::{Path, PathBuf};

use whence_schemas::manifest::Manifest;
use whence_schemas::place::Place;
use whence_schemas::read::{Batches, inventory_at};
use whence_schemas::{TABLES, TableDef, layout};

use super::commands;
use crate::worker::Bench;

/// A zip from anybody.
pub(super) fn bundle(bench: &Bench, input: &[u8]) -> Result<(), String> {
    let zip = bench.work.join("bug.zip");
    fs::write(&zip, input).map_err(|e| e.to_string())?;
    read_all(&zip)?;
    commands::ask(bench, &zip, sum(input), 2)
}

/// A `recording.json` beside sound segments. What repairs and rewrites a
/// recording believes it as well, so it may only touch this one.
pub(super) fn manifest(bench: &Bench, input: &[u8]) -> Result<(), String> {
    let recording = copy(bench)?;
    fs::write(recording.join(layout::MANIFEST), input).map_err(|e| e.to_string())?;
    let read = read_all(&recording);
    let rewrites: [&[&str]; 4] = [
        &["recover", "{i}"],
        &["compact", "{i}"],
        &["verify", "-i", "{i}"],
        &["info", "-i", "{i}"],
    ];
    commands::run(bench, &recording, rewrites[sum(input) % 4])?;
    read?;
    commands::ask(bench, &recording, sum(input), 1)
}

/// A Parquet file, for whichever table it can be read as.
pub(super) fn segment(bench: &Bench, input: &[u8]) -> Result<(), String> {
    let path = bench.work.join("000001.parquet");
    fs::write(&path, input).map_err(|e| e.to_string())?;
    let fits = |def: &&&'static TableDef| rows(&path, def).is_ok();
    let fitting: Vec<&&TableDef> = TABLES.iter().filter(fits).collect();
    if fitting.is_empty() {
        return Err("no table".into());
    }
    // Every table takes a file without its columns, as they may all be absent.
    let def = fitting[sum(input) % fitting.len()];
    let recording = copy(bench)?;
    let name = format!("{}/000001.parquet", def.name);
    fs::rename(&path, recording.join(&name)).map_err(|e| e.to_string())?;
    let mut manifest = Manifest::read(&recording).map_err(|e| e.to_string())?;
    for segment in manifest.segments.iter_mut().filter(|s| s.file == name) {
        segment.bytes = input.len() as u64;
    }
    manifest.write(&recording).map_err(|e| e.to_string())?;
    commands::ask(bench, &recording, sum(input), 2)
}

/// A copy of the sound recording.
pub(super) fn copy(bench: &Bench) -> Result<PathBuf, String> {
    let to = bench.work.join("r.whence");
    let copied = || -> std::io::Result<()> {
        for def in TABLES {
            fs::create_dir_all(to.join(def.name))?;
            for entry in fs::read_dir(bench.sound.join(def.name))? {
                let from = entry?.path();
                let name = from.file_name().unwrap_or_default();
                fs::copy(&from, to.join(def.name).join(name))?;
            }
        }
        let manifest = bench.sound.join(layout::MANIFEST);
        fs::copy(manifest, to.join(layout::MANIFEST)).map(drop)
    };
    copied().map_err(|e| e.to_string())?;
    Ok(to)
}

/// Reads everything, as any engine above would.
fn read_all(path: &Path) -> Result<(), String> {
    let place = Place::open(path).map_err(|e| e.to_string())?;
    let manifest = Manifest::read_at(&place).map_err(|e| e.to_string())?;
    for segment in inventory_at(&place, &manifest).segments {
        let batches = Batches::open(&segment.path, segment.def, &columns(segment.def));
        batches.map_err(|e| e.to_string())?.for_each(drop);
    }
    Ok(())
}

fn rows(path: &Path, def: &'static TableDef) -> Result<usize, String> {
    let batches = Batches::open(path, def, &columns(def)).map_err(|e| e.to_string())?;
    let mut rows = 0;
    for batch in batches {
        rows += batch.map_err(|e| e.to_string())?.num_rows();
    }
    Ok(rows)
}

fn columns(def: &TableDef) -> Vec<&'static str> {
    def.columns.iter().map(|column| column.name).collect()
}

/// A number that depends on the input alone.
pub(super) fn sum(input: &[u8]) -> usize {
    let step = |sum: u32, byte: &u8| sum.wrapping_mul(31).wrapping_add((*byte).into());
    input.iter().fold(7, step) as usize >> 3
}
