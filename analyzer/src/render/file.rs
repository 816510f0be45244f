//! Files that appear whole or not at all.

use std::io::Write as _;
use std::path::Path;

use crate::recording::Recordings;
use crate::{Error, Result};

/// Writes a file under a temporary name, syncs it and renames it, readable by
/// its owner only, as recordings are. `-` is the standard output.
///
/// # Errors
/// [`Error::Usage`] for a place in one of the recordings, [`Error::Write`].
pub fn write(path: &Path, content: &[u8], recordings: &Recordings) -> Result<()> {
    if path == Path::new("-") {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(content).and_then(|()| out.flush());
        return written.map_err(Error::output);
    }
    let failed = |source| Error::Write {
        object: path.display().to_string(),
        source,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let real = folder.canonicalize().map_err(failed)?;
    if let Some(recording) = recordings.all.iter().find(|r| real.starts_with(&r.dir)) {
        return Err(Error::Usage(format!(
            "{} lies in the recording {}; write to a place outside of it",
            path.display(),
            recording.dir.display()
        )));
    }
    match path.metadata() {
        Ok(found) if found.is_dir() => {
            return Err(failed(std::io::ErrorKind::IsADirectory.into()));
        }
        // A pipe or a device is written to, never replaced.
        Ok(found) if !found.is_file() => return std::fs::write(path, content).map_err(failed),
        _ => (),
    }
    let mut file = tempfile::NamedTempFile::new_in(&real).map_err(failed)?;
    file.write_all(content)
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}
