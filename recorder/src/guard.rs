//! Keeps the recorder within its bounds of memory and disk. It decides what is
//! forgotten, held back or ended; everything that it does is counted as loss and
//! said in a note.

use std::path::Path;
use std::time::{Duration, Instant};

use whence_schemas::loss;
use whence_schemas::manifest::Manifest;

use crate::loss::{Losses, STREAMS};
use crate::memory;
use crate::pipeline::Pipeline;
use crate::room::{Cause, Level, Room};
use crate::sink::Failure;
use crate::valve::MEMORY;

/// Cause of what is held back after a failure to write.
const WRITE: &str = "write failed";
/// Least time between two attempts to make memory.
const APART: Duration = Duration::from_secs(5);
/// Tables whose rows can be done without: with those of any other, the recording
/// ends.
const BULKY: [&str; 5] = ["sample", "stack", "frame", "symbol", "mapping"];

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most bytes of memory, the rings included.
    pub max_memory: u64,
    /// Bytes that the rings take, and what times waits in the kernel.
    pub in_kernel: u64,
    /// Most bytes on disk.
    pub max_size: Option<u64>,
    /// Bytes of the disk that are left free.
    pub keep_free: u64,
}

/// Watches over the bounds.
#[derive(Debug)]
pub struct Guard {
    bounds: Bounds,
    room: Room,
    /// Whether something could not be written; bulk stays off then.
    failed: bool,
    /// When memory was last made.
    shed: Option<Instant>,
    /// What was said already.
    told: Vec<&'static str>,
}

impl Guard {
    /// For the recording at `dir`.
    #[must_use]
    pub fn new(dir: &Path, bounds: Bounds) -> Self {
        Self {
            bounds,
            room: Room::new(dir, bounds.max_size, bounds.keep_free),
            failed: false,
            shed: None,
            told: Vec::new(),
        }
    }

    /// Looks at memory, after some events. What can be found again is forgotten
    /// first; if that is not enough, bulky streams are held back.
    pub fn watch_memory(&mut self, pipeline: &mut Pipeline, manifest: &mut Manifest) {
        let used = || memory::own_bytes() + self.bounds.in_kernel;
        let level = || memory::level(used(), self.bounds.max_memory);
        match level() {
            memory::Level::High => {
                // What was forgotten is read again: not over and over.
                if self.shed.is_none_or(|at| at.elapsed() > APART) {
                    self.shed = Some(Instant::now());
                    pipeline.shed();
                    memory::trim();
                }
                if level() == memory::Level::High && pipeline.valve.cause().is_none() {
                    self.close(MEMORY, pipeline, manifest);
                }
            }
            memory::Level::Low if pipeline.valve.cause() == Some(MEMORY) => pipeline.valve.open(),
            _ => {}
        }
    }

    /// Looks at the disk. Gives why the recording must end, if it must.
    ///
    /// # Errors
    /// If there is no room left on the disk.
    pub fn watch_disk(
        &mut self,
        pipeline: &mut Pipeline,
        manifest: &mut Manifest,
    ) -> anyhow::Result<Option<Cause>> {
        let bytes: u64 = manifest.segments.iter().map(|s| s.bytes).sum();
        let of = |table| manifest.segments_of(table).map(|s| s.bytes).sum::<u64>();
        // The complete table of processes is written beside what there is.
        let ending = of("exec") + of("process");
        let cause = pipeline.valve.cause();
        match self.room.level(bytes + pipeline.sink.open_bytes(), ending) {
            Level::Enough if self.failed || cause == Some(MEMORY) => {}
            Level::Enough => pipeline.valve.open(),
            Level::Scarce(why) if cause.is_none() => self.close(why, pipeline, manifest),
            Level::Scarce(_) => {}
            Level::Gone(Cause::Size) => {
                self.tell("it ended at its --max-size", manifest);
                return Ok(Some(Cause::Size));
            }
            Level::Gone(Cause::Disk) => anyhow::bail!(
                "failed to go on: the disk is full but for what is kept free; make room, or \
                 lower --keep-free"
            ),
        }
        Ok(None)
    }

    /// Takes what could not be written. Without bulky tables the recording goes
    /// on.
    ///
    /// # Errors
    /// If process life cannot be written.
    pub fn take_failures(
        &mut self,
        pipeline: &mut Pipeline,
        manifest: &mut Manifest,
        losses: &mut Losses,
        now_ns: i64,
    ) -> anyhow::Result<()> {
        for failure in pipeline.sink.failures() {
            count(&failure, losses, now_ns, &mut pipeline.sink.loss.rows);
            if !BULKY.contains(&failure.table) {
                return Err((*failure.error).into());
            }
            self.failed = true;
            miss(&failure, manifest);
            pipeline.stacks.forget();
            self.close(WRITE, pipeline, manifest);
        }
        Ok(())
    }

    /// Most bytes of memory.
    #[must_use]
    pub fn max_memory(&self) -> u64 {
        self.bounds.max_memory
    }

    /// Makes the room that was kept back available, for the end.
    pub fn release(&mut self) {
        self.room.release();
    }

    fn close(&mut self, cause: &'static str, pipeline: &mut Pipeline, manifest: &mut Manifest) {
        pipeline.valve.close(cause);
        let note = match cause {
            MEMORY => "stacks were held back at times, to keep to --max-memory",
            WRITE => "stacks were held back after a failure to write",
            "size limit" => "stacks were held back in the end, to leave --max-size to processes",
            _ => "stacks were held back while the disk was nearly full (--keep-free)",
        };
        self.tell(note, manifest);
    }

    /// Says something in the recording, once.
    pub fn tell(&mut self, note: &'static str, manifest: &mut Manifest) {
        if !self.told.contains(&note) {
            self.told.push(note);
            manifest.notes.push(note.into());
        }
    }
}

/// Says that rows are missing, once for each table: the first cause is that of
/// those that follow.
pub fn miss(failure: &Failure, manifest: &mut Manifest) {
    let begin = format!("rows of {}: ", failure.table);
    if manifest
        .missing
        .iter()
        .all(|line| !line.starts_with(&begin))
    {
        manifest.missing.push(format!("{begin}{}", failure.error));
    }
}

/// Counts the events that are lost with rows that could not be written.
pub fn count(failure: &Failure, losses: &mut Losses, now_ns: i64, rows: &mut loss::Builder) {
    for ((_, stream), count) in STREAMS.iter().zip(failure.events) {
        losses.take_held(stream, WRITE, count, now_ns, rows);
    }
}
