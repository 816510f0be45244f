//! The bytes of some columns of one row group, read at once: pages are then
//! slices of them, and threads that read one file do not share its position.

use std::path::Path;

use bytes::{Buf as _, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use crate::place::Location;
use crate::{Error, Result};

/// The column chunks of a row group that are wanted.
#[derive(Debug)]
pub(super) struct Chunks {
    len: u64,
    /// Where each begins in the file, with its bytes.
    parts: Vec<(u64, Bytes)>,
}

impl Chunks {
    /// Reads them.
    pub(super) fn read(
        location: &Location,
        metadata: &ParquetMetaData,
        row_group: usize,
        mask: &ProjectionMask,
    ) -> Result<Self> {
        let path: &Path = location;
        let file = location.open().map_err(Error::io("open", path))?;
        let len = Length::len(&file);
        let columns = metadata.row_group(row_group).columns();
        let mut parts = Vec::new();
        for (leaf, column) in columns.iter().enumerate() {
            if !mask.leaf_included(leaf) {
                continue;
            }
            let (start, bytes) = column.byte_range();
            let inside = start.checked_add(bytes).is_some_and(|end| end <= len);
            let size = usize::try_from(bytes).ok().filter(|_| inside);
            let size = size
                .ok_or_else(|| Error::corrupt(path, "a column lies beyond the end of the file"))?;
            let part = file.read_at(start, size);
            let part = part.map_err(Error::io("read", path))?;
            parts.push((start, part.into()));
        }
        Ok(Self { len, parts })
    }

    fn tail(&self, start: u64) -> ParquetResult<Bytes> {
        let found = self.parts.iter().find_map(|(at, part)| {
            let skip = usize::try_from(start.checked_sub(*at)?).ok()?;
            (skip < part.len()).then(|| part.slice(skip..))
        });
        found.ok_or_else(|| ParquetError::EOF(format!("no column has byte {start}")))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.tail(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let part = self.tail(start)?;
        match length <= part.len() {
            true => Ok(part.slice(..length)),
            false => Err(ParquetError::EOF(format!(
                "a page at byte {start} goes on beyond its column"
            ))),
        }
    }
}
