//! The segments of recordings as the SQL engine opens them: those that were
//! checked, each a range of bytes in a folder's file or in a zip, and nothing
//! else. Nothing can be written, listed or deleted.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use futures::stream::{self, BoxStream, StreamExt as _};
use whence_schemas::place::{Location, Slice};

use crate::recording::{Recording, Segment};

/// By which the engine names it.
///
/// # Errors
/// None; the name is right.
pub fn url() -> datafusion::error::Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse("segment://recordings")
}

/// What the engine is told of a segment.
///
/// # Errors
/// If its path cannot be named to the engine.
pub fn meta(segment: &Segment) -> Result<ObjectMeta> {
    Ok(ObjectMeta {
        location: Path::from_absolute_path(&*segment.file.path)?,
        last_modified: UNIX_EPOCH.into(),
        size: segment.file.bytes,
        e_tag: None,
        version: None,
    })
}

/// The segments of some recordings.
#[derive(Debug)]
pub struct SegmentStore(HashMap<Path, (ObjectMeta, Location)>);

impl SegmentStore {
    /// All segments of these recordings that can be read.
    ///
    /// # Errors
    /// If a path cannot be named to the engine.
    pub fn new<'a>(recordings: impl IntoIterator<Item = &'a Recording>) -> Result<Self> {
        let segments = recordings.into_iter().flat_map(|r| &r.segments);
        let named = segments.map(|segment| {
            let meta = meta(segment)?;
            Ok((meta.location.clone(), (meta, segment.file.path.clone())))
        });
        Ok(Self(named.collect::<Result<_>>()?))
    }

    fn find(&self, path: &Path) -> Result<&(ObjectMeta, Location)> {
        self.0.get(path).ok_or_else(|| Error::NotFound {
            path: path.to_string(),
            source: "it is no segment of a recording".into(),
        })
    }

    /// Reads ranges of a segment, off the threads that must not wait.
    async fn read(&self, path: &Path, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        let location = self.find(path)?.1.clone();
        let read = move || -> std::io::Result<Vec<Bytes>> {
            let slice = location.open()?;
            ranges.into_iter().map(|r| bytes_of(&slice, r)).collect()
        };
        let generic = |source| Error::Generic {
            store: "segment",
            source,
        };
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.map_err(|e| generic(e.into()))?;
        read.map_err(|e| generic(e.into()))
    }
}

fn bytes_of(slice: &Slice, range: Range<u64>) -> std::io::Result<Bytes> {
    let length = range.end.saturating_sub(range.start);
    let length = usize::try_from(length).map_err(std::io::Error::other)?;
    slice.read_at(range.start, length).map(Bytes::from)
}

fn read_only(operation: &str) -> Error {
    Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: "recordings, which are only read".into(),
    }
}

impl fmt::Display for SegmentStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("segments of recordings")
    }
}

#[async_trait]
impl ObjectStore for SegmentStore {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only("put"))
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only("put"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let meta = self.find(location)?.0.clone();
        options.check_preconditions(&meta)?;
        let generic = |source: Box<dyn std::error::Error + Send + Sync>| Error::Generic {
            store: "segment",
            source,
        };
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|e| generic(e.into()))?,
            None => 0..meta.size,
        };
        let content = match options.head {
            true => Vec::new(),
            false => self.read(location, vec![range.clone()]).await?,
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter(content.into_iter().map(Ok)).boxed()),
            meta,
            range,
            attributes: Attributes::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read(location, ranges.to_vec()).await
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        stream::once(async { Err(read_only("delete")) }).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::once(async { Err(read_only("list")) }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(read_only("list"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only("copy"))
    }
}

/// A store that the engine can be given.
///
/// # Errors
/// As [`SegmentStore::new`].
pub fn of<'a>(recordings: impl IntoIterator<Item = &'a Recording>) -> Result<Arc<dyn ObjectStore>> {
    Ok(Arc::new(SegmentStore::new(recordings)?))
}
