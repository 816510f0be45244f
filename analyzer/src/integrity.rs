//! Whether the files of a recording are what its manifest says they are.

pub mod verify;

use std::io;

use whence_schemas::manifest::Manifest;
use whence_schemas::read::SegmentFile;
use whence_schemas::segment::sha256;
use whence_schemas::{Error, Result};

/// Compares a segment with the checksum that the manifest has of it, if it is
/// listed.
///
/// # Errors
/// [`Error::Corrupt`] if they differ, [`Error::Io`] if it cannot be read.
pub fn check(file: &SegmentFile, manifest: &Manifest) -> Result<()> {
    let name = file.path.file_name().and_then(|name| name.to_str());
    let mut listed = manifest.segments_of(file.def.name);
    let listed = listed.find(|s| s.file.rsplit('/').next() == name);
    let Some(listed) = listed else { return Ok(()) };
    let read = || {
        let reader = file.path.open()?.reader(0);
        sha256(io::BufReader::with_capacity(1 << 16, reader))
    };
    let (_, found) = read().map_err(Error::io("read", &*file.path))?;
    match found == listed.sha256 {
        true => Ok(()),
        false => Err(Error::corrupt(
            &*file.path,
            "its SHA-256 is not the one in recording.json",
        )),
    }
}
