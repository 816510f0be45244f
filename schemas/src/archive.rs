//! A recording in one zip file: a bundle. Reads where its files lie, so that
//! they are read in place and nothing is unpacked.
//!
//! A zip from a stranger can say anything. Everything that is not what a bundle
//! looks like is refused as a whole, before any of it is used: names that lead
//! out of it, links, two files of one name, files that share bytes, more files
//! than a recording has. Nothing is decompressed, so that nothing can swell.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipFileHeaderRecord};

use crate::place::Location;
use crate::{Error, Result, layout};

/// Files in a zip, at most.
const MAX_ENTRIES: u64 = 100_000;
/// Bytes of a name, at most.
const MAX_NAME_BYTES: usize = 512;

/// A zip with one recording in it.
#[derive(Clone, Debug)]
pub struct Archive {
    path: PathBuf,
    /// Files of the recording, by their name in it.
    files: BTreeMap<String, Entry>,
}

/// Where a file lies in the zip.
#[derive(Clone, Copy, Debug)]
struct Entry {
    header: u64,
    offset: u64,
    end: u64,
    crc32: u32,
    stored: bool,
}

impl Archive {
    /// Opens a zip.
    ///
    /// # Errors
    /// [`Error::NotARecording`] if it is no zip, was cut, or has no recording;
    /// [`Error::Corrupt`] if it is not what a bundle looks like; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let not = |reason: String| Error::NotARecording {
            path: path.to_path_buf(),
            reason,
        };
        let file = File::open(path).map_err(Error::io("open", path))?;
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let zip = ZipArchive::from_file(file, &mut buffer).map_err(|_| {
            not("it is neither a folder with a recording.json nor a whole zip".into())
        })?;
        if zip.entries_hint() > MAX_ENTRIES {
            return Err(too_many(path));
        }
        let corrupt = |e: rawzip::Error| Error::corrupt(path, format!("it is no sound zip: {e}"));
        let mut all = BTreeMap::new();
        let mut entries = zip.entries(&mut buffer);
        let mut count = 0;
        while let Some(record) = entries.next_entry().map_err(corrupt)? {
            count += 1;
            if count > MAX_ENTRIES {
                return Err(too_many(path));
            }
            let name = checked_name(path, &record)?;
            if record.is_dir() {
                continue;
            }
            let place = zip.get_entry(record.wayfinder()).map_err(corrupt)?;
            let (offset, end) = place.compressed_data_range();
            let entry = Entry {
                header: record.local_header_offset(),
                offset,
                end,
                crc32: record.crc32(),
                stored: record.compression_method() == CompressionMethod::STORE
                    && !record.flags().is_encrypted()
                    && record.compressed_size_hint() == record.uncompressed_size_hint(),
            };
            if all.insert(name.clone(), entry).is_some() {
                let reason = format!("it has two files named {name:?}");
                return Err(Error::corrupt(path, reason));
            }
        }
        apart(path, &all)?;
        let root = root(&all).ok_or_else(|| {
            not(format!(
                "it is a zip without exactly one {}",
                layout::MANIFEST
            ))
        })?;
        let of_root = all.into_iter().filter_map(|(name, entry)| {
            let name = name.strip_prefix(&root)?;
            Some((name.to_owned(), entry))
        });
        Ok(Self {
            path: path.to_path_buf(),
            files: of_root.collect(),
        })
    }

    /// The zip itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of its files, relative to the recording.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Where a file lies and how many bytes it has.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is missing, or compressed.
    pub fn find(&self, name: &str) -> Result<(Location, u64)> {
        let shown = self.path.join(name);
        let entry = self
            .files
            .get(name)
            .ok_or_else(|| Error::corrupt(&shown, "it is missing"))?;
        if !entry.stored {
            let reason = format!(
                "it is compressed or encrypted in the zip, which cannot be read in place; \
                 unpack {} and name the folder",
                self.path.display()
            );
            return Err(Error::corrupt(&shown, reason));
        }
        let bytes = entry.end - entry.offset;
        let location = Location::within(shown, self.path.clone(), entry.offset, bytes);
        Ok((location, bytes))
    }

    /// The content of a small file.
    ///
    /// # Errors
    /// As [`find`](Self::find), and if it has more bytes than that, or not the
    /// checksum that the zip has of it.
    pub fn read(&self, name: &str, max_bytes: u64) -> Result<Vec<u8>> {
        let (location, bytes) = self.find(name)?;
        if bytes > max_bytes {
            let reason = format!("it is larger than {} MiB", max_bytes >> 20);
            return Err(Error::corrupt(&*location, reason));
        }
        let content = (|| {
            let mut content = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
            let entry = &self.files[name];
            File::open(&self.path)?.read_exact_at(&mut content, entry.offset)?;
            Ok(content)
        })();
        let content: Vec<u8> = content.map_err(Error::io("read", &*location))?;
        if rawzip::crc32(&content) != self.files[name].crc32 {
            return Err(Error::corrupt(
                &*location,
                "its checksum in the zip differs",
            ));
        }
        Ok(content)
    }
}

fn too_many(path: &Path) -> Error {
    Error::corrupt(path, format!("it has more than {MAX_ENTRIES} files"))
}

/// The name of an entry, if it stays within the zip and is no link.
fn checked_name(path: &Path, record: &ZipFileHeaderRecord<'_>) -> Result<String> {
    let raw = record.file_path();
    let bytes = raw.as_bytes();
    let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_NAME_BYTES)]).into_owned();
    if record.mode().is_symlink() {
        let reason = format!("{:?} in it is a link", shown());
        return Err(Error::corrupt(path, reason));
    }
    let name = std::str::from_utf8(bytes).unwrap_or_default();
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let whole = name.strip_suffix('/').unwrap_or(name);
    let stays = bytes.len() <= MAX_NAME_BYTES
        && whole.split('/').all(plain)
        && !whole.contains(['\\', '\0', ':']);
    match stays {
        true => Ok(name.to_owned()),
        false => {
            let reason = format!("{:?} is no name for a file in it", shown());
            Err(Error::corrupt(path, reason))
        }
    }
}

/// Refuses files that share bytes.
fn apart(path: &Path, all: &BTreeMap<String, Entry>) -> Result<()> {
    let mut places: Vec<(&Entry, &str)> = all.iter().map(|(n, e)| (e, n.as_str())).collect();
    places.sort_by_key(|(entry, _)| entry.header);
    for pair in places.windows(2) {
        let ((first, name), (second, other)) = (pair[0], pair[1]);
        if second.header < first.end {
            let reason = format!("{name:?} and {other:?} in it share bytes");
            return Err(Error::corrupt(path, reason));
        }
    }
    Ok(())
}

/// The folder of the only manifest: nothing, or one name and a slash.
fn root(all: &BTreeMap<String, Entry>) -> Option<String> {
    let mut manifests = all.keys().filter_map(|name| {
        let root = name.strip_suffix(layout::MANIFEST)?;
        let is_root = root.is_empty() || root.ends_with('/') && root.matches('/').count() == 1;
        is_root.then(|| root.to_owned())
    });
    match (manifests.next(), manifests.next()) {
        (Some(root), None) => Some(root),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
