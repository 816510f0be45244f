//! What a session reads once a second: the clocks, what was lost, what recording
//! costs, and whether it must cost less.

use whence_schemas::clock as clock_table;

use super::Session;
use crate::clock;
use crate::config::Unwind;
use crate::loss::STREAMS;
use crate::overhead::Sampling;
use crate::pace::Usage;

impl Session {
    /// Reads the clocks and all counters.
    pub(super) fn tick(&mut self) -> anyhow::Result<()> {
        self.read_clock();
        let now_ns = clock::boot_ns();
        self.read_losses(now_ns)?;
        let bytes = self.manifest.segments.iter().map(|s| s.bytes).sum();
        let programs = self.loaded.programs(&self.plan);
        let sampling = self.sampling();
        let rows = &mut self.pipeline.sink.overhead.rows;
        self.overhead.take(now_ns, bytes, sampling, &programs, rows);
        self.settle_snapshot();
        let lost = self.losses.totals().values().sum();
        let seconds = self.started.elapsed().as_secs().cast_signed();
        self.progress.show(seconds, &self.pipeline.counts(), lost);
        Ok(())
    }

    /// How stacks are taken at the present pace.
    fn sampling(&self) -> Sampling {
        let step = self.pace.step();
        let budget = match self.plan.unwind_budget {
            Unwind::WHATEVER_IT_COSTS => Unwind::WHATEVER_IT_COSTS,
            budget => budget * u64::from(step.eighths) / 8,
        };
        Sampling {
            period: self.plan.counter.map(|c| c.period * step.factor),
            memory_budget: budget,
        }
    }

    /// Slows down what may be, or takes it up again, if it is time.
    pub(super) fn keep_pace(&mut self) {
        let now = self.losses.stacks();
        let before = std::mem::replace(&mut self.stacks, now);
        // One in a hundred: a few find no room when they interrupt each other.
        let behind = (now.1 - before.1) * 100 > now.0 - before.0;
        let (cpu_ns, wall_ns) = self.overhead.last();
        let before = self.sampling();
        let Some(step) = self.pace.take(Usage {
            cpu_ns,
            wall_ns,
            behind,
        }) else {
            return;
        };
        let after = self.sampling();
        if after == before {
            return;
        }
        let slowed = self.loaded.slow_sampling(step.factor);
        if slowed.is_ok() {
            self.losses.slow_sampling(step.factor);
        }
        let done = slowed.and_then(|()| self.loaded.set_memory_budget(after.memory_budget));
        let note = match done {
            Ok(()) => {
                "stacks were taken less often at times, to keep to --max-cpu or since they \
                 came too fast: tables overhead and loss say when"
            }
            Err(_) => "stacks could not be taken less often when that was called for",
        };
        self.guard.tell(note, &mut self.manifest);
    }

    pub(super) fn read_losses(&mut self, now_ns: i64) -> anyhow::Result<()> {
        let rows = &mut self.pipeline.sink.loss.rows;
        for (index, (stream, _)) in STREAMS.iter().enumerate() {
            let counters = self.loaded.counters(*stream)?;
            self.losses.take(index, counters, now_ns, rows);
        }
        for program in self.loaded.programs(&self.plan) {
            let misses = program.recursion_misses;
            self.losses.take_misses(&program.name, misses, now_ns, rows);
        }
        self.losses
            .take_untracked(self.loaded.untracked(), now_ns, rows);
        self.losses
            .take_untimed(self.loaded.untimed_waits(), now_ns, rows);
        self.losses
            .take_throttled(self.loaded.throttled(), now_ns, rows);
        for (index, cause, count) in self.pipeline.valve.take() {
            let (_, stream) = STREAMS[index];
            self.losses.take_held(stream, cause, count, now_ns, rows);
        }
        self.losses.end_interval(now_ns);
        Ok(())
    }

    /// Once all processes that were there have been taken, says so.
    pub(super) fn settle_snapshot(&mut self) {
        let generated = self
            .losses
            .generated()
            .find(|(stream, _)| *stream == "snapshot")
            .map_or(0, |(_, count)| count);
        let lost = self.losses.totals().get("snapshot").copied().unwrap_or(0);
        let counts = self.pipeline.counts();
        let received = counts.get("snapshot").copied().unwrap_or(0);
        if received + lost >= generated && !self.settled {
            self.settled = true;
            self.pipeline.settle_snapshot(&self.roots);
        }
    }

    pub(super) fn read_clock(&mut self) {
        let now = clock::read();
        self.pipeline.clock = now;
        self.pipeline.sink.clock.rows.push(clock_table::Row {
            ts_ns: now.boot_ns,
            mono_ns: now.mono_ns,
            real_ns: now.real_ns,
            time: now.real_ns.div_euclid(1_000),
        });
    }
}
