//! CPU sampling by perf events: one per CPU, with a fixed period.
//!
//! Hardware cycles where there is a counter; `cpu-clock`, a timer of the kernel,
//! where there is none, as in most virtual machines.

use std::fs;
use std::os::fd::{AsRawFd as _, FromRawFd as _, IntoRawFd as _, OwnedFd};

use anyhow::Context as _;
use libbpf_rs::{Link, ProgramMut};
use libbpf_sys as sys;

/// What is counted, and after how many a sample is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Its name, as in `sample.event`.
    pub event: &'static str,
    /// Events between samples: nanoseconds for `cpu-clock`.
    pub period: u64,
    kind: u32,
    config: u64,
}

impl Counter {
    /// The counter to sample with, `hz` times per second and CPU.
    #[must_use]
    pub fn choose(hz: u32) -> Self {
        let cycles = cpu_hz().map(|clock| Self {
            event: "cycles",
            period: clock / u64::from(hz),
            kind: sys::PERF_TYPE_HARDWARE,
            config: u64::from(sys::PERF_COUNT_HW_CPU_CYCLES),
        });
        match cycles {
            Some(cycles) if cycles.open(0).is_ok() => cycles,
            _ => Self {
                event: "cpu-clock",
                period: 1_000_000_000 / u64::from(hz),
                kind: sys::PERF_TYPE_SOFTWARE,
                config: u64::from(sys::PERF_COUNT_SW_CPU_CLOCK),
            },
        }
    }

    fn open(&self, cpu: u32) -> std::io::Result<OwnedFd> {
        let mut attr = sys::perf_event_attr {
            type_: self.kind,
            size: size_of::<sys::perf_event_attr>() as u32,
            config: self.config,
            ..Default::default()
        };
        attr.__bindgen_anon_1.sample_period = self.period;
        let (pid, group, flags) = (-1, -1, sys::PERF_FLAG_FD_CLOEXEC);
        // SAFETY: `attr` is a valid attribute of the size that it states.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attr,
                pid,
                cpu,
                group,
                flags,
            )
        };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: a descriptor that the kernel has just given belongs to us alone.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }
}

/// Samples all CPUs until dropped.
#[derive(Debug)]
pub struct Sampler {
    _links: Vec<Link>,
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
        let mut links = Vec::new();
        for cpu in cpus {
            let fd = counter
                .open(*cpu)
                .with_context(|| format!("failed to open {} on cpu {cpu}", counter.event))?;
            let link = program
                .attach_perf_event(fd.as_raw_fd())
                .with_context(|| format!("failed to sample cpu {cpu}"))?;
            // The link has taken the descriptor over and closes it.
            let _ = fd.into_raw_fd();
            links.push(link);
        }
        Ok(Self { _links: links })
    }
}

/// Clock rate of the CPUs, from `/proc/cpuinfo`.
fn cpu_hz() -> Option<u64> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("cpu MHz"))?;
    let mhz: f64 = line.split_once(':')?.1.trim().parse().ok()?;
    Some((mhz * 1e6) as u64)
}
