//! Opens recordings: finds them, checks them, and says what is wrong.
//!
//! A defect of one segment does not stop an answer from the others; it is kept
//! as a finding, and every answer prints it. Only if nothing is left does
//! opening fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryPool, MemoryReservation, UnboundedMemoryPool,
};
use whence_schemas::manifest::{Clock, Manifest, State};
use whence_schemas::place::Place;
use whence_schemas::read::{self, Bounds, SegmentFile, SegmentReader, Texts};
use whence_schemas::{TableDef, layout};

use crate::{Error, Result, integrity, scan};

/// A recording that was opened and checked.
#[derive(Debug)]
pub struct Recording {
    /// Its directory, or the zip that it is in, absolute.
    pub dir: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The segments that can be read.
    pub segments: Vec<Segment>,
    /// What is wrong with the others.
    pub findings: Vec<whence_schemas::Error>,
}

/// A segment whose footer was read.
#[derive(Debug)]
pub struct Segment {
    /// Table, path, size, what the manifest says.
    pub file: SegmentFile,
    /// Rows, as its footer says.
    pub rows: u64,
    /// Least and greatest values, as its footer says.
    pub bounds: Vec<Bounds>,
    /// Its columns, those of few texts as [numbers](SegmentReader::schema_of_few).
    pub schema: SchemaRef,
}

impl Recording {
    /// Opens the recording at `dir`, a directory or a zip.
    ///
    /// # Errors
    /// [`Error::Recording`] if it is none, [`Error::Unusable`] if none of its
    /// segments can be read.
    pub fn open(dir: &Path) -> Result<Self> {
        let manifest = Manifest::read_at(&Place::open(dir)?)?;
        let dir = fs::canonicalize(dir)
            .map_err(whence_schemas::Error::io("open", dir))
            .map_err(Error::Recording)?;
        let place = Place::open(&dir)?;
        let found = read::inventory_at(&place, &manifest);
        let mut findings = found.findings;
        let footers = footers(&found.segments)?;
        let mut schemas = Vec::new();
        let mut segments = Vec::with_capacity(found.segments.len());
        for (file, footer) in found.segments.into_iter().zip(footers) {
            // What has travelled may have suffered on the way.
            let checked = match &place {
                Place::Archive(_) => integrity::check(&file, &manifest),
                Place::Folder(_) => Ok(()),
            };
            match checked.and(footer) {
                Ok(footer) => segments.push(Segment {
                    file,
                    rows: footer.rows,
                    bounds: footer.bounds,
                    schema: shared(&mut schemas, footer.schema),
                }),
                Err(finding) => findings.push(finding),
            }
        }
        if let (true, Some(finding)) = (segments.is_empty(), findings.first()) {
            return Err(Error::Unusable {
                path: dir,
                reason: finding.to_string(),
            });
        }
        Ok(Self {
            dir,
            manifest,
            segments,
            findings,
        })
    }

    /// The segments of a table that can be read.
    pub fn segments_of<'a>(&'a self, def: &'a TableDef) -> impl Iterator<Item = &'a Segment> {
        self.segments.iter().filter(|s| s.file.def.name == def.name)
    }

    /// Whether its recorder did not end it: it was killed, or still runs.
    #[must_use]
    pub fn cut_off(&self) -> bool {
        self.manifest.state == State::Recording
    }

    /// Least and greatest time of its events, nanoseconds of CLOCK_BOOTTIME:
    /// from the first reading of the clocks to the end, or for one that was
    /// cut off to the last event.
    #[must_use]
    pub fn range_ns(&self) -> (i64, i64) {
        let start = self.manifest.clock.boot_ns;
        let last = || {
            let listed = self.segments.iter().filter_map(|s| s.file.listed);
            listed.filter_map(|l| l.max_ns).max().unwrap_or(start)
        };
        (start, self.manifest.end_ns.unwrap_or_else(last).max(start))
    }

    /// Name of its directory.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.dir.file_name().unwrap_or(self.dir.as_os_str());
        name.to_string_lossy().into_owned()
    }
}

/// What the footer of a segment says.
struct Footer {
    rows: u64,
    bounds: Vec<Bounds>,
    schema: SchemaRef,
}

/// One schema for all segments that have the same.
fn shared(known: &mut Vec<SchemaRef>, schema: SchemaRef) -> SchemaRef {
    // The last ones were of the same table.
    match known.iter().rev().find(|known| **known == schema) {
        Some(known) => Arc::clone(known),
        None => {
            known.push(Arc::clone(&schema));
            schema
        }
    }
}

/// Reads the footer of each segment.
fn footers(files: &[SegmentFile]) -> Result<Vec<whence_schemas::Result<Footer>>> {
    let read = scan::each(files.len(), Vec::new, |read, at| {
        let file = &files[at];
        let opened = SegmentReader::open(&file.path, file.def, Texts::Values);
        let footer = opened.and_then(|opened| {
            Ok(Footer {
                rows: opened.rows()?,
                bounds: opened.bounds(),
                schema: opened.schema_of_few(),
            })
        });
        read.push((at, footer));
        Ok(())
    })?;
    let mut read: Vec<_> = read.into_iter().flatten().collect();
    read.sort_unstable_by_key(|(at, _)| *at);
    Ok(read.into_iter().map(|(_, footer)| footer).collect())
}

/// The recordings that are asked together.
#[derive(Clone, Debug)]
pub struct Recordings {
    /// In order of their begin.
    pub all: Arc<Vec<Recording>>,
    /// Why others of a folder could not be opened.
    pub unreadable: Arc<Vec<String>>,
    /// What all that is asked of them may take together.
    pub memory: Arc<dyn MemoryPool>,
}

