//! The processed profile format of profiler.firefox.com: a thread for each
//! thread with samples, and a track of all processes with their command lines.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt as _;
use fxprof_processed_profile::{
    CategoryColor, CategoryHandle, CpuDelta, Frame, FrameFlags, FrameInfo, MarkerFieldFlags,
    MarkerFieldFormat, MarkerTiming, ProcessHandle, Profile, ReferenceTimestamp, SamplingInterval,
    StackHandle, StaticSchemaMarker, StaticSchemaMarkerField, StringHandle, ThreadHandle,
    Timestamp,
};
use whence_schemas::quote::printable;

use super::events::{Sample, each_sample, int, small, text};
use super::frames::Frames;
use super::{Filter, Out, Written, failed_json};
use crate::recording::Boot;
use crate::session::Session;
use crate::{Error, Result};

/// The format is one JSON object, which is built in memory: about 100 bytes for
/// each sample.
const SAMPLES: i64 = 10_000_000;

/// A process with its command line, as a marker.
#[derive(Clone, Debug)]
struct Life {
    name: StringHandle,
    cmdline: StringHandle,
}

impl StaticSchemaMarker for Life {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "process";
    const CHART_LABEL: Option<&'static str> = Some("{marker.data.cmdline}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.data.cmdline}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[StaticSchemaMarkerField {
        key: "cmdline",
        label: "Command line",
        format: MarkerFieldFormat::String,
        flags: MarkerFieldFlags::SEARCHABLE,
    }];

    fn name(&self, _profile: &mut Profile) -> StringHandle {
        self.name
    }
    fn category(&self, _profile: &mut Profile) -> CategoryHandle {
        CategoryHandle::OTHER
    }
    fn string_field_value(&self, _field: u32) -> StringHandle {
        self.cmdline
    }
    fn number_field_value(&self, _field: u32) -> f64 {
        0.0
    }
}

struct Builder<'a> {
    frames: &'a Frames,
    profile: Profile,
    categories: [CategoryHandle; 2],
    /// Begin of the time line, nanoseconds of CLOCK_BOOTTIME.
    base_ns: i64,
    processes: HashMap<i64, ProcessHandle>,
    threads: HashMap<(i64, i32), ThreadHandle>,
    stacks: HashMap<(ThreadHandle, Option<i64>, Option<i64>), Option<StackHandle>>,
    samples: i64,
}

/// Writes the profile.
pub(super) async fn write(
    session: &Session,
    boot: &Boot,
    filter: &Filter,
    frames: &Frames,
    out: Out<'_>,
) -> Result<Written> {
    let mut builder = Builder::new(boot, filter, frames);
    let processes = builder.lives(session, boot, filter).await?;
    each_sample(session, filter, |sample| builder.sample(sample)).await?;
    serde_json::to_writer(out, &builder.profile).map_err(failed_json)?;
    Ok(Written {
        samples: builder.samples,
        processes: Some(processes),
    })
}

impl<'a> Builder<'a> {
    fn new(boot: &Boot, filter: &Filter, frames: &'a Frames) -> Self {
        let begin = u64::try_from(boot.clock.real_ns).unwrap_or(0);
        let begin = Duration::from_nanos(begin);
        let product = format!("whence: {}", printable(&boot.host));
        let mut profile = Profile::new(
            &product,
            ReferenceTimestamp::from_duration_since_unix_epoch(begin),
            SamplingInterval::from_millis(1),
        );
        // All names are known: nobody shall ask a symbol server.
        profile.set_symbolicated(true);
        if let Some(event) = &filter.event {
            profile.set_product(&format!("{product}, {}", printable(event)));
        }
        let categories = [
            profile.add_category("User", CategoryColor::Yellow),
            profile.add_category("Kernel", CategoryColor::Orange),
        ];
        Self {
            frames,
            profile,
            categories,
            base_ns: boot.clock.boot_ns,
            processes: HashMap::new(),
            threads: HashMap::new(),
            stacks: HashMap::new(),
            samples: 0,
        }
    }

    fn time(&self, ts_ns: i64) -> Timestamp {
        let since = ts_ns.saturating_sub(self.base_ns);
        Timestamp::from_nanos_since_reference(u64::try_from(since).unwrap_or(0))
    }

