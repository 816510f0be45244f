//! An ELF file of a stranger: as a debug file that names frames of a recording,
//! and as a program whose functions the recorder names and whose stacks it
//! unwinds.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use whence_recorder::modules::{FileId, Modules, Told};
use whence_recorder::namer::{Frame, Namer};
use whence_recorder::unwind::{Cache, Tables, Unwinder};
use whence_schemas::manifest::Manifest;
use whence_schemas::{frame, segment};

use super::{BROKEN, commands, recording};
use crate::worker::Bench;

/// The build-id of all files of the corpus, or none would be looked into.
const BUILD_ID: &str = "00112233445566778899aabbccddeeff00112233";
/// Where programs of the corpus have code, and where nothing is.
const OFFSETS: &[u64] = &[
    0,
    0x10c,
    0x112,
    0x120,
    0x140,
    0x14c,
    0x1000,
    0x1008,
    0x1020,
    u64::MAX,
];
/// Where it is as if it were mapped.
const START: u64 = 0x5555_5555_0000;

pub(super) fn run(bench: &Bench, input: &[u8]) -> Result<(), String> {
    let folder = bench.work.join("debug");
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let path = folder.join("fuzzed.debug");
    fs::write(&path, input).map_err(|e| e.to_string())?;
    names(&path)?;
    unwinds(&path)?;
    let recording = recording(bench)?;
    let folder = folder.display().to_string();
    commands::run(
        bench,
        &recording,
        &["symbolize", "--debug-dir", &folder, "-i", "{i}"],
    )
}

/// A recording with frames in a program that the file can be of.
fn recording(bench: &Bench) -> Result<PathBuf, String> {
    let recording = recording::copy(bench)?;
    let mut rows = frame::Builder::default();
    for (frame_id, offset) in OFFSETS.iter().enumerate() {
        rows.push(frame::Row {
            frame_id: frame_id as i64,
            kind: "user",
            module: Some("/usr/bin/fuzzed"),
            build_id: Some(BUILD_ID),
            offset: Some(offset.cast_signed()),
            ..frame::Row::default()
        });
    }
    let mut manifest = Manifest::read(&recording).map_err(|e| e.to_string())?;
    manifest
        .segments
        .retain(|segment| segment.table != frame::DEF.name);
    let rows = rows.finish(&manifest.boot_id).map_err(|e| e.to_string())?;
    let written = segment::write(&recording, &frame::DEF, 2, &[rows]).map_err(|e| e.to_string())?;
    manifest.segments.push(written);
    manifest.write(&recording).map_err(|e| e.to_string())?;
    Ok(recording)
}

/// As the recorder names functions, of programs and of code that was made.
fn names(path: &Path) -> Result<(), String> {
    let mut namer = Namer::start().map_err(|e| e.to_string())?;
    for of_jit in [false, true] {
        let frame = |offset: &u64| Frame {
            frame_id: 1,
            offset: *offset,
            first_ns: 0,
            of_jit,
        };
        let file = File::open(path).map_err(|e| e.to_string())?;
        namer.ask(Arc::new(file), OFFSETS.iter().map(frame).collect());
        while !namer.wait().is_empty() {}
    }
    Ok(())
}

fn unwinds(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    if Tables::read(&file).is_none() {
        return Ok(());
    }
    let metadata = file.metadata().map_err(|e| e.to_string())?;
    let told = Told {
        start: START,
        end: START + 0x10_0000,
        offset: 0,
        path: Some(path.display().to_string()),
        id: FileId {
            dev: metadata.dev(),
            inode: metadata.ino(),
            changed_ns: 0,
        },
    };
    let mut modules = Modules::default();
    let mappings = [modules.told(&told, &[std::process::id()])];
    modules.read_tables(&mappings);
    if mappings[0].module.tables().is_none() {
        return Err(format!("{BROKEN}the file was not opened as a program's"));
    }
    let unwinder = Unwinder::new(&mappings);
    let memory: Vec<u8> = (START..START + 0x800).flat_map(u64::to_ne_bytes).collect();
    for offset in OFFSETS {
        let ip = START.wrapping_add(*offset);
        unwinder.path(&mut Cache::default(), ip, 0x7fff_0000, 0x7fff_0100, &memory);
    }
    Ok(())
}
