//! `recording.json`: what a recording is, and which segments belong to it.
//!
//! It is written anew (temporary name, sync, rename) after rotations of segments,
//! so that at any moment it lists only files that are complete.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::place::Place;
use crate::segment::{Segment, sync_dir};
use crate::{Error, FORMAT_VERSION, Result, layout};

/// A manifest larger than this is refused before it is read.
const MAX_BYTES: u64 = 256 << 20;

/// The content of `recording.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format; see [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Random id of this recording.
    pub recording_id: String,
    /// Version of the recorder that wrote it.
    pub recorder_version: String,
    /// The host it was recorded on.
    pub host: Host,
    /// The kernel's random id of the boot.
    pub boot_id: String,
    /// The kernel.
    pub kernel: Kernel,
    /// First reading of the clocks.
    pub clock: Clock,
    /// End of the recording, nanoseconds of CLOCK_BOOTTIME; `None` until it is finished.
    pub end_ns: Option<i64>,
    /// How the recorder was called, as its options.
    pub options: serde_json::Value,
    /// Whether it runs, or has ended well.
    pub state: State,
    /// Whether `process` holds every process with the tree numbered.
    pub process_complete: bool,
    /// Stack events that were asked for.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Facts that a reader should know, such as names that could not be had.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What is known to be missing besides the events that table `loss` counts,
    /// one line each; every answer says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Times in which nothing was recorded; every answer says them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Events lost, by stream, over the whole recording.
    #[serde(default)]
    pub lost: BTreeMap<String, u64>,
    /// What was replaced before it was written; absent where nothing looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction: Option<Redaction>,
    /// Of what it was made, if it is a bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// Every finished segment.
    pub segments: Vec<Segment>,
}

/// Of what a bundle was made, and what is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Id of the recording that it is a part of.
    pub recording_id: String,
    /// When it was made, as 2026-01-31T13:16:29Z.
    pub created: String,
    /// What whoever made it has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What of the recording is not in it, a sentence each.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// One of that many samples was kept, with the weight of all.
    pub one_sample_of: u64,
    /// Its files that are no segments.
    #[serde(default)]
    pub files: Vec<BundleFile>,
}

/// A file of a bundle that is no segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleFile {
    /// Its name, relative to the recording.
    pub file: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of it, in hexadecimal digits.
    pub sha256: String,
}

/// Secrets that were replaced by placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    /// Which rules.
    pub rules: String,
    /// How often something was replaced.
    pub replaced: u64,
    /// Number of the last placeholder: how many secrets there were.
    pub secrets: u32,
}

/// The host of a recording.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub hostname: String,
    /// Machine type, as `uname -m`.
    pub machine: String,
    /// Number of CPUs.
    pub cpus: u32,
    /// Pretty name of the distribution.
    pub os: String,
}

/// The kernel of a recording.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kernel {
    /// As `uname -r`.
    pub release: String,
    /// As `uname -v`.
    pub version: String,
    /// Build-id in hexadecimal digits.
    pub build_id: Option<String>,
}

/// The clocks at one moment, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Clock {
    /// CLOCK_BOOTTIME.
    pub boot_ns: i64,
    /// CLOCK_MONOTONIC.
    pub mono_ns: i64,
    /// CLOCK_REALTIME.
    pub real_ns: i64,
}

impl Clock {
    /// Wall-clock time of an instant of CLOCK_BOOTTIME, microseconds since 1970.
    #[must_use]
    pub const fn wall_us(&self, ts_ns: i64) -> i64 {
        ts_ns
            .saturating_sub(self.boot_ns)
            .saturating_add(self.real_ns)
            .div_euclid(1_000)
    }
}

/// Where a recording stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Being written, or its recorder was killed.
    #[default]
    Recording,
    /// Ended as it should.
    Finished,
}

/// A time in which nothing was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its begin, nanoseconds of CLOCK_BOOTTIME.
    pub from_ns: i64,
    /// Its end.
    pub to_ns: i64,
    /// Why.
    pub reason: String,
}

/// A stack event that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its name, as in `sample.event`.
    pub event: String,
    /// What delivers it, as `perf_event` or `raw_tracepoint`.
    pub mechanism: String,
    /// What one row stands for; nanoseconds for `cpu-clock`.
    pub weight: i64,
}

impl Manifest {
    /// Reads the manifest of the recording at `dir`.
    ///
    /// # Errors
    /// [`Error::NotARecording`] without one, [`Error::NewerFormat`],
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn read(dir: &Path) -> Result<Self> {
        let path = layout::manifest(dir);
        let file = open_plain(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound if !dir.exists() => Error::NotARecording {
                path: dir.to_path_buf(),
                reason: "no such file or directory".into(),
            },
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Error::NotARecording {
                    path: dir.to_path_buf(),
                    reason: format!("it has no {}", layout::MANIFEST),
                }
            }
            std::io::ErrorKind::InvalidInput => Error::corrupt(&path, "it is not a regular file"),
            _ => Error::io("open", &path)(source),
        })?;
        let mut text = String::new();
        let read = file
            .take(MAX_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|e| Error::corrupt(&path, e))?;
        if read as u64 > MAX_BYTES {
            return Err(Error::corrupt(&path, "it is larger than 256 MiB"));
        }
        Self::parse(&text, dir, &path)
    }

    /// Reads the manifest of the recording at `place`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_at(place: &Place) -> Result<Self> {
        match place {
            Place::Folder(dir) => Self::read(dir),
            Place::Archive(archive) => {
                let path = layout::manifest(archive.path());
                let content = archive.read(layout::MANIFEST, MAX_BYTES)?;
                let text = String::from_utf8(content).map_err(|e| Error::corrupt(&path, e))?;
                Self::parse(&text, archive.path(), &path)
            }
        }
    }

    fn parse(text: &str, dir: &Path, path: &Path) -> Result<Self> {
        // The version first: a newer manifest need not parse as ours.
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let version: Version = serde_json::from_str(text).map_err(|e| Error::corrupt(path, e))?;
        if version.format_version > FORMAT_VERSION {
            return Err(Error::NewerFormat {
                path: dir.to_path_buf(),
                found: version.format_version,
                supported: FORMAT_VERSION,
            });
        }
        serde_json::from_str(text).map_err(|e| Error::corrupt(path, e))
    }

    /// Replaces the manifest of the recording at `dir`, atomically and durably.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = layout::manifest(dir);
        let tmp = dir.join(layout::UNFINISHED_MANIFEST);
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::corrupt(&path, e))?;
        // What a crash left, or a link that a stranger has put there.
        match fs::remove_file(&tmp) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &tmp)(e));
            }
            _ => {}
        }
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&tmp)
            .map_err(Error::io("create", &tmp))?;
        file.write_all(&text)
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all())
            .map_err(Error::io("write", &tmp))?;
        fs::rename(&tmp, &path).map_err(Error::io("rename", &tmp))?;
        sync_dir(dir)
    }

    /// The highest number of a segment of one table; 0 if there is none.
    #[must_use]
    pub fn last_number(&self, table: &str) -> u32 {
        let files = self.segments.iter().filter(|s| s.table == table);
        let names = files.filter_map(|s| s.file.rsplit('/').next());
        names.filter_map(layout::segment_number).max().unwrap_or(0)
    }

    /// The segments of one table, in order.
    pub fn segments_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Segment> {
        self.segments.iter().filter(move |s| s.table == table)
    }
}

/// Opens a file that must be a regular one: to open a FIFO would wait for its
/// writer, to open a device may do anything. Links are not followed.
fn open_plain(path: &Path) -> std::io::Result<File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    File::open(path)
}
