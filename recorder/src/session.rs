//! One recording from begin to end: the only module that knows all parts.
//!
//! The order matters. What records is attached before the processes that run
//! are listed, so that none slips through between; the rings are read before
//! anything is attached; the sampler comes last and goes first; the rings are
//! emptied after the last program is detached.

mod counters;
mod ending;
mod facts;
mod limits;
mod parts;

#[cfg(test)]
pub(crate) use facts::manifest_for_tests;
pub use facts::random_id;

use std::cell::RefCell;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use libbpf_rs::btf::Btf;
use whence_schemas::lock::Lock;
use whence_schemas::manifest::{Manifest, State};
use whence_schemas::redact::Redactor;
use whence_schemas::{complete, recover};

use crate::cgroups::Cgroups;
use crate::command::Command;
use crate::config::Config;
use crate::guard::{self, Guard};
use crate::kernel::Symbols;
use crate::loader::{Loaded, Plan};
use crate::loss::Losses;
use crate::namer::Namer;
use crate::overhead::Overhead;
use crate::pace::Pace;
use crate::pipeline::{Options, Pipeline};
use crate::ring::{Chunk, Reader};
use crate::sampler::Counter;
use crate::sink::Sink;
use crate::stacks::Stacks;
use crate::status::{self, Progress};
use crate::trigger::Triggers;
use crate::{clock, directory, flight, host, memory, probes};

/// How often counters are read.
const TICK: Duration = Duration::from_secs(1);
/// How often programs that make code are asked for names that were missing.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// How often signals and the command are looked at.
const POLL: Duration = Duration::from_millis(50);
/// How often a thread that is waited for is looked at.
const SOON: Duration = Duration::from_millis(5);
/// Memory that events may take while the kernel's symbols are read.
const EARLY_BYTES: usize = 24 << 20;
/// Memory that is needed beside that in the kernel at the least.
const LEAST_MEMORY: u64 = 32 << 20;

/// Requests to end, set by signals.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// SIGINT. From a terminal it reaches the command too, which then ends.
    pub interrupt: Arc<AtomicBool>,
    /// SIGTERM or SIGHUP. It is handed on to the command.
    pub terminate: Arc<AtomicBool>,
    /// SIGUSR1: a flight recorder keeps what it has.
    pub freeze: Arc<AtomicBool>,
    /// SIGUSR2: what is in memory is written.
    pub write: Arc<AtomicBool>,
}

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing went wrong.
    Complete,
    /// Something was lost, and that was not to be.
    Loss,
    /// The command ended with this status.
    Command(i32),
}

/// Records as configured until the duration is over, the command ends or
/// it is told to stop.
///
/// # Errors
/// If this kernel or these privileges do not allow it, or writing fails.
pub fn run(config: &Config, stop: &Stop) -> anyhow::Result<Outcome> {
    // First of all, while there is a single thread.
    let mut command = match config.command.is_empty() {
        true => None,
        false => Some(Command::prepare(&config.command)?),
    };
    memory::tame_allocator();
    // After the fork: the command keeps the limits that it was given.
    host::raise_open_files();
    let (mut session, chunks) = Session::start(config, command.as_ref())?;
    let result = session.record(config, stop, command.as_mut(), &chunks);
    // What was recorded until an error is kept as far as it can be.
    let finished = session.finish(&chunks);
    result.and(finished)?;
    Ok(session.outcome(config, command.and_then(|mut c| c.status())))
}

struct Session {
    loaded: Loaded,
    plan: Plan,
    reader: Option<Reader>,
    pipeline: Pipeline,
    redactor: Rc<RefCell<Redactor>>,
    manifest: Manifest,
    dir: std::path::PathBuf,
    losses: Losses,
    overhead: Overhead,
    pace: Pace,
    /// Stacks until the last interval, and those without room in the rings.
    stacks: (u64, u64),
    progress: Progress,
    guard: Guard,
    parts: Option<parts::Parts>,
    /// How often SIGINT came.
    interrupts: u32,
    _lock: Lock,
    /// If only some processes are recorded: those that others descend from.
    roots: Vec<u32>,
    /// Whether all processes that were there already have been taken.
    settled: bool,
    started: Instant,
    /// Reads the kernel's symbols while programs are attached.
    symbols: Option<JoinHandle<Symbols>>,
}

