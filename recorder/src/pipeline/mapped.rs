//! What processes tell of the code that they have mapped, and the samples that
//! wait for it.

use super::{Pipeline, device};
use crate::decode::{self, Event, Mapping, Sample};
use crate::loss::MAPPING;
use crate::modules::{FileId, Told};
use crate::procfs;

impl Pipeline {
    /// Whether the code that a sample shows is not known yet, but will be told:
    /// its process has gone, which is on the ring. Then the sample waits.
    pub(super) fn must_wait(&mut self, sample: &Sample<'_>, record: &[u8]) -> bool {
        let ts_ns = sample.wire.header.ts_ns.cast_signed();
        while let Some(upid) = self.waiting.overdue(ts_ns) {
            self.release(upid);
        }
        let Some(leaf) = sample.user_stack.leaf() else {
            return false;
        };
        if self.valve.cause().is_some() {
            return false;
        }
        let owner = self.owner(&sample.wire.process);
        !self.stacks.knows(&owner, leaf, ts_ns)
            && procfs::has_ended(owner.pid)
            && self.waiting.add(owner.upid, ts_ns, record)
    }

    /// Takes the samples of a process that have waited.
    pub(super) fn release(&mut self, upid: i64) {
        for record in self.waiting.take(upid) {
            if let Ok(Event::Sample(sample)) = decode::decode(&record) {
                self.sample(&sample);
            }
        }
    }

    /// Takes all samples that wait: nothing more will come.
    pub fn release_all(&mut self) {
        while let Some(upid) = self.waiting.overdue(i64::MAX) {
            self.release(upid);
        }
    }

    pub(super) fn mapping(&mut self, event: &Mapping<'_>) {
        self.received(MAPPING);
        let wire = &event.wire;
        let owner = self.owner(&wire.process);
        let told = Told {
            start: wire.start,
            end: wire.end,
            offset: wire.offset,
            path: event.path(),
            id: FileId {
                dev: device(wire.dev).cast_unsigned(),
                inode: wire.inode,
                changed_ns: wire.changed_ns.cast_signed(),
            },
        };
        self.stacks
            .tell(&told, &owner, wire.header.ts_ns.cast_signed());
    }
}
