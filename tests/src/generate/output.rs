//! The recording in the making: its clocks, its manifest, and the recorder's
//! own writer.

use std::ops::Range;
use std::path::PathBuf;

use whence_recorder::{directory, sink};
use whence_schemas::complete::{self, Limits};
use whence_schemas::lock::Lock;
use whence_schemas::manifest::{Clock, Event, Host, Kernel, Manifest, State};
use whence_schemas::{FORMAT_VERSION, Result, clock, overhead};

use super::{Args, sampled};

/// Nanoseconds of a second.
pub(crate) const S: i64 = 1_000_000_000;
/// CLOCK_BOOTTIME at the begin: the host has run for ten days.
const BOOT_NS: i64 = 864_000 * S;
/// CLOCK_REALTIME at the begin: 2026-01-02 13:00:00 UTC.
const REAL_NS: i64 = 1_767_358_800 * S;

/// Rows on their way to disk.
pub(crate) struct Output {
    dir: PathBuf,
    /// The recorder's writer.
    pub(crate) sink: sink::Sink,
    manifest: Manifest,
    _lock: Lock,
    segment_ns: i64,
    cut_off: bool,
    argv_bytes: u64,
    ticks: u64,
}

impl Output {
    pub(crate) fn create(args: &Args) -> Result<Self> {
        let boot_id = format!("{:08x}-0000-4000-8000-{:012x}", args.seed, args.processes);
        let manifest = manifest(args, boot_id);
        let lock = directory::create(&args.output, &manifest)?;
        Ok(Self {
            dir: args.output.clone(),
            sink: sink::Sink::new(&args.output, &manifest),
            manifest,
            _lock: lock,
            segment_ns: args.segment.max(1) as i64 * S,
            cut_off: args.cut_off,
            argv_bytes: 0,
            ticks: 0,
        })
    }

    /// When it begins.
    pub(crate) const fn begin_ns() -> i64 {
        BOOT_NS
    }

    /// From when to when a segment is.
    pub(crate) fn range_ns(&self, segment: u64) -> Range<i64> {
        let start = BOOT_NS + segment as i64 * self.segment_ns;
        start..start + self.segment_ns
    }

    /// Wall-clock time in microseconds.
    pub(crate) const fn wall_us(ts_ns: i64) -> i64 {
        (ts_ns - BOOT_NS + REAL_NS) / 1_000
    }

    /// Encodes what has come together, with the size of its arguments.
    pub(crate) fn relieve(&mut self, argv_bytes: u64) -> Result<()> {
        self.argv_bytes += argv_bytes;
        self.ticks += 1;
        if self.ticks.is_multiple_of(1024) {
            self.sink.relieve();
        }
        self.check()
    }

    /// The first failure to write, which ends it.
    fn check(&mut self) -> Result<()> {
        let first = self.sink.failures().into_iter().next();
        first.map_or(Ok(()), |failure| Err(*failure.error))
    }

    /// Ends a segment.
    pub(crate) fn rotate(&mut self, end_ns: i64) -> Result<()> {
        self.sink.clock.rows.push(clock::Row {
            ts_ns: end_ns,
            mono_ns: end_ns,
            real_ns: end_ns - BOOT_NS + REAL_NS,
            time: Self::wall_us(end_ns),
        });
        self.sink.overhead.rows.push(overhead::Row {
            t0_ns: end_ns - self.segment_ns,
            t1_ns: end_ns,
            subject: "recorder",
            cpu_ns: Some(self.segment_ns / 100),
            rss_bytes: Some(48 << 20),
            ..overhead::Row::default()
        });
        self.manifest.end_ns = Some(end_ns);
        self.sink.rotate(&mut self.manifest)?;
        self.check()
    }

    /// Ends the recording, as the recorder does.
    pub(crate) fn finish(mut self) -> Result<()> {
        if self.cut_off {
            self.manifest.end_ns = None;
            return self.manifest.write(&self.dir);
        }
        let failures = self.sink.close(&mut self.manifest, |_, _| ());
        if let Some(failure) = failures.into_iter().next() {
            return Err(*failure.error);
        }
        self.manifest.state = State::Finished;
        let limits = Limits::default();
        complete::number_processes(&self.dir, &mut self.manifest, self.argv_bytes, limits)
    }
}

fn manifest(args: &Args, boot_id: String) -> Manifest {
    let event = |event: &str, mechanism: &str, weight| Event {
        event: event.into(),
        mechanism: mechanism.into(),
        weight,
    };
    Manifest {
        format_version: FORMAT_VERSION,
        recording_id: format!("{:032x}", args.seed),
        recorder_version: env!("CARGO_PKG_VERSION").into(),
        host: Host {
            hostname: "build1".into(),
            machine: "x86_64".into(),
            cpus: sampled::CPUS,
            os: "generated".into(),
        },
        boot_id,
        kernel: Kernel {
            release: "6.12.0".into(),
            version: "#1 SMP".into(),
            build_id: None,
        },
        clock: Clock {
            boot_ns: BOOT_NS,
            mono_ns: BOOT_NS,
            real_ns: REAL_NS,
        },
        options: serde_json::json!({ "generated": format!("{args:?}") }),
        events: vec![
            event(sampled::CPU, "perf_event", sampled::CPU_WEIGHT),
            event(sampled::BLOCK, "raw_tracepoint", 1),
        ],
        ..Manifest::default()
    }
}
