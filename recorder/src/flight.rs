//! The flight recorder: a recording of which only the newest time and size is
//! kept.
//!
//! It is made of parts, some eight to the time that is kept. A part stands alone:
//! it begins with the processes that run, and stores anew whatever its rows refer
//! to. So the oldest can go, and what is left is a recording like any other, that
//! began later. Every segment of a part says in the manifest when its part began.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use whence_schemas::lock::Lock;
use whence_schemas::manifest::{Clock, Gap, Manifest, State};
use whence_schemas::recover;
use whence_schemas::{Error, Result, process};

use crate::directory;
use crate::units;

/// Parts to the time and to the size that are kept.
const PARTS: u32 = 8;
/// No part is shorter.
const SHORTEST: Duration = Duration::from_secs(1);

/// What is kept: `10m`, `1GB` or `10m,1GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The newest of this time.
    pub time: Option<Duration>,
    /// At most so many bytes.
    pub bytes: Option<u64>,
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut keep = Self {
            time: None,
            bytes: None,
        };
        for part in text.split(',') {
            match (units::duration(part), units::size(part)) {
                (Ok(time), _) if keep.time.is_none() => keep.time = Some(time),
                (Err(_), Ok(bytes)) if keep.bytes.is_none() => keep.bytes = Some(bytes),
                _ => return Err("give a time, a size, or both, as in 10m,1GB".into()),
            }
        }
        match keep.bytes {
            Some(bytes) if bytes < 1 << 20 => Err("it must keep 1MB at the least".into()),
            _ => Ok(keep),
        }
    }
}

impl Keep {
    /// How long a part is.
    #[must_use]
    pub fn part(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(600);
        self.time
            .map_or(LONGEST, |time| (time / PARTS).clamp(SHORTEST, LONGEST))
    }

    /// How large a part may be.
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        self.bytes
            .map_or(u64::MAX, |bytes| bytes / u64::from(PARTS))
    }
}

/// Opens the directory of a flight recorder: one that is new, or the one that an
/// earlier run has left, be it killed. That of an earlier boot is finished and
/// set aside as `NAME.before.whence`.
///
/// # Errors
/// As [`directory::create`] and [`directory::reopen`]; if there is a recording
/// that is no flight recorder's.
pub fn open(dir: &Path, manifest: Manifest) -> Result<(Lock, Manifest)> {
    if fs::symlink_metadata(dir).is_err() {
        return Ok((directory::create(dir, &manifest)?, manifest));
    }
    let lock = directory::reopen(dir)?;
    let found = Manifest::read(dir)?;
    if found.options["flight_recorder"].is_null() {
        let reason = "it is a recording, but not of a flight recorder";
        return Err(Error::io("go on in", dir)(std::io::Error::other(reason)));
    }
    if found.boot_id != manifest.boot_id {
        recover::recover_locked(dir)?;
        let aside = aside(dir);
        if fs::symlink_metadata(&aside).is_ok() {
            directory::remove(&aside)?;
        }
        fs::rename(dir, &aside).map_err(Error::io("rename", dir))?;
        drop(lock);
        return Ok((directory::create(dir, &manifest)?, manifest));
    }
    let resumed = resume(recover::reopen_locked(dir)?, manifest);
    resumed.write(dir)?;
    Ok((lock, resumed))
}

/// Where the recording of an earlier boot goes.
fn aside(dir: &Path) -> PathBuf {
    let stem = dir.file_stem().unwrap_or_default().to_string_lossy();
    dir.with_file_name(format!("{stem}.before.whence"))
}

/// The manifest of a recording that goes on after a pause.
fn resume(old: Manifest, new: Manifest) -> Manifest {
    let last = old.segments.iter().filter_map(|s| s.max_ns).max();
    let end_ns = old.end_ns.or(last).unwrap_or(old.clock.boot_ns);
    let mut segments = old.segments;
    for segment in &mut segments {
        // The complete table of processes was true at the end.
        if old.process_complete && segment.table == process::DEF.name {
            segment.at_ns = Some(end_ns);
        }
    }
    let mut gaps = old.gaps;
    gaps.push(Gap {
        from_ns: end_ns,
        to_ns: new.clock.boot_ns,
        reason: "the recorder did not run".into(),
    });
    Manifest {
        recording_id: old.recording_id,
        clock: old.clock,
        notes: old.notes,
        missing: old.missing,
        gaps,
        segments,
        state: State::Recording,
        process_complete: false,
        end_ns: None,
        ..new
    }
}

/// The parts of a recording: when each began, oldest first.
fn parts(manifest: &Manifest) -> BTreeSet<i64> {
    let begin = manifest.clock.boot_ns;
    let segments = manifest.segments.iter();
    segments.map(|s| s.at_ns.unwrap_or(begin)).collect()
}

