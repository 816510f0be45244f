//! A trace for Perfetto: a track for each process with the programs that it
//! ran, the stack events of every kind, and what was lost.
//!
//! Packets are written as rows are read; only distinct call paths are kept.

mod proto;
mod sequence;

use std::collections::HashMap;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int32Type;
use futures::TryStreamExt as _;
use whence_schemas::quote::printable;

use super::events::{self, Sample, each_sample, int, small, text};
use super::frames::Frames;
use super::{Filter, Out, Written};
use crate::Result;
use crate::recording::{Boot, Recording};
use crate::session::Session;
use proto::{
    Clock, ClockSnapshot, CounterDescriptor, DebugAnnotation, PerfSample, PerfSampleDefaults,
    Process, ProcessDescriptor, ProcessTree, SystemInfo, Timebase, TracePacket,
    TracePacketDefaults, TrackDescriptor, TrackEvent, Utsname,
};
use sequence::Sequence;

/// Clocks by Perfetto's numbers.
const REALTIME: u32 = 1;
const MONOTONIC: u32 = 3;
const BOOTTIME: u32 = 6;
/// Kinds of track events.
const BEGIN: u32 = 1;
const END: u32 = 2;
const COUNTER: u32 = 4;
/// Modes of a CPU.
const KERNEL: u32 = 1;
const USER: u32 = 2;
/// Perfetto's number of the counter `cpu-clock`, and of `cycles`.
const CPU_CLOCK: u32 = 1;
const CYCLES: u32 = 10;
/// The unit of counters.
const COUNT: u32 = 2;
/// Tracks that are of no process are numbered from here; processes have their
/// upid.
const OTHER_TRACKS: u64 = 1 << 63;

/// Writes the trace.
pub(super) async fn write(
    session: &Session,
    boot: &Boot,
    filter: &Filter,
    frames: &Frames,
    out: Out<'_>,
) -> Result<Written> {
    let recordings = || {
        boot.recordings
            .iter()
            .map(|at| &session.recordings.all[*at])
    };
    let end_ns = recordings().map(|r| r.range_ns().1).max();
    let mut trace = Trace {
        session,
        filter,
        frames,
        main: Sequence::new(1, frames),
        end_ns: end_ns.unwrap_or(boot.clock.boot_ns),
        begin_ns: boot.clock.boot_ns,
        out,
    };
    trace.host(boot)?;
    if let Some(newest) = recordings().next_back() {
        trace.system(newest)?;
    }
    let processes = trace.processes().await?;
    trace.programs().await?;
    trace.losses().await?;
    let samples = trace
        .samples(recordings().flat_map(|r| &r.manifest.events))
        .await?;
    Ok(Written {
        samples,
        processes: Some(processes),
    })
}

struct Trace<'a> {
    session: &'a Session,
    filter: &'a Filter,
    frames: &'a Frames,
    /// All packets but the samples.
    main: Sequence<'a>,
    begin_ns: i64,
    end_ns: i64,
    out: Out<'a>,
}