impl Session {
    fn start(
        config: &Config,
        command: Option<&Command>,
    ) -> anyhow::Result<(Self, Receiver<Chunk>)> {
        check_host()?;
        check_config(config)?;
        let btf = Btf::from_vmlinux().context(NO_BTF)?;
        let plan = Plan {
            life_bytes: config.ring_bytes,
            sample_bytes: config.ring_bytes,
            only_tracked: config.only_some(),
            uid: config.uid,
            comm: config.comm.clone(),
            cgroup: match &config.cgroup {
                Some(path) => Some(Cgroups::open().subtree(path)?),
                None => None,
            },
            env: !config.env.is_empty(),
            failed_execs: config.failed_execs,
            unwind_budget: config.unwind.budget(),
            counter: (config.sample_hz > 0).then(|| Counter::choose(config.sample_hz)),
            probes: probes::resolve(&config.stacks, &btf)?,
            min_wait: config.off_cpu,
        };
        let loaded = Loaded::load(&plan, &btf)?;
        drop(btf);
        let mut manifest = facts::manifest(config, &plan)?;
        let redactor = Rc::new(RefCell::new(Redactor::new(config.redact.clone())));
        manifest.options["command"] = facts::command_line(config, &mut redactor.borrow_mut());
        manifest.redaction = Some(redactor.borrow().report());
        // Only now, when little can fail any more.
        let opened = match config.flight_recorder {
            Some(_) => flight::open(&config.output, manifest),
            None => directory::create(&config.output, &manifest).map(|lock| (lock, manifest)),
        };
        let (lock, manifest) = opened.with_context(|| existing(&config.output))?;
        let (reader, chunks) = Reader::start(loaded.rings()?)?;
        let now_ns = clock::boot_ns();
        let symbols = Some(std::thread::spawn(Symbols::read));
        let build_id = manifest.kernel.build_id.clone();
        let events: Vec<String> = facts::event_names(&plan);
        let release = &manifest.kernel.release;
        let stacks = Stacks::new(build_id, release, Namer::start()?, redactor.clone());
        let pipeline = Pipeline::new(
            Sink::new(&config.output, &manifest),
            stacks,
            clock::read(),
            &events,
            Options {
                hold_snapshot: config.only_some(),
                print: config.print,
                env: config.env.clone(),
                redactor: redactor.clone(),
                triggers: Triggers::new(config.triggers.clone()),
                own_pid: (!config.include_self).then(std::process::id),
            },
        );
        let mut session = Self {
            loaded,
            plan,
            reader: Some(reader),
            pipeline,
            redactor,
            manifest,
            dir: config.output.clone(),
            losses: Losses::new(now_ns),
            overhead: Overhead::new(now_ns),
            pace: Pace::new(config.max_cpu_percent),
            stacks: (0, 0),
            progress: Progress::new(config.print),
            guard: Guard::new(&config.output, config.bounds),
            parts: config.flight_recorder.map(parts::Parts::new),
            interrupts: 0,
            _lock: lock,
            roots: config.pids.clone(),
            settled: false,
            started: Instant::now(),
            symbols,
        };
        if let (Some(command), true) = (command, config.only_command()) {
            session.loaded.track(command.pid())?;
            session.roots.push(command.pid());
        }
        for pid in &config.pids {
            session.loaded.track(*pid)?;
        }
        if session.parts.is_some() {
            session.pipeline.begin_part(now_ns, config.only_some());
        }
        session.read_clock();
        Ok((session, chunks))
    }

