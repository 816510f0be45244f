//! How a segment comes to be: a temporary name, sync, rename, sync of the
//! folder. A file with a segment's name is complete, or was damaged later.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use arrow::array::{Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::page::{self, Effort};
use crate::{Error, Result, TableDef, grouping, layout};

/// A finished segment, as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The table.
    pub table: String,
    /// File, relative to the recording.
    pub file: String,
    /// Rows in it.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Least value of the table's time column; `None` without rows.
    pub min_ns: Option<i64>,
    /// Greatest value of the table's time column.
    pub max_ns: Option<i64>,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// Begin of the part that it belongs to, of a flight recorder's recording;
    /// rows of `process` were true then. Without it, that is the begin of the
    /// recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ns: Option<i64>,
}

/// A segment being written. Dropped before [`finish`](Self::finish), it leaves
/// nothing behind.
#[derive(Debug)]
pub struct OpenSegment {
    def: &'static TableDef,
    dir: PathBuf,
    number: u32,
    effort: Effort,
    /// The file, until the first rows tell how to encode.
    file: Option<File>,
    writer: Option<ArrowWriter<Hashed>>,
    rows: u64,
    range: Option<(i64, i64)>,
}

impl OpenSegment {
    /// Begins segment `number` of a table in the recording at `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Encode`].
    pub fn create(dir: &Path, def: &'static TableDef, number: u32) -> Result<Self> {
        Self::create_with(dir, def, number, Effort::Recording)
    }

    /// The same with another effort.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with(
        dir: &Path,
        def: &'static TableDef,
        number: u32,
        effort: Effort,
    ) -> Result<Self> {
        let tmp = dir.join(layout::unfinished(def.name, number));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&tmp)
            .map_err(Error::io("create", &tmp))?;
        Ok(Self {
            def,
            dir: dir.to_path_buf(),
            number,
            effort,
            file: Some(file),
            writer: None,
            rows: 0,
            range: None,
        })
    }

    fn unfinished(&self) -> PathBuf {
        self.dir
            .join(layout::unfinished(self.def.name, self.number))
    }

    /// Begins to write, with the encodings that suit these first rows.
    fn begin(&mut self, first: Option<&RecordBatch>) -> Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let options = ArrowWriterOptions::new()
            .with_properties(page::properties(self.def, first, self.effort))
            // The Parquet types say all; Arrow's own copy of the schema would
            // be a kilobyte in each small segment.
            .with_skip_arrow_metadata(true);
        let schema = self.def.schema();
        let writer = ArrowWriter::try_new_with_options(Hashed::new(file), schema, options);
        self.writer = Some(writer.map_err(|cause| Error::Encode {
            path: self.unfinished(),
            cause,
        })?);
        Ok(())
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let grouped = grouping::grouped(self.def, batch)?;
        let batch = grouped.as_ref();
        self.begin(Some(batch))?;
        let path = self.unfinished();
        let Some(writer) = self.writer.as_mut() else {
            return Ok(());
        };
        let written = writer.write(batch).and_then(|()| {
            if writer.memory_size() > self.effort.row_group_bytes() {
                writer.flush()?;
            }
            Ok(())
        });
        written.map_err(|cause| Error::Encode { path, cause })?;
        self.rows += batch.num_rows() as u64;
        self.range = merge(self.range, time_range(self.def, batch));
        Ok(())
    }

    /// Writes what is held in memory, as a row group of its own.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn flush(&mut self) -> Result<()> {
        let Some(writer) = self.writer.as_mut() else {
            return Ok(());
        };
        writer.flush().map_err(|cause| Error::Encode {
            path: self
                .dir
                .join(layout::unfinished(self.def.name, self.number)),
            cause,
        })
    }

    /// Size of the file if it was finished now, about.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let writer = self.writer.as_ref();
        writer.map_or(0, |w| (w.bytes_written() + w.in_progress_size()) as u64)
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Encode`].
    pub fn finish(self) -> Result<Segment> {
        self.seal()?.publish()
    }

    /// Completes the file, which keeps its temporary name for now.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Encode`].
    pub fn seal(mut self) -> Result<SealedSegment> {
        self.begin(None)?;
        let tmp = self.unfinished();
        let Some(writer) = self.writer.take() else {
            return Err(Error::corrupt(&tmp, "finished twice"));
        };
        let (bytes, sha256) = close(writer, &tmp).inspect_err(|_| {
            let _ = fs::remove_file(&tmp);
        })?;
        let file = layout::segment(self.def.name, self.number);
        Ok(SealedSegment {
            dir: self.dir.clone(),
            tmp: Some(tmp),
            segment: Segment {
                table: self.def.name.into(),
                file: file.to_string_lossy().into_owned(),
                rows: self.rows,
                bytes,
                min_ns: self.range.map(|r| r.0),
                max_ns: self.range.map(|r| r.1),
                sha256,
                at_ns: None,
            },
        })
    }
}

