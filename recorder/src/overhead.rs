//! What recording costs: the recorder's CPU time, memory and output, and the
//! run time of its BPF programs, as rows per interval.

use std::collections::BTreeMap;

use whence_schemas::overhead;

use crate::config::Unwind;
use crate::loader::ProgramStats;
use crate::{clock, memory};

/// How stacks are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Events between CPU samples; `None` if there are none.
    pub period: Option<u64>,
    /// Bytes of user stack memory that are taken per CPU and tenth of a second.
    pub memory_budget: u64,
}

/// The readings before the present interval.
#[derive(Debug)]
pub struct Overhead {
    t0_ns: i64,
    cpu_ns: i64,
    bytes: u64,
    /// CPU time of the last interval, and its length.
    last: (u64, u64),
    programs: BTreeMap<String, (u64, u64)>,
}

impl Overhead {
    /// Begins the first interval.
    #[must_use]
    pub fn new(now_ns: i64) -> Self {
        Self {
            t0_ns: now_ns,
            cpu_ns: clock::cpu_ns(),
            bytes: 0,
            last: (0, 0),
            programs: BTreeMap::new(),
        }
    }

    /// CPU time of the recorder in the last interval, and its length, in nanoseconds.
    #[must_use]
    pub fn last(&self) -> (u64, u64) {
        self.last
    }

    /// Ends an interval. `bytes` are all that were written so far.
    pub fn take(
        &mut self,
        now_ns: i64,
        bytes: u64,
        sampling: Sampling,
        programs: &[ProgramStats],
        rows: &mut overhead::Builder,
    ) {
        let (t0_ns, t1_ns) = (self.t0_ns, now_ns);
        let cpu_ns = clock::cpu_ns();
        rows.push(overhead::Row {
            t0_ns,
            t1_ns,
            subject: "recorder",
            cpu_ns: Some(cpu_ns - self.cpu_ns),
            runs: None,
            bytes_written: Some(bytes.saturating_sub(self.bytes).cast_signed()),
            rss_bytes: Some(memory::resident_bytes().cast_signed()),
            sample_period: sampling.period.map(u64::cast_signed),
            memory_budget_bytes: Some(sampling.memory_budget)
                .filter(|bytes| *bytes != Unwind::WHATEVER_IT_COSTS)
                .map(u64::cast_signed),
        });
        for program in programs {
            let now = (program.run_ns, program.runs);
            let before = self
                .programs
                .insert(program.name.clone(), now)
                .unwrap_or((0, 0));
            // Zero runs of a program that certainly ran: not counted here.
            let counted = program.runs > 0;
            rows.push(overhead::Row {
                t0_ns,
                t1_ns,
                subject: &program.name,
                cpu_ns: counted.then(|| now.0.saturating_sub(before.0).cast_signed()),
                runs: counted.then(|| now.1.saturating_sub(before.1).cast_signed()),
                ..overhead::Row::default()
            });
        }
        let elapsed = |from: i64, to: i64| to.saturating_sub(from).max(0).unsigned_abs();
        self.last = (elapsed(self.cpu_ns, cpu_ns), elapsed(t0_ns, t1_ns));
        self.t0_ns = now_ns;
        self.cpu_ns = cpu_ns;
        self.bytes = bytes;
    }
}
