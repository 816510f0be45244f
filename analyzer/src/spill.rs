//! What does not fit in memory: in temporary files without a name, mapped, so
//! that the kernel may take their pages back at any time.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::fd::AsRawFd as _;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::alloc::Allocation;
use arrow::array::RecordBatch;
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::root_as_footer;
use arrow::ipc::writer::FileWriter;
use datafusion::execution::memory_pool::MemoryReservation;

use crate::{Error, Result, error};

/// Numbers on their way to a temporary file.
pub(crate) struct Spill(BufWriter<File>);

impl Spill {
    /// # Errors
    /// [`Error::Io`] if there is no folder for temporary files.
    pub(crate) fn create() -> Result<Self> {
        Ok(Self(BufWriter::with_capacity(1 << 20, temporary()?)))
    }

    /// # Errors
    /// [`Error::Limit`] if there is no space left.
    pub(crate) fn push(&mut self, numbers: &[i64]) -> Result<()> {
        let mut write = |number: &i64| self.0.write_all(&number.to_ne_bytes());
        numbers.iter().try_for_each(&mut write).map_err(full)
    }

    /// What was written.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn finish(self) -> Result<ScalarBuffer<i64>> {
        let file = self.0.into_inner().map_err(|e| full(e.into_error()))?;
        let bytes = mapped(&file)?;
        let length = bytes.len() / size_of::<i64>();
        Ok(ScalarBuffer::new(bytes, 0, length))
    }
}

/// The batch in memory, if there is room for it; else the same batch in a
/// temporary file.
///
/// # Errors
/// [`Error::Limit`] if there is no space left.
pub(crate) fn keep(batch: RecordBatch, memory: &MemoryReservation) -> Result<RecordBatch> {
    match memory.try_grow(batch.get_array_memory_size()) {
        Ok(()) => Ok(batch),
        Err(_) => written(&batch),
    }
}

fn written(batch: &RecordBatch) -> Result<RecordBatch> {
    let file = temporary()?;
    let mut writer = FileWriter::try_new(&file, &batch.schema())?;
    writer
        .write(batch)
        .and_then(|()| writer.finish())
        .map_err(|e| match e {
            ArrowError::IoError(_, e) => full(e),
            e => e.into(),
        })?;
    Ok(read(&mapped(&file)?)?)
}

/// The batch in an IPC file of one, without a copy.
fn read(bytes: &Buffer) -> std::result::Result<RecordBatch, ArrowError> {
    let invalid = || ArrowError::IpcError("a temporary file is not as it was written".into());
    let (content, trailer) = bytes.split_last_chunk().ok_or_else(invalid)?;
    let length = read_footer_length(*trailer)?;
    let start = content.len().checked_sub(length).ok_or_else(invalid)?;
    let footer = root_as_footer(&content[start..]).map_err(|_| invalid())?;
    let schema = fb_to_schema(footer.schema().ok_or_else(invalid)?);
    let mut decoder = FileDecoder::new(Arc::new(schema), footer.version());
    let part = |block: &arrow::ipc::Block| {
        let length = block.bodyLength() as usize + block.metaDataLength() as usize;
        bytes.slice_with_length(block.offset() as usize, length)
    };
    for block in footer.dictionaries().iter().flatten() {
        decoder.read_dictionary(block, &part(block))?;
    }
    let blocks = footer.recordBatches().ok_or_else(invalid)?;
    let block = blocks.iter().next().ok_or_else(invalid)?;
    let batch = decoder.read_record_batch(block, &part(block))?;
    batch.ok_or_else(invalid)
}

fn temporary() -> Result<File> {
    tempfile::tempfile().map_err(|source| Error::Io {
        action: "create",
        object: "a file for spilling; set TMPDIR to a folder that can be written".into(),
        source,
    })
}

fn full(source: std::io::Error) -> Error {
    match error::is_full(&source) {
        true => error::full_disk(),
        false => Error::Io {
            action: "write",
            object: "a file for spilling".into(),
            source,
        },
    }
}

/// A mapping of a whole file.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the pages are only read, and belong to the mapping until it is dropped.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}
impl std::panic::RefUnwindSafe for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing refers to it any
        // more: buffers own the mapping.
        unsafe {
            libc::munmap(self.start.as_ptr().cast(), self.length);
        }
    }
}

/// The content of a file that only this process knows.
fn mapped(file: &File) -> Result<Buffer> {
    let failed = |source| Error::Io {
        action: "map",
        object: "a file for spilling".into(),
        source,
    };
    let length = file.metadata().map_err(failed)?.len();
    let length = usize::try_from(length).map_err(|e| failed(std::io::Error::other(e)))?;
    if length == 0 {
        return Ok(Buffer::from_vec(Vec::<i64>::new()));
    }
    // SAFETY: a new mapping, of which the kernel chooses the place.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    let start = match start {
        libc::MAP_FAILED => None,
        start => NonNull::new(start.cast::<u8>()),
    };
    let start = start.ok_or_else(|| failed(std::io::Error::last_os_error()))?;
    let mapping: Arc<dyn Allocation> = Arc::new(Mapping { start, length });
    // SAFETY: the mapping is that long and lives as long as the buffer; its file
    // has no name and no other writer, so that nothing changes or cuts it.
    Ok(unsafe { Buffer::from_custom_allocation(start, length, mapping) })
}