/// A segment that is complete, under its temporary name. Dropped before
/// [`publish`](Self::publish), it leaves nothing behind.
#[derive(Debug)]
pub struct SealedSegment {
    dir: PathBuf,
    tmp: Option<PathBuf>,
    segment: Segment,
}

impl SealedSegment {
    /// Gives the file its name, durably.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn publish(mut self) -> Result<Segment> {
        if let Some(tmp) = &self.tmp {
            let path = self.dir.join(&self.segment.file);
            fs::rename(tmp, &path).map_err(Error::io("rename", tmp))?;
            self.tmp = None;
            sync_dir(&self.dir.join(&self.segment.table))?;
        }
        Ok(self.segment.clone())
    }
}

impl Drop for SealedSegment {
    fn drop(&mut self) {
        if let Some(tmp) = &self.tmp {
            let _ = fs::remove_file(tmp);
        }
    }
}

impl Drop for OpenSegment {
    fn drop(&mut self) {
        if self.file.take().is_some() || self.writer.take().is_some() {
            let _ = fs::remove_file(self.unfinished());
        }
    }
}

/// Writes a segment of a few batches at once.
///
/// # Errors
/// As [`OpenSegment`].
pub fn write(
    dir: &Path,
    def: &'static TableDef,
    number: u32,
    batches: &[RecordBatch],
) -> Result<Segment> {
    let mut segment = OpenSegment::create(dir, def, number)?;
    for batch in batches {
        segment.write(batch)?;
    }
    segment.finish()
}

/// Describes a finished segment that no manifest lists, after reading all of it.
///
/// # Errors
/// [`Error::Corrupt`] if it cannot be read as that table, [`Error::Io`].
pub fn describe(dir: &Path, def: &'static TableDef, file: &Path) -> Result<Segment> {
    let path = dir.join(file);
    let (mut rows, mut range) = (0, None);
    let columns: Vec<&str> = def.columns.iter().map(|c| c.name).collect();
    for batch in crate::read::Batches::open(&path, def, &columns)? {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        range = merge(range, time_range(def, &batch));
    }
    let opened = File::open(&path).map_err(Error::io("open", &path))?;
    let (bytes, sha256) = sha256(opened).map_err(Error::io("read", &path))?;
    Ok(Segment {
        table: def.name.into(),
        file: file.to_string_lossy().into_owned(),
        rows,
        bytes,
        min_ns: range.map(|r| r.0),
        max_ns: range.map(|r| r.1),
        sha256,
        at_ns: None,
    })
}

/// Makes the names in a folder durable.
///
/// # Errors
/// [`Error::Io`].
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(Error::io("sync", dir))
}

/// SHA-256 of a stream, in hexadecimal digits, with its length.
///
/// # Errors
/// What reading gives.
pub fn sha256(mut reader: impl io::Read) -> io::Result<(u64, String)> {
    let mut hashed = Hashed::new(io::sink());
    let bytes = io::copy(&mut reader, &mut hashed)?;
    Ok((bytes, hex(&hashed.hash.finalize())))
}

fn close(writer: ArrowWriter<Hashed>, tmp: &Path) -> Result<(u64, String)> {
    let hashed = writer.into_inner().map_err(|cause| Error::Encode {
        path: tmp.to_path_buf(),
        cause,
    })?;
    hashed.inner.sync_all().map_err(Error::io("sync", tmp))?;
    Ok((hashed.bytes, hex(&hashed.hash.finalize())))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn merge(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

fn time_range(def: &TableDef, batch: &RecordBatch) -> Option<(i64, i64)> {
    let column = batch.column_by_name(def.time_column)?;
    let times = column.as_any().downcast_ref::<Int64Array>()?;
    Some((arrow::compute::min(times)?, arrow::compute::max(times)?))
}

/// Hashes and counts what is written through it.
#[derive(Debug)]
struct Hashed<W = File> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            bytes: 0,
        }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf)?;
        self.hash.update(&buf[..written]);
        self.bytes += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
