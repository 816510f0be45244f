//! What was lost, by stream, cause and CPU, as rows with an interval.
//!
//! For each stream, generated = recorded + lost. The kernel side counts what it
//! generates and what finds no room; here the difference is taken per interval,
//! and at the end the sum is checked.

use std::collections::BTreeMap;

use whence_bpf::wire::{Counter, Stream};
use whence_schemas::loss;

/// Names of the streams, by their number on the ring.
pub const STREAMS: [(Stream, &str); 9] = [
    (Stream::WIRE_STREAM_FORK, "fork"),
    (Stream::WIRE_STREAM_EXEC, "exec"),
    (Stream::WIRE_STREAM_EXIT, "exit"),
    (Stream::WIRE_STREAM_SNAPSHOT, "snapshot"),
    (Stream::WIRE_STREAM_SAMPLE, "sample"),
    (Stream::WIRE_STREAM_PROBE, "probe"),
    (Stream::WIRE_STREAM_CALLER, "caller"),
    (Stream::WIRE_STREAM_MAPPING, "mapping"),
    (Stream::WIRE_STREAM_WAIT, "off-cpu"),
];

/// Index of a stream in [`STREAMS`].
pub const FORK: usize = 0;
/// Index of a stream in [`STREAMS`].
pub const EXEC: usize = 1;
/// Index of a stream in [`STREAMS`].
pub const EXIT: usize = 2;
/// Index of a stream in [`STREAMS`].
pub const SNAPSHOT: usize = 3;
/// Index of a stream in [`STREAMS`].
pub const SAMPLE: usize = 4;
/// Index of a stream in [`STREAMS`].
pub const PROBE: usize = 5;
/// Index of a stream in [`STREAMS`].
pub const CALLER: usize = 6;
/// Index of a stream in [`STREAMS`].
pub const MAPPING: usize = 7;
/// Index of a stream in [`STREAMS`].
pub const WAIT: usize = 8;

/// The losses so far.
#[derive(Debug)]
pub struct Losses {
    since_ns: i64,
    /// Counters as they were last read, by stream and CPU.
    counters: Vec<Vec<Counter>>,
    misses: BTreeMap<String, u64>,
    untracked: u64,
    untimed: u64,
    /// CPU samples that are left out for each that is taken.
    left_out: u64,
    throttled: BTreeMap<u32, u64>,
    totals: BTreeMap<&'static str, u64>,
}

impl Losses {
    /// None yet.
    #[must_use]
    pub fn new(now_ns: i64) -> Self {
        Self {
            since_ns: now_ns,
            counters: vec![Vec::new(); STREAMS.len()],
            misses: BTreeMap::new(),
            untracked: 0,
            untimed: 0,
            left_out: 0,
            throttled: BTreeMap::new(),
            totals: BTreeMap::new(),
        }
    }

    /// Takes the counters of a stream at the end of an interval.
    pub fn take(&mut self, index: usize, now: Vec<Counter>, now_ns: i64, rows: &mut loss::Builder) {
        let (_, stream) = STREAMS[index];
        for (cpu, counter) in now.iter().enumerate() {
            let before = self.counters[index].get(cpu);
            let (generated, ring_full) = before.map_or((0, 0), |c| (c.generated, c.ring_full));
            let count = counter.ring_full.saturating_sub(ring_full);
            let cpu = Some(cpu as i32);
            self.push(stream, "ring full", cpu, count, now_ns, rows);
            if index == SAMPLE {
                let left_out = counter.generated.saturating_sub(generated) * self.left_out;
                self.push(stream, "cpu limit", cpu, left_out, now_ns, rows);
            }
        }
        self.counters[index] = now;
    }

    /// From now on, one CPU sample is taken where `factor` were asked for. The rest
    /// counts as lost, though no time is: the one has the weight of all.
    pub fn slow_sampling(&mut self, factor: u64) {
        self.left_out = factor.saturating_sub(1);
    }

    /// Stacks so far, and those of them that have found no room in the rings.
    #[must_use]
    pub fn stacks(&self) -> (u64, u64) {
        let all = [SAMPLE, PROBE, WAIT].map(|stream| &self.counters[stream]);
        let sum = all.into_iter().flatten();
        sum.fold((0, 0), |sum, c| (sum.0 + c.generated, sum.1 + c.ring_full))
    }

    /// Takes how often a program was not run since it was running already.
    pub fn take_misses(&mut self, program: &str, now: u64, now_ns: i64, rows: &mut loss::Builder) {
        let stream = stream_of(program);
        let before = self.misses.insert(program.to_owned(), now).unwrap_or(0);
        let count = now.saturating_sub(before);
        self.push(stream, "program recursion", None, count, now_ns, rows);
    }

    /// Takes how many children could not be tracked.
    pub fn take_untracked(&mut self, now: u64, now_ns: i64, rows: &mut loss::Builder) {
        let count = now.saturating_sub(self.untracked);
        self.untracked = now;
        self.push("fork", "map full", None, count, now_ns, rows);
    }