    /// One track with all processes.
    async fn lives(&mut self, session: &Session, boot: &Boot, filter: &Filter) -> Result<i64> {
        let begin = self.time(self.base_ns);
        let track = self.profile.add_process("processes", 0, begin);
        let thread = self.profile.add_thread(track, 0, begin, true);
        self.profile.set_thread_name(thread, "processes");
        let end_ns = session.recordings.all.iter().map(|r| r.range_ns().1);
        let end_ns = end_ns.max().unwrap_or(boot.clock.boot_ns);
        let sql = "SELECT start_ns, end_ns, pid, comm, cmdline, boot_id FROM process \
                   ORDER BY start_ns, upid";
        let mut rows = session.frame(sql, vec![]).await?;
        if let Some(wanted) = filter.lives() {
            rows = rows.filter(wanted)?;
        }
        let mut batches = rows.execute_stream().await?;
        let mut processes = 0;
        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.num_rows() {
                let comm = printable(text(&batch, 3, row).unwrap_or("?"));
                let cmdline = text(&batch, 4, row).map(printable);
                let name = format!("{comm} {}", small(&batch, 2, row));
                let life = Life {
                    name: self.profile.intern_string(&comm),
                    cmdline: self
                        .profile
                        .intern_string(cmdline.as_deref().unwrap_or(&name)),
                };
                let from = self.time(int(&batch, 0, row).unwrap_or(0));
                let to = self.time(int(&batch, 1, row).unwrap_or(end_ns));
                let timing = MarkerTiming::Interval(from, to);
                self.profile.add_marker(thread, timing, life);
                processes += 1;
            }
        }
        Ok(processes)
    }

    fn sample(&mut self, sample: Sample<'_>) -> Result<()> {
        if self.samples >= SAMPLES {
            return Err(Error::Limit(format!(
                "more than {SAMPLES} samples do not fit into a profile of this format; \
                 narrow them with --since and --until, --pid or --event"
            )));
        }
        let thread = self.thread(sample);
        let stack = self.stack(thread, sample.user, sample.kernel);
        let busy = match sample.event {
            "cpu-clock" => u64::try_from(sample.weight).unwrap_or(0),
            _ => 0,
        };
        if self.samples == 0 && busy > 0 {
            let interval = SamplingInterval::from_nanos(busy);
            self.profile.set_interval(interval);
        }
        let at = self.time(sample.ts_ns);
        let busy = CpuDelta::from_nanos(busy);
        self.profile.add_sample(thread, at, stack, busy, 1);
        self.samples += 1;
        Ok(())
    }

    fn thread(&mut self, sample: Sample<'_>) -> ThreadHandle {
        let key = (sample.upid, sample.tid);
        if let Some(known) = self.threads.get(&key) {
            return *known;
        }
        let at = self.time(sample.ts_ns);
        let name = printable(sample.comm);
        let id = |id: i32| u32::try_from(id).unwrap_or(0);
        let process = match self.processes.get(&sample.upid) {
            Some(known) => *known,
            None => self.profile.add_process(&name, id(sample.pid), at),
        };
        self.processes.insert(sample.upid, process);
        let is_main = sample.pid == sample.tid;
        let thread = self
            .profile
            .add_thread(process, id(sample.tid), at, is_main);
        self.profile.set_thread_name(thread, &name);
        self.threads.insert(key, thread);
        thread
    }

    fn stack(
        &mut self,
        thread: ThreadHandle,
        user: Option<i64>,
        kernel: Option<i64>,
    ) -> Option<StackHandle> {
        let key = (thread, user, kernel);
        if let Some(known) = self.stacks.get(&key) {
            return *known;
        }
        let mut stack = None;
        for number in self.frames.path(user, kernel) {
            let frame = self.frames.frame(number);
            let category = self.categories[usize::from(frame.is_kernel)];
            for line in &frame.lines {
                let name = self.frames.text(line.function);
                let info = FrameInfo {
                    frame: Frame::Label(self.profile.intern_string(name)),
                    category_pair: category.into(),
                    flags: FrameFlags::empty(),
                };
                let frame = self.profile.intern_frame(thread, info);
                stack = Some(self.profile.intern_stack(thread, stack, frame));
            }
        }
        self.stacks.insert(key, stack);
        stack
    }
}
