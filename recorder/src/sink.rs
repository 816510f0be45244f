//! Where rows become segments: one open file per table, closed and listed in
//! the manifest at each rotation.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use whence_schemas::manifest::Manifest;
use whence_schemas::segment::{OpenSegment, Segment};
use whence_schemas::table::TableBuilder;
use whence_schemas::{
    Error, Result, TABLES, clock, exec, exit, fork, frame, loss, mapping, overhead, process,
    sample, stack, symbol,
};

/// Rows, and bytes of what may be long, that are collected before they are
/// encoded.
const BATCH_ROWS: usize = 16 * 1024;
const BATCH_BYTES: usize = 8 << 20;

/// Makes the directory of a new recording, with a folder per table.
///
/// # Errors
/// If it exists, or cannot be made.
pub fn create(dir: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    let make = |path: &Path| builder.create(path).map_err(Error::io("create", path));
    make(dir)?;
    TABLES.iter().try_for_each(|def| make(&dir.join(def.name)))
}

/// A table that is being written.
#[derive(Debug)]
pub struct Stream<B> {
    /// Rows not yet encoded.
    pub rows: B,
    /// Bytes of those values of the rows that may be long.
    pub held_bytes: usize,
    open: Option<OpenSegment>,
    number: u32,
}

impl<B: TableBuilder> Stream<B> {
    fn new() -> Self {
        Self {
            rows: B::default(),
            held_bytes: 0,
            open: None,
            number: 1,
        }
    }

    /// Encodes what is there, if there is enough of it.
    fn relieve(&mut self, dir: &Path, boot_id: &str) -> Result<()> {
        if self.rows.len() < BATCH_ROWS && self.held_bytes < BATCH_BYTES {
            return Ok(());
        }
        self.encode(dir, boot_id)
    }

    fn encode(&mut self, dir: &Path, boot_id: &str) -> Result<()> {
        self.held_bytes = 0;
        let batch = self.rows.finish(boot_id)?;
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(OpenSegment::create(dir, B::def(), self.number)?),
        };
        open.write(&batch)
    }

    /// Closes the segment, if it has rows or `even_empty` is set.
    fn rotate(&mut self, dir: &Path, boot_id: &str, even_empty: bool) -> Result<Option<Segment>> {
        if !self.rows.is_empty() || even_empty && self.open.is_none() {
            self.encode(dir, boot_id)?;
        }
        let Some(open) = self.open.take() else {
            return Ok(None);
        };
        self.number += 1;
        open.finish().map(Some)
    }
}

macro_rules! tables {
    ($($table:ident),+ $(,)?) => {
        /// Every table that is being written.
        #[derive(Debug)]
        pub struct Sink {
            dir: PathBuf,
            boot_id: String,
            /// Segments that the manifest on disk lists.
            listed: usize,
            $( #[doc = concat!("Table `", stringify!($table), "`.")]
               pub $table: Stream<$table::Builder>, )+
        }

        impl Sink {
            /// For the recording at `dir`, which [`create`] has made.
            #[must_use]
            pub fn new(dir: &Path, boot_id: &str) -> Self {
                Self {
                    dir: dir.to_path_buf(),
                    boot_id: boot_id.to_owned(),
                    listed: 0,
                    $( $table: Stream::new(), )+
                }
            }

            /// Encodes the tables that have collected enough rows.
            ///
            /// # Errors
            /// If writing fails.
            pub fn relieve(&mut self) -> Result<()> {
                $( self.$table.relieve(&self.dir, &self.boot_id)?; )+
                Ok(())
            }

            /// Closes the segments and lists them. The manifest is written anew
            /// when an eighth has come to it: a reader finds the segments that it
            /// does not list yet, and writing it each time would in the end write
            /// more than the events do.
            ///
            /// # Errors
            /// If writing fails.
            pub fn rotate(&mut self, manifest: &mut Manifest) -> Result<()> {
                $(
                    let segment = self.$table.rotate(&self.dir, &self.boot_id, false)?;
                    manifest.segments.extend(segment);
                )+
                if manifest.segments.len() >= self.listed + (self.listed / 8).max(1) {
                    manifest.write(&self.dir)?;
                    self.listed = manifest.segments.len();
                }
                Ok(())
            }

            /// Closes the segments for good. A table without any row gets an
            /// empty one, so that other engines find its columns.
            ///
            /// # Errors
            /// If writing fails.
            pub fn close(&mut self, manifest: &mut Manifest) -> Result<()> {
                // One table that fails must not take the others with it.
                let mut result = Ok(());
                $(
                    let first = manifest.segments_of(stringify!($table)).next().is_none();
                    match self.$table.rotate(&self.dir, &self.boot_id, first) {
                        Ok(segment) => manifest.segments.extend(segment),
                        Err(error) => result = result.and(Err(error)),
                    }
                )+
                manifest.write(&self.dir).and(result)
            }
        }
    };
}

tables!(
    process, exec, fork, exit, sample, stack, frame, symbol, mapping, loss, clock, overhead
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The list above is the only one besides `TABLES`.
    #[test]
    fn every_table_has_a_stream() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("x.whence");
        create(&dir).unwrap();
        let mut manifest = crate::session::manifest_for_tests();
        Sink::new(&dir, "boot").close(&mut manifest).unwrap();
        let written: Vec<_> = manifest.segments.iter().map(|s| s.table.as_str()).collect();
        let defined: Vec<_> = TABLES.iter().map(|t| t.name).collect();
        assert_eq!(written, defined);
    }

    #[test]
    fn an_existing_directory_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let error = create(dir.path()).unwrap_err().to_string();
        assert!(error.starts_with("failed to create "), "{error}");
    }
}
