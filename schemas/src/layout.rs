//! Names of the files of a recording: the one place that builds and parses
//! them.
//!
//! ```text
//! NAME.whence/
//!   recording.json
//!   exec/000001.parquet      a finished segment
//!   exec/.000002.tmp         one being written; no reader's glob matches it
//! ```

use std::path::{Path, PathBuf};

/// Ending of the name of a recording's directory.
pub const EXTENSION: &str = "whence";
/// The manifest.
pub const MANIFEST: &str = "recording.json";
/// The manifest while it is written.
pub const UNFINISHED_MANIFEST: &str = ".recording.json.tmp";

/// The manifest of the recording at `dir`.
#[must_use]
pub fn manifest(dir: &Path) -> PathBuf {
    dir.join(MANIFEST)
}

/// Path of a finished segment, relative to the recording.
#[must_use]
pub fn segment(table: &str, number: u32) -> PathBuf {
    Path::new(table).join(format!("{number:06}.parquet"))
}

/// Path of a segment while it is written, relative to the recording.
#[must_use]
pub fn unfinished(table: &str, number: u32) -> PathBuf {
    Path::new(table).join(format!(".{number:06}.tmp"))
}

/// Path of a segment that was found damaged, relative to the recording: it is
/// kept, but no reader's glob matches it.
#[must_use]
pub fn damaged(segment: &Path) -> Option<PathBuf> {
    let name = segment.file_name()?.to_str()?;
    Some(segment.with_file_name(format!(".{name}.damaged")))
}

/// The number of a finished segment, from its file name.
#[must_use]
pub fn segment_number(file_name: &str) -> Option<u32> {
    let digits = file_name.strip_suffix(".parquet")?;
    (digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// Whether a file name is that of a segment being written.
#[must_use]
pub fn is_unfinished(file_name: &str) -> bool {
    file_name.starts_with('.') && file_name.ends_with(".tmp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_are_parsed_as_they_are_built() {
        let path = segment("exec", 42);
        let name = path.file_name().and_then(|n| n.to_str()).unwrap();
        assert_eq!(segment_number(name), Some(42));
        assert_eq!(segment_number(".000042.tmp"), None);
        assert_eq!(segment_number("../../x.parquet"), None);
        assert!(is_unfinished(".000042.tmp"));
    }
}