/// The recordings of one boot of one host: they speak of the same processes.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The kernel's random id of the boot.
    pub boot_id: String,
    /// Name of the host.
    pub host: String,
    /// Clocks of the first recording.
    pub clock: Clock,
    /// Indices into [`Recordings::all`], in order of their begin.
    pub recordings: Vec<usize>,
}

impl Recordings {
    /// Opens all recordings at these paths: a recording, or a folder of them.
    /// Without a path, the newest `*.whence` in the current directory. One of a
    /// folder that cannot be opened is kept as a finding while others can.
    ///
    /// # Errors
    /// [`Error::NoRecording`] if there is none, and as [`Recording::open`].
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let dirs = if paths.is_empty() {
            vec![Candidate::named(newest(Path::new("."))?)]
        } else {
            let found: Result<Vec<_>> = paths.iter().map(|path| expand(path)).collect();
            found?.into_iter().flatten().collect()
        };
        let mut all: Vec<Recording> = Vec::with_capacity(dirs.len());
        let mut unreadable = Vec::new();
        let mut first = None;
        for candidate in dirs {
            let recording = match Recording::open(&candidate.dir) {
                Ok(recording) => recording,
                Err(e) if candidate.of_folder => {
                    unreadable.push(e.to_string());
                    first.get_or_insert(e);
                    continue;
                }
                Err(e) => return Err(e),
            };
            let id = &recording.manifest.recording_id;
            if all.iter().all(|r| r.manifest.recording_id != *id) {
                all.push(recording);
            }
        }
        if let (true, Some(e)) = (all.is_empty(), first) {
            return Err(e);
        }
        all.sort_by_key(|r| (r.manifest.clock.real_ns, r.manifest.recording_id.clone()));
        Ok(Self {
            all: Arc::new(all),
            unreadable: Arc::new(unreadable),
            memory: Arc::new(UnboundedMemoryPool::default()),
        })
    }

    /// The index in [`boots`](Self::boots) of each recording's boot.
    #[must_use]
    pub fn boot_numbers(&self) -> Vec<usize> {
        let mut numbers = vec![0; self.all.len()];
        for (number, boot) in self.boots().iter().enumerate() {
            for recording in &boot.recordings {
                numbers[*recording] = number;
            }
        }
        numbers
    }

    /// A part of the memory, none yet, for what does not spill.
    #[must_use]
    pub fn reserve(&self, what: &str) -> MemoryReservation {
        MemoryConsumer::new(what).register(&self.memory)
    }

    /// The boots that they are of, in order of their first recording.
    #[must_use]
    pub fn boots(&self) -> Vec<Boot> {
        let mut boots: Vec<Boot> = Vec::new();
        for (i, recording) in self.all.iter().enumerate() {
            let manifest = &recording.manifest;
            match boots.iter_mut().find(|b| b.boot_id == manifest.boot_id) {
                Some(boot) => boot.recordings.push(i),
                None => boots.push(Boot {
                    boot_id: manifest.boot_id.clone(),
                    host: manifest.host.hostname.clone(),
                    clock: manifest.clock,
                    recordings: vec![i],
                }),
            }
        }
        boots
    }
}

/// A directory that should be a recording.
struct Candidate {
    dir: PathBuf,
    /// Whether it was found in a folder, not named by the user.
    of_folder: bool,
}

impl Candidate {
    fn named(dir: PathBuf) -> Self {
        Self {
            dir,
            of_folder: false,
        }
    }
}

/// The directories of the recordings at a path: itself, or all in it.
///
/// # Errors
/// [`Error::NoRecording`] if there is none.
pub fn directories(path: &Path) -> Result<Vec<PathBuf>> {
    let found = expand(path)?.into_iter();
    Ok(found.map(|candidate| candidate.dir).collect())
}

/// A path as recordings: itself, or all in it.
fn expand(path: &Path) -> Result<Vec<Candidate>> {
    if has_manifest(path) || !path.is_dir() {
        return Ok(vec![Candidate::named(path.to_path_buf())]);
    }
    let mut found = recordings_in(path)?;
    if found.is_empty() {
        return Err(Error::NoRecording(format!(
            "{} is not a whence recording and holds none: it has no {}",
            path.display(),
            layout::MANIFEST
        )));
    }
    found.sort();
    let candidate = |dir| Candidate {
        dir,
        of_folder: true,
    };
    Ok(found.into_iter().map(candidate).collect())
}

/// Whether there is a manifest, be it one that cannot be read.
fn has_manifest(dir: &Path) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match fs::symlink_metadata(layout::manifest(dir)) {
        Ok(_) => true,
        Err(e) => !matches!(e.kind(), NotFound | NotADirectory),
    }
}

/// Whether its name is that of a recording.
fn is_named(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == layout::EXTENSION)
}

fn newest(dir: &Path) -> Result<PathBuf> {
    let written = |path: &PathBuf| {
        let written = fs::symlink_metadata(layout::manifest(path)).and_then(|m| m.modified());
        (written.ok(), path.clone())
    };
    recordings_in(dir)?
        .into_iter()
        .filter(|path| is_named(path) && has_manifest(path))
        .max_by_key(written)
        .ok_or_else(|| {
            Error::NoRecording(
                "there is no *.whence recording in the current directory; \
                 name one with -i, or make one with `whence record`"
                    .into(),
            )
        })
}

fn recordings_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| Error::Io {
        action: "list",
        object: dir.display().to_string(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if has_manifest(&path) || (is_named(&path) && path.is_dir()) {
            found.push(path);
        }
    }
    Ok(found)
}
