//! CPU samples and hits of a probe. Few call paths make up most of them, as
//! Zipf's law has it.

use std::ops::Range;

use fastrand::Rng;
use whence_schemas::{Result, ids, sample};

use super::host::{Host, PROGRAMS};
use super::output::Output;
use super::paths::{Paths, mix};

/// CPUs of the host.
pub(crate) const CPUS: u32 = 128;
/// The event of CPU samples, and what one stands for.
pub(crate) const CPU: &str = "cpu-clock";
pub(crate) const CPU_WEIGHT: i64 = 10_101_010;
/// The event of the probe.
pub(crate) const BLOCK: &str = "tracepoint:block:block_rq_complete";

/// The samples still to be taken.
#[derive(Debug)]
pub(crate) struct Samples {
    rng: Rng,
    all: u64,
    taken: u64,
}

impl Samples {
    pub(crate) fn new(seed: u64, all: u64) -> Self {
        Self {
            rng: Rng::with_seed(mix(seed)),
            all,
            taken: 0,
        }
    }

    /// Takes samples evenly through a time, until there are so many in all.
    pub(crate) fn take(
        &mut self,
        range: &Range<i64>,
        due: u64,
        host: &Host,
        paths: &mut Paths,
        output: &mut Output,
    ) -> Result<()> {
        let count = due.min(self.all) - self.taken;
        let step = (range.end - range.start) as f64 / count.max(1) as f64;
        for i in 0..count {
            let ts_ns = range.start + (step * (i as f64 + self.rng.f64())) as i64;
            self.take_one(ts_ns, i, host, paths, output);
            output.relieve(0)?;
        }
        self.taken += count;
        Ok(())
    }

    fn take_one(
        &mut self,
        ts_ns: i64,
        i: u64,
        host: &Host,
        paths: &mut Paths,
        output: &mut Output,
    ) {
        let rng = &mut self.rng;
        // The rank of a path falls as its logarithm is even.
        let many = paths.users() as f64;
        let rank = many.powf(rng.f64()) as usize - 1;
        let program = mix(rank as u64) as usize % PROGRAMS.len();
        let of = host.latest(program);
        let row = sample::Row {
            ts_ns,
            event_id: ids::event_id(CPU),
            upid: Some(of.upid),
            pid: of.pid,
            tid: of.pid + (rank % 4) as i32,
            cpu: (i % u64::from(CPUS)) as i32,
            comm: PROGRAMS[program].comm,
            event: CPU,
            context: "task",
            weight: CPU_WEIGHT,
            ..sample::Row::default()
        };
        let deep = (rng.f64() * rng.f64() * 4.0) as u64;
        let row = match rng.u32(0..100) {
            0..4 => sample::Row {
                upid: None,
                pid: 0,
                tid: 0,
                comm: "swapper",
                context: "idle",
                kernel_stack_id: Some(paths.idle(ts_ns, output)),
                ..row
            },
            4..7 => sample::Row {
                context: "softirq",
                kernel_stack_id: Some(paths.interrupt(mix(rank as u64) + deep, ts_ns, output)),
                ..row
            },
            7..9 => sample::Row {
                event_id: ids::event_id(BLOCK),
                event: BLOCK,
                context: "softirq",
                weight: 1,
                kernel_stack_id: Some(paths.interrupt(deep, ts_ns, output)),
                ..row
            },
            9..39 => sample::Row {
                kernel_stack_id: Some(paths.kernel(rank as u64 / 8 + deep, ts_ns, output)),
                user_stack_id: Some(paths.user(rank, ts_ns, output)),
                ..row
            },
            _ => sample::Row {
                user_stack_id: Some(paths.user(rank, ts_ns, output)),
                ..row
            },
        };
        output.sink.sample.rows.push(row);
    }
}