    /// Takes what the recorder itself could not keep.
    pub fn take_held(
        &mut self,
        stream: &'static str,
        cause: &str,
        count: u64,
        now_ns: i64,
        rows: &mut loss::Builder,
    ) {
        self.push(stream, cause, None, count, now_ns, rows);
    }

    /// Takes how many waits could not be timed; some of them were long.
    pub fn take_untimed(&mut self, now: u64, now_ns: i64, rows: &mut loss::Builder) {
        let count = now.saturating_sub(self.untimed);
        self.untimed = now;
        self.push("off-cpu", "map full", None, count, now_ns, rows);
    }

    /// Takes how many samples the kernel has not taken, by CPU.
    pub fn take_throttled(&mut self, now: &[(u32, u64)], now_ns: i64, rows: &mut loss::Builder) {
        for (cpu, total) in now {
            let before = self.throttled.insert(*cpu, *total).unwrap_or(0);
            let count = total.saturating_sub(before);
            let cpu = Some(cpu.cast_signed());
            self.push("sample", "throttled", cpu, count, now_ns, rows);
        }
    }

    /// Ends the interval.
    pub fn end_interval(&mut self, now_ns: i64) {
        self.since_ns = now_ns;
    }

    /// Checks, after all is read, that what was generated was either received
    /// or counted as lost; the rest could not be decoded.
    pub fn check(
        &mut self,
        received: &[u64; STREAMS.len()],
        now_ns: i64,
        rows: &mut loss::Builder,
    ) {
        for (index, (_, stream)) in STREAMS.iter().enumerate() {
            let (generated, lost) = self.counters[index]
                .iter()
                .fold((0, 0), |sum, c| (sum.0 + c.generated, sum.1 + c.ring_full));
            let missing = generated.saturating_sub(lost + received[index]);
            self.push(stream, "decode", None, missing, now_ns, rows);
        }
    }

    /// Losses by stream.
    #[must_use]
    pub fn totals(&self) -> &BTreeMap<&'static str, u64> {
        &self.totals
    }

    /// Events that the kernel side has generated, by stream.
    pub fn generated(&self) -> impl Iterator<Item = (&'static str, u64)> {
        STREAMS.iter().zip(&self.counters).map(|((_, name), cpus)| {
            let generated = cpus.iter().map(|c| c.generated).sum();
            (*name, generated)
        })
    }

    fn push(
        &mut self,
        stream: &'static str,
        cause: &str,
        cpu: Option<i32>,
        count: u64,
        now_ns: i64,
        rows: &mut loss::Builder,
    ) {
        if count == 0 {
            return;
        }
        *self.totals.entry(stream).or_default() += count;
        rows.push(loss::Row {
            stream,
            cause,
            cpu,
            t0_ns: self.since_ns,
            t1_ns: now_ns,
            count: count.cast_signed(),
        });
    }
}

/// The stream that a program feeds.
fn stream_of(program: &str) -> &'static str {
    match program {
        "on_fork" => "fork",
        "on_prepare_exec" => "caller",
        "on_exec" | "on_execve_exit" | "on_execveat_exit" => "exec",
        "on_exit_group_dead" | "on_exit_last_live" => "exit",
        "on_snapshot" => "snapshot",
        "on_cpu_sample" => "sample",
        "on_switch" | "on_waking" => "off-cpu",
        _ => "probe",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(generated: u64, ring_full: u64) -> Counter {
        Counter {
            generated,
            ring_full,
        }
    }

    #[test]
    fn only_what_is_new_in_an_interval_becomes_a_row() {
        let mut rows = loss::Builder::default();
        let mut losses = Losses::new(0);
        losses.take(1, vec![counter(10, 3), counter(5, 0)], 100, &mut rows);
        losses.take(1, vec![counter(20, 3), counter(9, 0)], 200, &mut rows);
        assert_eq!(rows.len(), 1);
        losses.take(1, vec![counter(20, 4), counter(9, 2)], 300, &mut rows);
        assert_eq!(rows.len(), 3);
        assert_eq!(losses.totals()["exec"], 6);
    }

    #[test]
    fn samples_that_are_left_out_are_counted_and_those_taken_before_are_not() {
        let mut rows = loss::Builder::default();
        let mut losses = Losses::new(0);
        losses.take(SAMPLE, vec![counter(100, 0)], 100, &mut rows);
        losses.slow_sampling(4);
        losses.take(SAMPLE, vec![counter(110, 2)], 200, &mut rows);
        assert_eq!(losses.totals()["sample"], 30 + 2);
        assert_eq!(losses.stacks(), (110, 2));
        losses.slow_sampling(1);
        losses.take(SAMPLE, vec![counter(120, 2)], 300, &mut rows);
        assert_eq!(losses.totals()["sample"], 30 + 2);
    }

    /// generated = recorded + lost, whatever happens between ring and row.
    #[test]
    fn what_was_neither_received_nor_counted_is_lost_too() {
        let mut rows = loss::Builder::default();
        let mut losses = Losses::new(0);
        losses.take(0, vec![counter(10, 3)], 100, &mut rows);
        losses.check(&[6, 0, 0, 0, 0, 0, 0, 0, 0], 200, &mut rows);
        assert_eq!(losses.totals()["fork"], 4);
    }
}