impl Trace<'_> {
    fn packet(&mut self, packet: TracePacket) -> Result<()> {
        self.main.write(self.out, packet)
    }

    fn event(&mut self, ts_ns: i64, event: TrackEvent) -> Result<()> {
        self.packet(TracePacket {
            timestamp: Some(time(ts_ns)),
            track_event: Some(event),
            ..TracePacket::default()
        })
    }

    fn host(&mut self, boot: &Boot) -> Result<()> {
        let clock = boot.clock;
        let reading = |clock_id: u32, ns: i64| Clock {
            clock_id: Some(clock_id),
            timestamp: Some(time(ns)),
        };
        let clocks = vec![
            reading(BOOTTIME, clock.boot_ns),
            reading(MONOTONIC, clock.mono_ns),
            reading(REALTIME, clock.real_ns),
        ];
        self.packet(TracePacket {
            clock_snapshot: Some(ClockSnapshot {
                clocks,
                primary_trace_clock: Some(BOOTTIME),
            }),
            ..TracePacket::default()
        })
    }

    fn system(&mut self, recording: &Recording) -> Result<()> {
        let manifest = &recording.manifest;
        let said = |text: &str| Some(printable(text).into_owned());
        self.packet(TracePacket {
            system_info: Some(SystemInfo {
                utsname: Some(Utsname {
                    sysname: said("Linux"),
                    version: said(&manifest.kernel.version),
                    release: said(&manifest.kernel.release),
                    machine: said(&manifest.host.machine),
                }),
                num_cpus: Some(manifest.host.cpus),
                machine_name: said(&manifest.host.hostname),
            }),
            ..TracePacket::default()
        })
    }

    /// Each process: its place in the tree, its track, its life on it.
    async fn processes(&mut self) -> Result<i64> {
        let sql = "SELECT upid, pid, ppid, start_ns, end_ns, comm, argv, uid, exit_code, \
                   exit_signal, source, parent_upid, boot_id FROM process ORDER BY start_ns, upid";
        let mut rows = self.session.frame(sql, vec![]).await?;
        if let Some(wanted) = self.filter.lives() {
            rows = rows.filter(wanted)?;
        }
        let mut batches = rows.execute_stream().await?;
        let mut processes = 0;
        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.num_rows() {
                self.process(&batch, row)?;
                processes += 1;
            }
        }
        Ok(processes)
    }

    fn process(&mut self, batch: &RecordBatch, row: usize) -> Result<()> {
        let upid = int(batch, 0, row).unwrap_or(0);
        let start_ns = int(batch, 3, row).unwrap_or(0);
        let from_ns = start_ns.max(self.begin_ns);
        let pid = small(batch, 1, row);
        let comm = printable(text(batch, 5, row).unwrap_or("?")).into_owned();
        let cmdline = arguments(batch, 6, row);
        let uid = int(batch, 7, row).and_then(|uid| i32::try_from(uid).ok());
        self.packet(TracePacket {
            timestamp: Some(time(from_ns)),
            process_tree: Some(ProcessTree {
                processes: vec![Process {
                    pid: Some(pid),
                    ppid: Some(small(batch, 2, row)),
                    cmdline: cmdline.clone(),
                    uid,
                    process_start_from_boot: Some(time(start_ns)),
                }],
            }),
            ..TracePacket::default()
        })?;
        self.packet(TracePacket {
            timestamp: Some(time(from_ns)),
            track_descriptor: Some(TrackDescriptor {
                uuid: Some(upid.cast_unsigned()),
                process: Some(ProcessDescriptor {
                    pid: Some(pid),
                    cmdline,
                    process_name: Some(comm.clone()),
                    start_timestamp_ns: Some(start_ns),
                }),
                ..TrackDescriptor::default()
            }),
            ..TracePacket::default()
        })?;
        let known = |name: &str, column: usize| {
            let small = || events::number::<Int32Type>(batch, column, row).map(i64::from);
            let value = int(batch, column, row).or_else(small)?;
            Some(number(name, value))
        };
        let mut about = vec![number("upid", upid)];
        about.extend(known("parent_upid", 11));
        about.extend(known("exit_code", 8));
        about.extend(known("exit_signal", 9));
        about.extend(text(batch, 10, row).map(|source| said("source", source)));
        let end_ns = int(batch, 4, row);
        self.slice(upid, comm, "process", (from_ns, end_ns), about, None)
    }

    /// The programs that processes executed, each with the code that did so.
    async fn programs(&mut self) -> Result<()> {
        let sql = "SELECT e.upid, e.ts_ns, e.comm, e.cmdline, e.cwd, e.exe, e.user_stack_id, \
                   lead(e.ts_ns) OVER (PARTITION BY e.upid ORDER BY e.ts_ns) AS next_ns, \
                   p.end_ns, e.pid, e.boot_id, p.start_ns \
                   FROM exec e JOIN process p ON p.boot_id = e.boot_id AND p.upid = e.upid \
                   WHERE e.errno = 0 ORDER BY e.upid, e.ts_ns";
        let mut rows = self.session.frame(sql, vec![]).await?;
        if let Some(wanted) = self.filter.lives() {
            rows = rows.filter(wanted)?;
        }
        let mut batches = rows.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.num_rows() {
                let upid = int(&batch, 0, row).unwrap_or(0);
                let from_ns = int(&batch, 1, row).unwrap_or(0);
                let to_ns = int(&batch, 7, row).or(int(&batch, 8, row));
                let comm = printable(text(&batch, 2, row).unwrap_or("?")).into_owned();
                let columns = [("cmdline", 3), ("cwd", 4), ("exe", 5)];
                let about = columns
                    .into_iter()
                    .filter_map(|(name, column)| Some(said(name, text(&batch, column, row)?)))
                    .collect();
                let stack = self.main.stack(int(&batch, 6, row), None);
                self.slice(upid, comm, "exec", (from_ns, to_ns), about, stack)?;
            }
        }
        Ok(())
    }

    /// A slice on the track of a process; one without an end goes on to the end
    /// of the recording.
    fn slice(
        &mut self,
        upid: i64,
        name: String,
        category: &str,
        (from_ns, to_ns): (i64, Option<i64>),
        about: Vec<DebugAnnotation>,
        callstack_iid: Option<u64>,
    ) -> Result<()> {
        let track_uuid = Some(upid.cast_unsigned());
        let begin = TrackEvent {
            r#type: Some(BEGIN),
            track_uuid,
            categories: vec![category.to_owned()],
            name: Some(name),
            debug_annotations: about,
            callstack_iid,
            ..TrackEvent::default()
        };
        self.event(from_ns, begin)?;
        let end = TrackEvent {
            r#type: Some(END),
            track_uuid,
            ..TrackEvent::default()
        };
        self.event(to_ns.unwrap_or(self.end_ns).max(from_ns), end)
    }

    /// A counter for each stream and cause of loss: how many events were lost in
    /// each interval.
    async fn losses(&mut self) -> Result<()> {
        let sql = "SELECT stream, cause, t0_ns, t1_ns, sum(\"count\") FROM loss \
                   GROUP BY stream, cause, t0_ns, t1_ns ORDER BY stream, cause, t0_ns, t1_ns";
        let mut batches = self
            .session
            .frame(sql, vec![])
            .await?
            .execute_stream()
            .await?;
        let mut tracks: HashMap<String, u64> = HashMap::new();
        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.num_rows() {
                let of = |column| text(&batch, column, row).unwrap_or("?");
                let name = format!("lost {} ({})", printable(of(0)), printable(of(1)));
                let next = OTHER_TRACKS + tracks.len() as u64;
                let track = *tracks.entry(name.clone()).or_insert(next);
                if track == next {
                    self.counter(track, name)?;
                }
                let ns = |column| int(&batch, column, row).unwrap_or(0);
                self.count(track, ns(2), ns(4))?;
                self.count(track, ns(3).max(ns(2)), 0)?;
            }
        }
        Ok(())
    }

    fn counter(&mut self, track: u64, name: String) -> Result<()> {
        self.packet(TracePacket {
            track_descriptor: Some(TrackDescriptor {
                uuid: Some(track),
                name: Some(name),
                counter: Some(CounterDescriptor { unit: Some(COUNT) }),
                ..TrackDescriptor::default()
            }),
            ..TracePacket::default()
        })
    }

    fn count(&mut self, track: u64, ts_ns: i64, value: i64) -> Result<()> {
        let event = TrackEvent {
            r#type: Some(COUNTER),
            track_uuid: Some(track),
            counter_value: Some(value),
            ..TrackEvent::default()
        };
        self.event(ts_ns, event)
    }

    /// Stack events, those of each kind in a sequence of their own: it says
    /// what one of them stands for.
    async fn samples<'e>(
        &mut self,
        events: impl Iterator<Item = &'e whence_schemas::manifest::Event>,
    ) -> Result<i64> {
        let periods: HashMap<&str, i64> = events.map(|e| (e.event.as_str(), e.weight)).collect();
        let (session, filter, frames) = (self.session, self.filter, self.frames);
        let mut sequences: HashMap<String, Sequence<'_>> = HashMap::new();
        let mut samples = 0;
        let out = &mut *self.out;
        each_sample(session, filter, |sample| {
            samples += 1;
            let id = sequences.len() as u32 + 2;
            let sequence = match sequences.get_mut(sample.event) {
                Some(known) => known,
                None => {
                    let mut new = Sequence::new(id, frames);
                    let period = periods.get(sample.event).copied();
                    new.write(out, kind(sample.event, period.unwrap_or(sample.weight)))?;
                    sequences.entry(sample.event.to_owned()).or_insert(new)
                }
            };
            let stack = sequence.stack(sample.user, sample.kernel);
            sequence.write(out, stack_event(sample, stack))
        })
        .await?;
        Ok(samples)
    }
}

