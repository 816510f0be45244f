//! Copies records out of the rings into chunks, and does nothing else.
//!
//! The chunks go through a bounded channel. When it is full this thread waits,
//! the rings fill, and the kernel side counts what finds no room: the workload
//! never waits, and loss is counted in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender};
use libbpf_rs::{MapHandle, RingBufferBuilder};

use crate::privilege;

/// Records as they lay on the ring, each with its length before it. Its memory is
/// used again when it has been dropped.
#[derive(Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    spare: Option<Sender<Vec<u8>>>,
}

/// A chunk of this size is handed on before the rings are empty.
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks between this thread and the pipeline: some 8 MiB in all.
const CHUNKS: usize = 8;
/// Chunks whose memory is kept for others: one is filled while one is taken.
const SPARE: usize = 2;
/// How long events may lie in a ring that is not nearly full.
pub const INTERVAL: Duration = Duration::from_millis(50);

impl Chunk {
    fn push(&mut self, record: &[u8]) {
        let length = record.len() as u32;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(record);
    }

    /// Memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The records in the order of their time, which is their first field.
    ///
    /// They were read ring by ring; a sample that was taken before an exec is to
    /// be seen before it.
    #[must_use]
    pub fn in_order(&self) -> Vec<&[u8]> {
        let mut records: Vec<&[u8]> = self.records().collect();
        let time = |record: &&[u8]| record.first_chunk::<8>().map(|b| u64::from_ne_bytes(*b));
        records.sort_by_key(time);
        records
    }

    /// The records as they were read.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (record, after) = after.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
            rest = after;
            Some(record)
        })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        // One with a large argv may be larger by far.
        if let Some(spare) = &self.spare
            && bytes.capacity() <= 2 * CHUNK_BYTES
        {
            bytes.clear();
            let _ = spare.try_send(bytes);
        }
    }
}

/// The thread that reads the rings.
#[derive(Debug)]
pub struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Reader {
    /// Starts reading the rings.
    ///
    /// # Errors
    /// If the thread or its rings cannot be made.
    pub fn start(rings: Vec<MapHandle>) -> anyhow::Result<(Self, Receiver<Chunk>)> {
        let (sender, receiver) = crossbeam_channel::bounded(CHUNKS);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("whence-ring".into())
            .spawn(move || read(&rings, &sender, &stopped))
            .context("failed to start the ring thread")?;
        Ok((Self { stop, thread }, receiver))
    }

    /// Asks the thread to take what is left and end; the channel closes then.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Waits for the thread.
    ///
    /// # Errors
    /// What reading the rings gave.
    pub fn join(self) -> anyhow::Result<()> {
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => anyhow::bail!("the ring thread died"),
        }
    }
}

fn read(rings: &[MapHandle], sender: &Sender<Chunk>, stop: &AtomicBool) -> anyhow::Result<()> {
    let (spare, spares) = crossbeam_channel::bounded(SPARE);
    let empty = || Chunk {
        bytes: spares.try_recv().unwrap_or_default(),
        spare: Some(spare.clone()),
    };
    let chunk = std::cell::RefCell::new(empty());
    let take = |record: &[u8]| {
        let mut chunk = chunk.borrow_mut();
        chunk.push(record);
        if chunk.bytes.len() >= CHUNK_BYTES {
            let _ = sender.send(std::mem::replace(&mut *chunk, empty()));
        }
        0
    };
    let mut builder = RingBufferBuilder::new();
    for ring in rings {
        builder.add(ring, take).context("failed to add a ring")?;
    }
    let ring = builder.build().context("failed to map the rings")?;
    // Nothing that follows needs any; where it cannot be done, no harm is.
    let _ = privilege::drop_capabilities(0);
    loop {
        // Asked before reading: what came until then is read once more.
        let last = stop.load(Ordering::Acquire);
        let wait = if last { Duration::ZERO } else { INTERVAL };
        // A wake-up only means that a ring is nearly full; an interrupted wait
        // means nothing. What is there is taken in any case.
        let _ = ring.poll_raw(wait);
        let _ = ring.consume_raw();
        let mut chunk = chunk.borrow_mut();
        let full = match chunk.bytes.is_empty() {
            true => None,
            false => Some(std::mem::replace(&mut *chunk, empty())),
        };
        if full.is_some_and(|full| sender.send(full).is_err()) || last {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_two_rings_are_put_in_order() {
        let mut chunk = Chunk::default();
        for (time, name) in [(1u64, b'a'), (9, b'd'), (2, b'b'), (3, b'c')] {
            chunk.push(&[time.to_ne_bytes().as_slice(), &[name]].concat());
        }
        let names: Vec<u8> = chunk.in_order().iter().map(|r| r[8]).collect();
        assert_eq!(names, b"abcd");
    }

    #[test]
    fn a_chunk_gives_back_its_records() {
        let mut chunk = Chunk::default();
        chunk.push(b"one");
        chunk.push(b"");
        chunk.push(b"three");
        let records: Vec<_> = chunk.records().collect();
        assert_eq!(records, [b"one".as_slice(), b"", b"three"]);
    }
}
