//! CPU sampling by perf events: one per CPU, with a fixed period.
//!
//! Hardware cycles where there is a counter; `cpu-clock`, a timer of the kernel,
//! where there is none, as in most virtual machines.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, IntoRawFd as _};

use anyhow::Context as _;
use libbpf_rs::{Link, ProgramMut};
use libbpf_sys as sys;

use crate::clock;
use crate::perf::Event;
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
    links: BTreeMap<u32, Link>,
    /// What the kernel tells of each counter, where it can be read.
    throttles: BTreeMap<u32, Throttle>,
    /// Samples that were not taken, by CPU, and the part of one that is left over.
    throttled: BTreeMap<u32, (u64, u64)>,
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
            links: BTreeMap::new(),
            throttles: BTreeMap::new(),
            throttled: BTreeMap::new(),
        };
        cpus.iter().try_for_each(|cpu| this.attach(*cpu, program))?;
        Ok(this)
    }

    /// Samples CPUs that have come online since, and lets go of those that went:
    /// their counters do not come back with them.
    pub fn follow(&mut self, cpus: &[u32], program: &ProgramMut<'_>) {
        self.links.retain(|cpu, _| cpus.contains(cpu));
        self.throttles.retain(|cpu, _| cpus.contains(cpu));
        for cpu in cpus {
            if !self.links.contains_key(cpu) {
                // It may have gone again; else it is tried once more.
                let _ = self.attach(*cpu, program);
            }
        }
    }

    /// Samples that the kernel has not taken, by CPU, since the beginning: it lets
    /// no counter take more of the time than it is told to.
    pub fn throttled(&mut self) -> Vec<(u32, u64)> {
        const SECOND_NS: u64 = 1_000_000_000;
        let now_ns = clock::read().mono_ns.cast_unsigned();
        for (cpu, throttle) in &mut self.throttles {
            let (samples, rest) = self.throttled.entry(*cpu).or_default();
            *rest += throttle.take(now_ns) * u64::from(self.counter.hz);
            *samples += *rest / SECOND_NS;
            *rest %= SECOND_NS;
        }
        let counts = self.throttled.iter();
        counts.map(|(cpu, (samples, _))| (*cpu, *samples)).collect()
    }

    /// CPUs of which it is not known whether samples were left out.
    #[must_use]
    pub fn unwatched(&self) -> usize {
        self.links.len() - self.throttles.len()
    }

    fn attach(&mut self, cpu: u32, program: &ProgramMut<'_>) -> anyhow::Result<()> {
        let event = self.counter.event;
        let fd = self
            .counter
            .perf
            .open(cpu)
            .with_context(|| format!("failed to open {event} on cpu {cpu}"))?;
        // Sampling matters more than to know what was left out.
        let throttle = Throttle::of(fd.as_fd()).ok();
        let link = program
            .attach_perf_event(fd.as_raw_fd())
            .with_context(|| format!("failed to sample cpu {cpu}"))?;
        // The link has taken the descriptor over and closes it.
        let _ = fd.into_raw_fd();
        self.links.insert(cpu, link);
        self.throttles
            .extend(throttle.map(|throttle| (cpu, throttle)));
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
