//! Where the files of a recording lie: each in a folder, or all in one zip.
//!
//! Whoever reads a segment reads a range of bytes of a file, and need not know
//! which of both it is.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Deref;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::file::reader::{ChunkReader, Length};

use crate::archive::Archive;
use crate::{Error, Result, layout};

/// The folder or the zip of a recording.
#[derive(Clone, Debug)]
pub enum Place {
    /// A directory.
    Folder(PathBuf),
    /// A zip.
    Archive(Archive),
}

impl Place {
    /// What is at a path. A folder is not looked into.
    ///
    /// # Errors
    /// As [`Archive::open`], if it is a file.
    pub fn open(path: &Path) -> Result<Self> {
        match path.is_file() {
            true => Archive::open(path).map(Self::Archive),
            false => Ok(Self::Folder(path.to_path_buf())),
        }
    }

    /// The folder, or the zip.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(dir) => dir,
            Self::Archive(archive) => archive.path(),
        }
    }

    /// Where a file of a table lies, and how many bytes it has. Links are not
    /// followed: they could lead anywhere.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is no such file, or it cannot be read in
    /// place; [`Error::Io`].
    pub fn find(&self, table: &str, name: &str) -> Result<(Location, u64)> {
        match self {
            Self::Folder(dir) => {
                let path = dir.join(table).join(name);
                let bytes = plain_file(dir, &path)?;
                Ok((Location::from(path.as_path()), bytes))
            }
            Self::Archive(archive) => archive.find(&format!("{table}/{name}")),
        }
    }

    /// Names of the segments of a table that are there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn segments_of(&self, table: &str) -> Result<Vec<String>> {
        let is_segment = |name: &str| layout::segment_number(name).is_some();
        match self {
            Self::Folder(dir) => {
                let folder = dir.join(table);
                let entries = match fs::read_dir(&folder) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                    entries => entries.map_err(Error::io("list", &folder))?,
                };
                let name = |entry: io::Result<fs::DirEntry>| {
                    let entry = entry.map_err(Error::io("list", &folder))?;
                    Ok(entry.file_name().into_string().ok())
                };
                let names = entries.map(name).collect::<Result<Vec<_>>>()?;
                let names = names.into_iter().flatten();
                Ok(names.filter(|name| is_segment(name)).collect())
            }
            Self::Archive(archive) => {
                let of_table = |name: &str| {
                    let name = name.strip_prefix(table)?.strip_prefix('/')?;
                    is_segment(name).then(|| name.to_owned())
                };
                Ok(archive.names().filter_map(of_table).collect())
            }
        }
    }
}

/// Size of a regular file in a real folder of the recording.
fn plain_file(dir: &Path, path: &Path) -> Result<u64> {
    let folder = path.parent().unwrap_or(dir);
    let of_folder = fs::symlink_metadata(folder);
    let of_file = fs::symlink_metadata(path);
    match (of_folder, of_file) {
        (Ok(folder), Ok(file)) if folder.is_dir() && file.is_file() => Ok(file.len()),
        (Ok(_), Ok(_)) => Err(Error::corrupt(path, "it is not a regular file")),
        (Err(e), _) | (_, Err(e)) if e.kind() == io::ErrorKind::NotFound => {
            Err(Error::corrupt(path, "it is missing"))
        }
        (Err(e), _) | (_, Err(e)) => Err(Error::io("read", path)(e)),
    }
}

/// Where the bytes of a segment are. As a path it is its name for people: of a
/// segment in a zip, the zip's and its own joined.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    shown: PathBuf,
    /// The zip that holds it, with the first byte and their number.
    within: Option<(PathBuf, u64, u64)>,
}

impl Location {
    /// A range of bytes of another file.
    #[must_use]
    pub fn within(shown: PathBuf, file: PathBuf, offset: u64, bytes: u64) -> Self {
        Self {
            shown,
            within: Some((file, offset, bytes)),
        }
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(&self) -> io::Result<Slice> {
        match &self.within {
            Some((path, offset, bytes)) => Ok(Slice {
                file: Arc::new(File::open(path)?),
                offset: *offset,
                bytes: *bytes,
            }),
            None => {
                let file = File::open(&self.shown)?;
                Ok(Slice {
                    bytes: file.metadata()?.len(),
                    file: Arc::new(file),
                    offset: 0,
                })
            }
        }
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self {
            shown: path.to_path_buf(),
            within: None,
        }
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        path.as_path().into()
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

impl Deref for Location {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.shown
    }
}

impl AsRef<Path> for Location {
    fn as_ref(&self) -> &Path {
        &self.shown
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.display().fmt(f)
    }
}

/// Bytes of a file, from any thread.
#[derive(Clone, Debug)]
pub struct Slice {
    file: Arc<File>,
    offset: u64,
    bytes: u64,
}

impl Slice {
    /// Reads some of its bytes.
    ///
    /// # Errors
    /// If it has fewer, and what the system says.
    pub fn read_at(&self, start: u64, length: usize) -> io::Result<Vec<u8>> {
        let inside = start
            .checked_add(length as u64)
            .is_some_and(|end| end <= self.bytes);
        if !inside {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut content = vec![0; length];
        self.file.read_exact_at(&mut content, self.offset + start)?;
        Ok(content)
    }

    /// Reads it from `start` on.
    #[must_use]
    pub fn reader(&self, start: u64) -> SliceReader {
        SliceReader {
            slice: self.clone(),
            at: start,
        }
    }
}

impl Length for Slice {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Slice {
    type T = io::BufReader<SliceReader>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(io::BufReader::new(self.reader(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        Ok(self.read_at(start, length)?.into())
    }
}

/// Reads a [`Slice`] from some byte on.
#[derive(Debug)]
pub struct SliceReader {
    slice: Slice,
    at: u64,
}

impl Read for SliceReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.slice.bytes.saturating_sub(self.at);
        let most = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let at = self.slice.offset + self.at;
        let read = self.slice.file.read_at(&mut buf[..most], at)?;
        self.at += read as u64;
        Ok(read)
    }
}
