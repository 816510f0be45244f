//! What a recording says of itself before it begins: how it was asked for, of what
//! stacks are taken, what this host does not allow.

use std::os::unix::ffi::OsStrExt as _;

use anyhow::Context as _;
use whence_schemas::FORMAT_VERSION;
use whence_schemas::manifest::{Event, Manifest};
use whence_schemas::redact::Redactor;

use super::Session;
use crate::config::Config;
use crate::loader::Plan;
use crate::{clock, host};

/// The event of waits.
const WAITS: &str = "off-cpu";

impl Session {
    /// Says by which mechanisms stacks are taken, and which could not be.
    pub(super) fn note_probes(&mut self) {
        let mechanisms = self.loaded.probes.mechanisms();
        for (probe, mechanism) in self.plan.probes.iter().zip(mechanisms) {
            let Some(mechanism) = mechanism else {
                continue;
            };
            self.manifest.events.push(Event {
                event: probe.event.clone(),
                mechanism: mechanism.name().into(),
                weight: 1,
            });
        }
        if self.plan.min_wait.is_some() {
            self.manifest.events.push(Event {
                event: WAITS.into(),
                mechanism: "tp_btf".into(),
                weight: 1,
            });
        }
        self.manifest.notes.extend(self.loaded.probes.note());
    }
}

/// Names of stack events by their number on the ring; 0 is the CPU sampler.
pub(super) fn event_names(plan: &Plan) -> Vec<String> {
    let sampler = plan.counter.map_or("cpu-clock", |c| c.event).to_owned();
    let probes = plan.probes.iter().map(|p| p.event.clone());
    let waits = plan.min_wait.map(|_| WAITS.to_owned());
    std::iter::once(sampler)
        .chain(probes)
        .chain(waits)
        .collect()
}

pub(super) fn manifest(config: &Config, plan: &Plan) -> anyhow::Result<Manifest> {
    let sampler = plan.counter.map(|c| Event {
        event: c.event.into(),
        mechanism: "perf_event".into(),
        weight: c.period.cast_signed(),
    });
    Ok(Manifest {
        format_version: FORMAT_VERSION,
        recording_id: random_id()?,
        recorder_version: env!("CARGO_PKG_VERSION").into(),
        host: host::host(),
        boot_id: host::boot_id().context("failed to read the boot id")?,
        kernel: host::kernel(),
        clock: clock::read(),
        options: options(config),
        events: sampler.into_iter().collect(),
        ..Manifest::default()
    })
}

fn options(config: &Config) -> serde_json::Value {
    serde_json::json!({
        "system_wide": !config.only_some(),
        "pids": config.pids,
        "uid": config.uid,
        "comm": config.comm,
        "cgroup": config.cgroup,
        "unwind": format!("{:?}", config.unwind),
        "env": config.env,
        "sample_hz": config.sample_hz,
        "off_cpu_us": config.off_cpu.map(|d| d.as_micros() as u64),
        "stacks": config.stacks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "duration_ms": config.duration.map(|d| d.as_millis() as u64),
        "segment_ms": config.segment.as_millis() as u64,
        "ring_bytes": config.ring_bytes,
        "max_memory": config.bounds.max_memory,
        "max_cpu_percent": config.max_cpu_percent,
        "recorder_pid": std::process::id(),
        "flight_recorder": config.flight_recorder.map(|keep| serde_json::json!({
            "time_ms": keep.time.map(|t| t.as_millis() as u64),
            "bytes": keep.bytes,
        })),
        "triggers": config.triggers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "max_size": config.bounds.max_size,
        "keep_free": config.bounds.keep_free,
    })
}

/// The command that is recorded, without its secrets.
pub(super) fn command_line(config: &Config, redactor: &mut Redactor) -> serde_json::Value {
    let args: Vec<&[u8]> = config.command.iter().map(|a| a.as_bytes()).collect();
    let lossy = |arg: &[u8]| String::from_utf8_lossy(arg).into_owned();
    match redactor.args(&args) {
        Some(replaced) => replaced.iter().map(|arg| lossy(arg)).collect(),
        None => args.into_iter().map(lossy).collect(),
    }
}

/// A random id for a recording.
///
/// # Errors
/// If the kernel gives none.
pub fn random_id() -> anyhow::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid")
        .context("failed to make a recording id")?;
    Ok(text.trim().to_owned())
}

/// A manifest without a recording behind it.
#[cfg(test)]
pub(crate) fn manifest_for_tests() -> Manifest {
    Manifest {
        format_version: FORMAT_VERSION,
        recording_id: "00000000".into(),
        recorder_version: "0".into(),
        boot_id: "boot".into(),
        ..Manifest::default()
    }
}