/// Lets go of the parts that need not be kept: all that ended before the time
/// that is kept, and the oldest while there is more than may be. The newest stays.
///
/// # Errors
/// If the manifest cannot be written or files not be removed.
pub fn drop_old(keep: Keep, dir: &Path, manifest: &mut Manifest, now_ns: i64) -> Result<()> {
    let parts: Vec<i64> = parts(manifest).into_iter().collect();
    let begin = manifest.clock.boot_ns;
    let of = |s: &whence_schemas::segment::Segment| s.at_ns.unwrap_or(begin);
    let mut bytes: u64 = manifest.segments.iter().map(|s| s.bytes).sum();
    let mut first = 0;
    for next in 1..parts.len() {
        let kept_ns = keep.time.map_or(i64::MAX, |t| t.as_nanos() as i64);
        let is_old = now_ns.saturating_sub(parts[next]) >= kept_ns;
        let is_much = keep.bytes.is_some_and(|most| bytes > most);
        if !is_old && !is_much {
            break;
        }
        let part = manifest.segments.iter().filter(|s| of(s) == parts[first]);
        bytes -= part.map(|s| s.bytes).sum::<u64>();
        first = next;
    }
    if first == 0 {
        return Ok(());
    }
    let oldest = parts[first];
    let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut manifest.segments)
        .into_iter()
        .partition(|s| of(s) >= oldest);
    manifest.segments = kept;
    manifest.clock = at(manifest.clock, oldest);
    manifest.gaps.retain(|gap| gap.to_ns > oldest);
    manifest.write(dir)?;
    for segment in gone {
        let path = dir.join(&segment.file);
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

/// The clocks at another moment.
fn at(clock: Clock, boot_ns: i64) -> Clock {
    let later = boot_ns.saturating_sub(clock.boot_ns);
    Clock {
        boot_ns,
        mono_ns: clock.mono_ns.saturating_add(later),
        real_ns: clock.real_ns.saturating_add(later),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whence_schemas::segment::Segment;

    const S: i64 = 1_000_000_000;

    fn keep(text: &str) -> Keep {
        text.parse().unwrap()
    }

    /// Parts of ten seconds, two segments and 100 bytes each.
    fn recording(dir: &Path, parts: i64) -> Manifest {
        fs::create_dir(dir.join("fork")).unwrap();
        let mut manifest = crate::session::manifest_for_tests();
        for i in 0..parts * 2 {
            let file = format!("fork/{:06}.parquet", i + 1);
            fs::write(dir.join(&file), "x").unwrap();
            manifest.segments.push(Segment {
                table: "fork".into(),
                file,
                rows: 1,
                bytes: 50,
                min_ns: Some(i * 5 * S),
                max_ns: Some(i * 5 * S + 1),
                sha256: String::new(),
                at_ns: Some(i / 2 * 10 * S),
            });
        }
        manifest
    }

    fn left(dir: &Path) -> usize {
        fs::read_dir(dir.join("fork")).unwrap().count()
    }

    #[test]
    fn time_and_size_are_read_in_any_order() {
        let both = keep("10m,1GB");
        assert_eq!(both, keep("1GB,10m"));
        assert_eq!(both.part(), Duration::from_secs(75));
        assert_eq!(both.part_bytes(), 128 << 20);
        assert_eq!(keep("2h").bytes, None);
        for wrong in ["", "10m,5m", "1GB,1GB", "x", "10m,1GB,1", "10m,1KB"] {
            assert!(wrong.parse::<Keep>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_part_goes_when_all_of_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let mut manifest = recording(dir.path(), 4);
        drop_old(keep("25s"), dir.path(), &mut manifest, 35 * S).unwrap();
        assert_eq!((manifest.segments.len(), left(dir.path())), (6, 6));
        assert_eq!(manifest.clock.boot_ns, 10 * S);
        drop_old(keep("25s"), dir.path(), &mut manifest, 1000 * S).unwrap();
        assert_eq!((manifest.segments.len(), left(dir.path())), (2, 2));
    }

    #[test]
    fn the_oldest_go_while_there_is_too_much() {
        let dir = tempfile::tempdir().unwrap();
        let mut manifest = recording(dir.path(), 4);
        let keep = Keep {
            time: None,
            bytes: Some(250),
        };
        drop_old(keep, dir.path(), &mut manifest, 35 * S).unwrap();
        assert_eq!(manifest.segments.len(), 4);
        assert_eq!(Manifest::read(dir.path()).unwrap().segments.len(), 4);
    }

    #[test]
    fn after_a_pause_it_goes_on_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let old = recording(dir.path(), 2);
        let mut new = crate::session::manifest_for_tests();
        new.clock.boot_ns = 100 * S;
        let resumed = resume(old, new);
        assert_eq!(resumed.segments.len(), 4);
        assert_eq!(resumed.clock.boot_ns, 0);
        assert_eq!(resumed.gaps[0].to_ns, 100 * S);
        let mut resumed = resumed;
        drop_old(keep("25s"), dir.path(), &mut resumed, 200 * S).unwrap();
        // The newest part is of before the pause as yet; so is the gap after it.
        assert_eq!((resumed.segments.len(), resumed.gaps.len()), (2, 1));
    }
}