/// The first packet of a sequence: what its samples are of.
fn kind(event: &str, period: i64) -> TracePacket {
    let counter = match event {
        "cpu-clock" => Some(CPU_CLOCK),
        "cycles" => Some(CYCLES),
        _ => None,
    };
    TracePacket {
        trace_packet_defaults: Some(TracePacketDefaults {
            perf_sample_defaults: Some(PerfSampleDefaults {
                timebase: Some(Timebase {
                    period: Some(u64::try_from(period).unwrap_or(1).max(1)),
                    counter,
                    name: Some(printable(event).into_owned()),
                }),
            }),
        }),
        ..TracePacket::default()
    }
}

fn stack_event(sample: Sample<'_>, callstack_iid: Option<u64>) -> TracePacket {
    let id = |id: i32| u32::try_from(id).ok();
    TracePacket {
        timestamp: Some(time(sample.ts_ns)),
        perf_sample: Some(PerfSample {
            cpu: id(sample.cpu),
            pid: id(sample.pid),
            tid: id(sample.tid),
            callstack_iid,
            cpu_mode: Some(if sample.kernel.is_some() {
                KERNEL
            } else {
                USER
            }),
        }),
        ..TracePacket::default()
    }
}

fn time(ts_ns: i64) -> u64 {
    u64::try_from(ts_ns).unwrap_or(0)
}

fn number(name: &str, value: i64) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.to_owned()),
        int_value: Some(value),
        string_value: None,
    }
}

fn said(name: &str, value: &str) -> DebugAnnotation {
    DebugAnnotation {
        name: Some(name.to_owned()),
        int_value: None,
        string_value: Some(printable(value).into_owned()),
    }
}

fn arguments(batch: &RecordBatch, column: usize, row: usize) -> Vec<String> {
    let Some(lists) = batch.column(column).as_list_opt::<i32>() else {
        return Vec::new();
    };
    if lists.is_null(row) {
        return Vec::new();
    }
    let argv = lists.value(row);
    let argv = argv.as_string_opt::<i32>().into_iter().flatten().flatten();
    argv.map(|arg| printable(arg).into_owned()).collect()
}