    fn record(
        &mut self,
        config: &Config,
        stop: &Stop,
        mut command: Option<&mut Command>,
        chunks: &Receiver<Chunk>,
    ) -> anyhow::Result<()> {
        self.loaded.attach_life()?;
        self.loaded.snapshot()?;
        self.loaded.attach_stacks(&self.plan, &host::cpus())?;
        limits::note_attached(&mut self.manifest, &self.loaded);
        self.note_probes();
        let early = self.know_symbols(chunks);
        self.confine();
        if let Some(command) = &mut command {
            command.release()?;
        }
        self.started = Instant::now();
        for chunk in early {
            self.take(&chunk)?;
        }
        let mut next_tick = self.started + TICK;
        let mut next_asking = self.started + ASK_AGAIN;
        let mut next_rotation = self.started + config.segment;
        loop {
            match chunks.recv_timeout(POLL) {
                Ok(chunk) => self.take(&chunk)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the rings are closed"),
            }
            let now = Instant::now();
            if now >= next_tick {
                self.tick()?;
                self.keep_pace();
                self.loaded.follow_cpus(&host::cpus());
                if now >= next_asking {
                    self.pipeline.stacks.ask_again();
                    next_asking = now + ASK_AGAIN;
                }
                self.pipeline.stacks.name_made();
            }
            // Before each segment too: a short one may come many times a second.
            if now >= next_tick || now >= next_rotation {
                let (pipeline, manifest) = (&mut self.pipeline, &mut self.manifest);
                if self.guard.watch_disk(pipeline, manifest)?.is_some() {
                    return Ok(());
                }
            }
            if now >= next_tick {
                next_tick = now + TICK;
            }
            let asked = self.is_asked_to_write(stop);
            if asked {
                self.catch_up(chunks)?;
            }
            if now >= next_rotation || asked || self.is_crowded() {
                self.rotate()?;
                self.keep_newest(config.only_some())?;
                next_rotation = now + config.segment;
            }
            if asked {
                self.pipeline.sink.list(&self.manifest)?;
            }
            self.freeze_if_asked(stop, chunks)?;
            let over = config.duration.is_some_and(|d| now - self.started >= d);
            if self.is_over(stop, over, command.as_deref_mut()) {
                return Ok(());
            }
        }
    }

    /// Waits for the kernel's symbols, and says what cannot be known. Gives what
    /// happened meanwhile, for which a ring may have too little room; where that
    /// takes long, the rings must do for the rest.
    fn know_symbols(&mut self, chunks: &Receiver<Chunk>) -> Vec<Chunk> {
        let (mut early, mut bytes) = (Vec::new(), 0);
        let symbols = self.symbols.take().and_then(|thread| {
            while !thread.is_finished() && bytes < EARLY_BYTES {
                if let Ok(chunk) = chunks.recv_timeout(SOON) {
                    bytes += chunk.bytes();
                    early.push(chunk);
                }
            }
            thread.join().ok()
        });
        let symbols = symbols.unwrap_or_default();
        limits::note(&mut self.manifest, &symbols, &self.loaded);
        self.pipeline.stacks.know(symbols);
        early
    }

    fn take(&mut self, chunk: &Chunk) -> anyhow::Result<()> {
        for record in chunk.in_order() {
            self.pipeline.take(record);
        }
        let (pipeline, manifest) = (&mut self.pipeline, &mut self.manifest);
        self.guard.watch_memory(pipeline, manifest);
        self.guard
            .take_failures(pipeline, manifest, &mut self.losses, clock::boot_ns())
    }

    fn rotate(&mut self) -> anyhow::Result<()> {
        if !self.settled {
            self.read_losses(clock::boot_ns())?;
            self.settle_snapshot();
        }
        self.pipeline.collect(false);
        let (pipeline, manifest) = (&mut self.pipeline, &mut self.manifest);
        pipeline.sink.rotate(manifest)?;
        self.guard
            .take_failures(pipeline, manifest, &mut self.losses, clock::boot_ns())
    }

