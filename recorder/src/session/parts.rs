//! A session as a flight recorder: when a part begins, when old ones go, and when
//! what is kept is frozen into a recording of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::Receiver;

use super::{Session, Stop, random_id};
use crate::flight::{self, Keep};
use crate::ring::{self, Chunk};
use crate::{clock, freeze};

/// Least time between two triggers, where no time is kept.
const APART: Duration = Duration::from_secs(60);

/// Where a flight recorder stands.
#[derive(Debug)]
pub(super) struct Parts {
    keep: Keep,
    begun: Instant,
    triggered: Option<Instant>,
    freezing: Option<JoinHandle<()>>,
}

impl Parts {
    /// At the begin of the first part.
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            begun: Instant::now(),
            triggered: None,
            freezing: None,
        }
    }
}

impl Session {
    /// Whether somebody wants what is in memory to be written.
    pub(super) fn is_asked_to_write(&self, stop: &Stop) -> bool {
        stop.write.swap(false, Ordering::Relaxed)
    }

    /// Takes what has happened until now: it may lie in the rings for a moment.
    pub(super) fn catch_up(&mut self, chunks: &Receiver<Chunk>) -> anyhow::Result<()> {
        let until = Instant::now() + ring::INTERVAL * 3;
        while let Ok(chunk) = chunks.recv_deadline(until) {
            self.take(&chunk)?;
        }
        self.read_clock();
        Ok(())
    }

    /// Whether the present part is so large that it must not grow.
    pub(super) fn is_crowded(&self) -> bool {
        let Some(parts) = &self.parts else {
            return false;
        };
        self.part_bytes() + self.pipeline.sink.open_bytes() >= parts.keep.part_bytes()
    }

    fn part_bytes(&self) -> u64 {
        let part = self.pipeline.sink.part_ns;
        let own = self.manifest.segments.iter().rev();
        let own = own.take_while(|s| s.at_ns == part);
        own.map(|s| s.bytes).sum()
    }

    /// After a rotation: begins a part if it is time, and lets go of old ones.
    pub(super) fn keep_newest(&mut self, hold_snapshot: bool) -> anyhow::Result<()> {
        let bytes = self.part_bytes();
        let Some(parts) = &mut self.parts else {
            return Ok(());
        };
        let keep = parts.keep;
        if parts.begun.elapsed() >= keep.part() || bytes >= keep.part_bytes() {
            parts.begun = Instant::now();
            self.pipeline.begin_part(clock::boot_ns(), hold_snapshot);
            self.read_clock();
            self.settled = false;
            self.loaded.snapshot()?;
        }
        let before = self.manifest.segments.len();
        flight::drop_old(keep, &self.dir, &mut self.manifest, clock::boot_ns())?;
        if self.manifest.segments.len() < before {
            self.pipeline.sink.list(&self.manifest)?;
        }
        Ok(())
    }

    /// Freezes what is kept, on SIGUSR1 or a trigger. Triggers that come while
    /// what they would keep is kept already are passed over.
    pub(super) fn freeze_if_asked(
        &mut self,
        stop: &Stop,
        chunks: &Receiver<Chunk>,
    ) -> anyhow::Result<()> {
        let asked = stop.freeze.swap(false, Ordering::Relaxed);
        let trigger = self.pipeline.triggers.take();
        let Some(parts) = &mut self.parts else {
            return Ok(());
        };
        let apart = parts.keep.time.unwrap_or(APART);
        let recent = parts.triggered.is_some_and(|at| at.elapsed() < apart);
        let why = match trigger {
            _ if asked => "SIGUSR1".to_owned(),
            Some(trigger) if !recent => trigger,
            _ => return Ok(()),
        };
        let busy = parts.freezing.as_ref().is_some_and(|t| !t.is_finished());
        // Its name is the time to a second.
        if busy || place_now(&self.dir).exists() {
            stop.freeze.fetch_or(asked, Ordering::Relaxed);
            return Ok(());
        }
        parts.triggered = Some(Instant::now());
        self.catch_up(chunks)?;
        self.rotate()?;
        self.pipeline.sink.list(&self.manifest)?;
        self.start_freezing(why)
    }

    /// On a thread of its own: recording goes on.
    fn start_freezing(&mut self, why: String) -> anyhow::Result<()> {
        let from = self.dir.clone();
        let to = place_now(&from);
        let id = random_id()?;
        let work = move || {
            let shown = to.display().to_string();
            match freeze::freeze(&from, &to, &id) {
                Ok(()) => eprintln!("whence-record: {why}: kept {shown}"),
                Err(e) => eprintln!("whence-record: {why}: {e}"),
            }
        };
        let thread = std::thread::Builder::new()
            .name("whence-freeze".into())
            .spawn(work)
            .context("failed to start a thread")?;
        if let Some(parts) = &mut self.parts {
            parts.freezing = Some(thread);
        }
        Ok(())
    }

    /// Waits until what is being frozen is whole.
    pub(super) fn wait_for_freeze(&mut self) {
        let freezing = self.parts.as_mut().and_then(|parts| parts.freezing.take());
        if let Some(thread) = freezing {
            let _ = thread.join();
        }
    }
}

/// Where what is frozen now is put.
fn place_now(dir: &Path) -> PathBuf {
    freeze::beside(dir, clock::read().real_ns / 1_000_000_000)
}
