//! CPU sampling by perf events: one per CPU, with a fixed period.
//!
//! Hardware cycles where there is a counter; `cpu-clock`, a timer of the kernel,
//! where there is none, as in most virtual machines.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, IntoRawFd as _, OwnedFd};

use anyhow::Context as _;
use libbpf_rs::{Link, ProgramMut};
use libbpf_sys as sys;

use crate::clock;
use crate::perf::{self, Event};
use crate::throttle::Throttle;

/// What is counted, and after how many a sample is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name, as in `sample.event`.
    pub event: &'static str,
    /// Events between samples: nanoseconds for `cpu-clock`.
    pub period: u64,
    /// Samples per second and CPU while it runs.
    hz: u32,
    perf: Event,
}

impl Counter {
    /// The counter to sample with, `hz` times per second and CPU.
    #[must_use]
    pub fn choose(hz: u32) -> Self {
        let counter = |event, kind, config, per_second: u64| {
            let period = per_second / u64::from(hz);
            let perf = Event {
                kind,
                config: u64::from(config),
                period,
            };
            Self {
                event,
                period,
                hz,
                perf,
            }
        };
        let (hardware, cycles) = (sys::PERF_TYPE_HARDWARE, sys::PERF_COUNT_HW_CPU_CYCLES);
        let (software, clock) = (sys::PERF_TYPE_SOFTWARE, sys::PERF_COUNT_SW_CPU_CLOCK);
        cpu_hz()
            .map(|per_second| counter("cycles", hardware, cycles, per_second))
            .filter(|cycles| cycles.period > 1_000 && cycles.perf.open(0).is_ok())
            .unwrap_or_else(|| counter("cpu-clock", software, clock, 1_000_000_000))
    }
}

/// Samples all CPUs until dropped.
#[derive(Debug)]
pub struct Sampler {
    counter: Counter,
    /// By how much the period is longer than was asked for.
    factor: u64,
    cpus: BTreeMap<u32, Sampled>,
    /// Samples that were not taken, by CPU, and the part of one that is left over.
    throttled: BTreeMap<u32, (u64, u64)>,
}

/// A CPU that is sampled.
#[derive(Debug)]
struct Sampled {
    counter: OwnedFd,
    _link: Link,
    /// What the kernel tells of the counter, where it can be read.
    throttle: Option<Throttle>,
}

impl Sampler {
    /// Attaches the program to the counter on each CPU.
    ///
    /// # Errors
    /// If a counter cannot be opened or the program not attached.
    pub fn start(
        counter: &Counter,
        cpus: &[u32],
        program: &ProgramMut<'_>,
    ) -> anyhow::Result<Self> {
        let mut this = Self {
            counter: *counter,
            factor: 1,
            cpus: BTreeMap::new(),
            throttled: BTreeMap::new(),
        };
        cpus.iter().try_for_each(|cpu| this.attach(*cpu, program))?;
        Ok(this)
    }

    /// Samples CPUs that have come online since, and lets go of those that went:
    /// their counters do not come back with them.
    pub fn follow(&mut self, cpus: &[u32], program: &ProgramMut<'_>) {
        self.cpus.retain(|cpu, _| cpus.contains(cpu));
        for cpu in cpus {
            if !self.cpus.contains_key(cpu) {
                // It may have gone again; else it is tried once more.
                let _ = self.attach(*cpu, program);
            }
        }
    }

    /// Multiplies the period that was asked for. What is running begins anew with
    /// it, so that no sample stands for a part of both.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn slow(&mut self, factor: u64) -> anyhow::Result<()> {
        // What was throttled until now was so at the old period.
        self.throttled();
        self.factor = factor;
        let period = self.counter.period.saturating_mul(factor);
        for (cpu, sampled) in &self.cpus {
            perf::set_period(&sampled.counter, period)
                .with_context(|| format!("failed to sample cpu {cpu} less often"))?;
        }
        Ok(())
    }

    /// Samples that the kernel has not taken, by CPU, since the beginning: it lets
    /// no counter take more of the time than it is told to.
    pub fn throttled(&mut self) -> Vec<(u32, u64)> {
        let sample_ns = 1_000_000_000 * self.factor;
        let now_ns = clock::read().mono_ns.cast_unsigned();
        for (cpu, sampled) in &mut self.cpus {
            let Some(throttle) = &mut sampled.throttle else {
                continue;
            };
            let (samples, rest) = self.throttled.entry(*cpu).or_default();
            *rest += throttle.take(now_ns) * u64::from(self.counter.hz);
            *samples += *rest / sample_ns;
            *rest %= sample_ns;
        }
        let counts = self.throttled.iter();
        counts.map(|(cpu, (samples, _))| (*cpu, *samples)).collect()
    }

    /// CPUs of which it is not known whether samples were left out.
    #[must_use]
    pub fn unwatched(&self) -> usize {
        let unwatched = |sampled: &&Sampled| sampled.throttle.is_none();
        self.cpus.values().filter(unwatched).count()
    }

    fn attach(&mut self, cpu: u32, program: &ProgramMut<'_>) -> anyhow::Result<()> {
        let event = self.counter.event;
        let period = self.counter.period.saturating_mul(self.factor);
        let fd = Event {
            period,
            ..self.counter.perf
        }
        .open(cpu)
        .with_context(|| format!("failed to open {event} on cpu {cpu}"))?;
        // Sampling matters more than to know what was left out.
        let throttle = Throttle::of(fd.as_fd()).ok();
        let counter = fd.try_clone().context("failed to share a counter")?;
        let link = program
            .attach_perf_event(fd.as_raw_fd())
            .with_context(|| format!("failed to sample cpu {cpu}"))?;
        // The link has taken the descriptor over and closes it.
        let _ = fd.into_raw_fd();
        let sampled = Sampled {
            counter,
            _link: link,
            throttle,
        };
        self.cpus.insert(cpu, sampled);
        Ok(())
    }
}

/// Highest clock rate of the CPUs, or else the present one.
fn cpu_hz() -> Option<u64> {
    let highest = "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq";
    if let Ok(khz) = fs::read_to_string(highest) {
        return khz.trim().parse::<u64>().ok()?.checked_mul(1_000);
    }
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("cpu MHz"))?;
    let mhz: f64 = line.split_once(':')?.1.trim().parse().ok()?;
    Some((mhz * 1e6) as u64)
}