    fn finish(&mut self, chunks: &Receiver<Chunk>) -> anyhow::Result<()> {
        self.loaded.detach();
        // One failure must not take with it what could be kept.
        let mut result = Ok(());
        if let Some(reader) = self.reader.take() {
            reader.stop();
            for chunk in chunks {
                result = result.and(self.take(&chunk));
            }
            result = result.and(reader.join());
        }
        self.pipeline.release_all();
        result = result.and(self.tick());
        self.wait_for_freeze();
        self.guard.release();
        let end_ns = clock::boot_ns();
        self.close_segments(end_ns);
        self.progress.clear();
        let refused = self.loaded.paths_over_budget();
        if refused > 0 && self.plan.unwind_budget > 0 {
            self.manifest.notes.push(format!(
                "{refused} user call paths were taken by frame pointers, to keep to the \
                 budget of --unwind auto"
            ));
        }
        let passed_over = self.pipeline.stacks.passed_over();
        if passed_over > 0 {
            self.manifest.notes.push(format!(
                "{passed_over} places in code have no name, since too many were new at a time"
            ));
        }
        let totals = self.losses.totals().iter();
        self.manifest.lost = totals.map(|(s, n)| ((*s).to_owned(), *n)).collect();
        self.manifest.redaction = Some(self.redactor.borrow().report());
        if self.parts.is_some() {
            // Some of what was lost is not kept any more.
            self.manifest.lost = recover::lost(&self.dir, &self.manifest)?;
        }
        self.manifest.end_ns = Some(end_ns);
        self.manifest.state = State::Finished;
        // Before what may fail: the recording is whole without it.
        self.manifest.write(&self.dir)?;
        result?;
        let argv_bytes = self.pipeline.argv_bytes();
        let limits = complete::Limits::within(self.guard.max_memory());
        // Its caches are of no use any more, and what follows needs memory.
        self.pipeline.shed();
        memory::trim();
        complete::number_processes(&self.dir, &mut self.manifest, argv_bytes, limits)?;
        Ok(())
    }

    /// Closes all segments; what could not be written is counted.
    fn close_segments(&mut self, end_ns: i64) {
        let (pipeline, losses) = (&mut self.pipeline, &mut self.losses);
        let mut received = pipeline.received;
        for (received, withheld) in received.iter_mut().zip(pipeline.valve.totals()) {
            *received += withheld;
        }
        losses.check(&received, end_ns, &mut pipeline.sink.loss.rows);
        pipeline.collect(true);
        let count = |failure: &_, rows: &mut _| guard::count(failure, losses, end_ns, rows);
        for failure in pipeline.sink.close(&mut self.manifest, count) {
            guard::miss(&failure, &mut self.manifest);
        }
    }

    fn outcome(&self, config: &Config, status: Option<i32>) -> Outcome {
        let dir = self.dir.display().to_string();
        let peak = status::peak_rss_bytes();
        let summary = status::summary(&dir, &self.manifest, clock::cpu_ns(), peak);
        let _ = writeln!(std::io::stderr(), "{summary}");
        match status {
            _ if config.fail_on_loss && !self.manifest.lost.is_empty() => Outcome::Loss,
            Some(status) => Outcome::Command(status),
            None => Outcome::Complete,
        }
    }
}

const NO_BTF: &str = "failed to read the kernel's types from /sys/kernel/btf/vmlinux; \
                      recording needs a kernel built with CONFIG_DEBUG_INFO_BTF=y";

fn existing(dir: &Path) -> String {
    format!(
        "failed to begin a recording in {}; choose another place with --output",
        dir.display()
    )
}

/// Whether there is what was asked for, within the bounds that were given.
fn check_config(config: &Config) -> anyhow::Result<()> {
    for pid in &config.pids {
        let exists = Path::new(&format!("/proc/{pid}")).exists();
        anyhow::ensure!(exists, "there is no process {pid}");
    }
    let in_kernel = config.bounds.in_kernel;
    anyhow::ensure!(
        config.bounds.max_memory >= in_kernel + LEAST_MEMORY,
        "the rings, and what times waits, take {} MB: raise --max-memory to {} MB, or \
         lower --ring",
        in_kernel >> 20,
        (in_kernel + LEAST_MEMORY) >> 20
    );
    Ok(())
}

fn check_host() -> anyhow::Result<()> {
    let missing = host::missing_capabilities();
    anyhow::ensure!(
        missing.is_empty(),
        "recording needs {}, which this process lacks; run it as root",
        missing.join(" and ")
    );
    anyhow::ensure!(Path::new("/sys/kernel/btf/vmlinux").exists(), "{NO_BTF}");
    anyhow::ensure!(
        host::in_initial_pid_namespace(),
        "recording needs the host's pid namespace; run it on the host, or in a container \
         with --pid=host (hostPID: true)"
    );
    Ok(())
}
