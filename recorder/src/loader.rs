//! Loads and attaches the BPF programs and owns them: the edge to libbpf.
//!
//! What is attached runs until this is dropped.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, IntoRawFd as _};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use libbpf_rs::btf::Btf;
use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{Iter, Link, MapCore as _, MapFlags, MapHandle, OpenObject, PrintLevel};
use whence_bpf::recorder::{RecorderSkel, RecorderSkelBuilder};
use whence_bpf::wire::{self, Budget, Counter as WireCounter, Stream};

use crate::cgroups::Subtree;
use crate::host;
use crate::perf::Event;
use crate::probe_set::ProbeSet;
use crate::probes::Probe;
use crate::sampler::{Counter, Sampler};
use crate::tracefs::Tracefs;
use crate::trial;

/// What to load.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Size of the ring for process life, a power of two.
    pub life_bytes: u32,
    /// Size of the ring for stacks, a power of two.
    pub sample_bytes: u32,
    /// Record only processes that are tracked.
    pub only_tracked: bool,
    /// Record only processes of this user.
    pub uid: Option<u32>,
    /// Record only processes of this name.
    pub comm: Option<String>,
    /// Record only processes of this cgroup and those below it.
    pub cgroup: Option<Subtree>,
    /// Whether execs come with their environment.
    pub env: bool,
    /// Whether execs that fail are recorded.
    pub failed_execs: bool,
    /// Bytes of user stack memory that are taken per CPU and tenth of a second.
    pub unwind_budget: u64,
    /// The counter to sample CPUs with.
    pub counter: Option<Counter>,
    /// Where else stacks are taken.
    pub probes: Vec<Probe>,
    /// Shortest wait that is recorded; `None`: none is.
    pub min_wait: Option<Duration>,
}

/// Threads whose waits are timed at once, and how many of these with memory to
/// unwind from: 22 MiB and 8 MiB in the kernel, only if waits are recorded. They
/// count in `--max-memory`.
const WAITS: u32 = 16_384;
const WAITS_WITH_MEMORY: u32 = 512;

/// Sets what both objects are told alike: the filter. A macro, since each object has a type of its
/// own for its constants.
macro_rules! set_common {
    ($rodata:expr, $plan:expr) => {
        $rodata.only_tracked = $plan.only_tracked;
        $rodata.only_uid = $plan.uid.is_some();
        $rodata.wanted_uid = $plan.uid.unwrap_or(0);
        $rodata.only_comm = $plan.comm.is_some();
        $rodata.wanted_comm = $crate::loader::kernel_comm($plan.comm.as_deref().unwrap_or(""));
        $rodata.wanted_cgroup = $plan.cgroup.map_or(0, |c| c.id);
        $rodata.wanted_cgroup_level = $plan.cgroup.map_or(0, |c| c.level);
    };
}
pub(crate) use set_common;

/// A name as the kernel keeps it: at most 15 bytes and a NUL.
pub(crate) fn kernel_comm(name: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    for (to, from) in comm.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    comm
}

/// The loaded programs.
pub struct Loaded {
    // Links before what they are links of.
    links: Vec<Link>,
    sampler: Option<Sampler>,
    throttled: Vec<(u32, u64)>,
    /// The probes.
    pub probes: ProbeSet,
    skel: RecorderSkel<'static>,
    /// Whether execs come with the stacks of their callers.
    pub caller_stacks: bool,
    /// Whether processes tell what code they have mapped.
    pub mappings_told: bool,
    /// How execs that fail are seen.
    pub failed_execs: FailedExecs,
}

/// How execs that fail are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedExecs {
    /// They are not to be recorded.
    Unwanted,
    /// The kernel shows none.
    Hidden,
    /// At the return of the functions of their system calls: no other is slower.
    AtReturns,
    /// At the tracepoints of their system calls: each of all others is slower.
    AtTracepoints,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded")
            .field("links", &self.links.len())
            .field("probes", &self.probes)
            .finish_non_exhaustive()
    }
}

/// The function of the system call, and that for programs of 32 bits.
const EXECVE: &str = "__x64_sys_execve";
const COMPAT_EXECVE: &str = "__ia32_compat_sys_execve";

/// What libbpf has said last; part of the error if loading fails.
static MESSAGES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn keep_message(_: PrintLevel, text: String) {
    const KEPT: usize = 12;
    if let Ok(mut messages) = MESSAGES.lock() {
        if messages.len() == KEPT {
            messages.remove(0);
        }
        messages.push(text.trim_end().to_owned());
    }
}

fn messages() -> String {
    let messages = MESSAGES.lock().map(|m| m.join("\n")).unwrap_or_default();
    format!("libbpf said:\n{messages}")
}

/// A place for an object that lives as long as the program.
pub(crate) fn place() -> &'static mut MaybeUninit<OpenObject> {
    Box::leak(Box::new(MaybeUninit::uninit()))
}

impl Loaded {
    /// Loads what is planned; nothing is attached yet.
    ///
    /// # Errors
    /// If the kernel refuses a program, with its reason.
    pub fn load(plan: &Plan, btf: &Btf<'_>) -> anyhow::Result<Self> {
        libbpf_rs::set_print(Some((PrintLevel::Warn, keep_message)));
        let mut open = RecorderSkelBuilder::default()
            .open(place())
            .with_context(messages)
            .context("failed to open the BPF object")?;
        let caller_stacks = host::tracepoint_arguments(btf, "sched_prepare_exec").is_some();
        let group_dead = host::tracepoint_arguments(btf, "sched_process_exit") > Some(1);
        open.progs.on_prepare_exec.set_autoload(caller_stacks);
        open.progs.on_exit_group_dead.set_autoload(group_dead);
        open.progs.on_exit_last_live.set_autoload(!group_dead);
        open.progs.on_execve_exit.set_autoload(plan.failed_execs);
        open.progs.on_execveat_exit.set_autoload(plan.failed_execs);
        let execve = host::function(btf, EXECVE).filter(|_| plan.failed_execs);
        if execve.is_some_and(trial::returns_are_traced) {
            open.progs.on_execve_return.set_autoload(true);
            open.progs.on_execveat_return.set_autoload(true);
            let compat = host::has_function(btf, COMPAT_EXECVE);
            open.progs.on_compat_execve_return.set_autoload(compat);
            open.progs.on_compat_execveat_return.set_autoload(compat);
        }
        open.progs
            .on_cpu_sample
            .set_autoload(plan.counter.is_some());
        if plan.min_wait.is_some() {
            open.progs.on_switch.set_autoload(true);
            open.progs.on_waking.set_autoload(true);
            open.maps.waits.set_max_entries(WAITS)?;
            open.maps.wait_memory.set_max_entries(WAITS_WITH_MEMORY)?;
        }
        open.maps.life.set_max_entries(plan.life_bytes)?;
        open.maps.samples.set_max_entries(plan.sample_bytes)?;
        if let Some(rodata) = open.maps.rodata_data.as_mut() {
            set_common!(rodata, plan);
            rodata.wakeup_bytes = u64::from(plan.life_bytes.min(plan.sample_bytes)) / 8;
            rodata.keep_env = plan.env;
            rodata.min_wait_ns = plan.min_wait.map_or(0, |d| d.as_nanos() as u64);
            // The number behind those of the probes.
            rodata.wait_event = plan.probes.len() as u32 + 1;
        }
        let skel = open
            .load()
            .with_context(messages)
            .context("failed to load the BPF programs")?;
        let probes = ProbeSet::load(plan, &skel.maps, btf)?;
        let this = Self {
            links: Vec::new(),
            sampler: None,
            throttled: Vec::new(),
            probes,
            skel,
            caller_stacks,
            mappings_told: host::has_function(btf, "bpf_iter_task_vma_new"),
            failed_execs: match plan.failed_execs {
                true => FailedExecs::Hidden,
                false => FailedExecs::Unwanted,
            },
        };
        this.set_memory_budget(plan.unwind_budget)?;
        Ok(this)
    }

    /// Starts recording process life: fork, exec, exit.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn attach_life(&mut self) -> anyhow::Result<()> {
        let progs = &self.skel.progs;
        let mut attach = |program: &libbpf_rs::ProgramMut<'_>| -> anyhow::Result<()> {
            // What is not of this kernel was not loaded.
            if program.autoload() {
                let name = program.name().to_string_lossy().into_owned();
                let link = program
                    .attach_trace()
                    .with_context(messages)
                    .with_context(|| format!("failed to attach {name}"))?;
                self.links.push(link);
            }
            Ok(())
        };
        attach(&progs.on_fork)?;
        attach(&progs.on_exit_group_dead)?;
        attach(&progs.on_exit_last_live)?;
        attach(&progs.on_exec)?;
        attach(&progs.on_prepare_exec)?;
        if self.failed_execs == FailedExecs::Hidden {
            self.attach_failed_execs();
        }
        Ok(())
    }

    /// Starts recording execs that fail, where the kernel shows them.
    fn attach_failed_execs(&mut self) {
        if self.attach_returns().is_some() {
            self.failed_execs = FailedExecs::AtReturns;
        } else if self.attach_exits_of_calls().is_some() {
            self.failed_execs = FailedExecs::AtTracepoints;
        }
    }

    /// At the return of the functions of the system calls.
    fn attach_returns(&mut self) -> Option<()> {
        let progs = &self.skel.progs;
        let of_compat = [
            &progs.on_compat_execve_return,
            &progs.on_compat_execveat_return,
        ];
        let loaded = of_compat.into_iter().filter(|program| program.autoload());
        let all = [&progs.on_execve_return, &progs.on_execveat_return];
        if !all.iter().all(|program| program.autoload()) {
            return None;
        }
        let all = all.into_iter().chain(loaded);
        let links: Result<Vec<Link>, _> = all.map(|program| program.attach_trace()).collect();
        self.links.extend(links.ok()?);
        Some(())
    }

    /// The same at the tracepoints of system calls, where the kernel has them.
    fn attach_exits_of_calls(&mut self) -> Option<()> {
        let tracefs = Tracefs::open()?;
        let progs = &self.skel.progs;
        for (name, program) in [
            ("sys_exit_execve", &progs.on_execve_exit),
            ("sys_exit_execveat", &progs.on_execveat_exit),
        ] {
            let id = tracefs.id("syscalls", name)?;
            // A tracepoint's program runs on all CPUs, whichever was opened.
            let fd = Event::tracepoint(id).open(0).ok()?;
            let link = program.attach_perf_event(fd.as_raw_fd()).ok()?;
            // The link has taken the descriptor over and closes it.
            let _ = fd.into_raw_fd();
            self.links.push(link);
        }
        Some(())
    }

    /// Puts the processes that are there already on the ring.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn snapshot(&self) -> anyhow::Result<()> {
        let link = self
            .skel
            .progs
            .on_snapshot
            .attach_iter_with_opts(libbpf_rs::IterOpts::None)
            .context("failed to attach the task iterator")?;
        let mut iter = Iter::new(&link).context("failed to start the task iterator")?;
        std::io::copy(&mut iter, &mut std::io::sink())
            .context("failed to list the processes that are running")?;
        Ok(())
    }

    /// Starts the probes and, last, the CPU sampler: attaching others while it
    /// runs would show up in its samples.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn attach_stacks(&mut self, plan: &Plan, cpus: &[u32]) -> anyhow::Result<()> {
        if !plan.probes.is_empty() {
            let btf = Btf::from_vmlinux().context("failed to read the kernel's types")?;
            self.probes.attach(plan, &self.skel.maps, &btf)?;
        }
        if plan.min_wait.is_some() {
            // Wakers first, or the first waits would lack theirs.
            for program in [&self.skel.progs.on_waking, &self.skel.progs.on_switch] {
                let link = program
                    .attach_trace()
                    .context("failed to attach to the scheduler")?;
                self.links.push(link);
            }
        }
        if let Some(counter) = &plan.counter {
            let program = &self.skel.progs.on_cpu_sample;
            self.sampler = Some(Sampler::start(counter, cpus, program)?);
        }
        Ok(())
    }

    /// Samples CPUs that have come online since.
    pub fn follow_cpus(&mut self, cpus: &[u32]) {
        if let Some(sampler) = &mut self.sampler {
            sampler.follow(cpus, &self.skel.progs.on_cpu_sample);
        }
    }

    /// Multiplies the time between CPU samples by this; each has its weight.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn slow_sampling(&mut self, factor: u64) -> anyhow::Result<()> {
        let sampler = self.sampler.as_mut();
        sampler.map_or(Ok(()), |sampler| sampler.slow(factor))
    }

    /// Sets how many bytes of user stack memory are taken per CPU and tenth of a
    /// second.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn set_memory_budget(&self, bytes: u64) -> anyhow::Result<()> {
        let map = &self.skel.maps.memory_budget;
        map.update(&0_u32.to_ne_bytes(), &bytes.to_ne_bytes(), MapFlags::ANY)
            .context("failed to set the budget of stack memory")
    }

    /// Samples that the kernel has not taken, by CPU, since the beginning.
    pub fn throttled(&mut self) -> &[(u32, u64)] {
        if let Some(sampler) = &mut self.sampler {
            self.throttled = sampler.throttled();
        }
        &self.throttled
    }

    /// CPUs of which it is not known whether the kernel takes all samples.
    #[must_use]
    pub fn unwatched_cpus(&self) -> usize {
        self.sampler.as_ref().map_or(0, Sampler::unwatched)
    }

    /// Ends all recording; what is on the rings stays there.
    pub fn detach(&mut self) {
        self.throttled();
        self.sampler = None;
        self.probes.detach();
        self.links.clear();
    }

    /// The rings, to be read by another thread in this order: what process life
    /// tells of a program must not be read after the stacks that follow it.
    ///
    /// # Errors
    /// If the descriptors cannot be duplicated.
    pub fn rings(&self) -> anyhow::Result<Vec<MapHandle>> {
        let maps = &self.skel.maps;
        [&maps.samples, &maps.life]
            .into_iter()
            .map(|map| MapHandle::try_from(map).context("failed to share a ring"))
            .collect()
    }

    /// Records this process and what descends from it.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn track(&self, pid: u32) -> anyhow::Result<()> {
        self.skel
            .maps
            .tracked
            .update(&pid.to_ne_bytes(), &[1], MapFlags::ANY)
            .context("failed to track a process")
    }

    /// Counters of a stream, by CPU.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn counters(&self, stream: Stream) -> anyhow::Result<Vec<WireCounter>> {
        let key = stream.0.to_ne_bytes();
        let values = self
            .skel
            .maps
            .counters
            .lookup_percpu(&key, MapFlags::ANY)
            .context("failed to read the counters")?
            .unwrap_or_default();
        Ok(values
            .iter()
            .filter_map(|bytes| Some(wire::split(bytes)?.0))
            .collect())
    }

    /// User call paths for which no memory was taken, to keep to the budget.
    #[must_use]
    pub fn paths_over_budget(&self) -> u64 {
        let found = self
            .skel
            .maps
            .budgets
            .lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY);
        let cpus = found.ok().flatten().unwrap_or_default();
        cpus.iter()
            .filter_map(|bytes| Some(wire::split::<Budget>(bytes)?.0))
            .map(|budget| budget.refused)
            .sum()
    }

    /// Processes that could not be tracked for lack of room.
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.skel
            .maps
            .bss_data
            .as_ref()
            .map_or(0, |bss| bss.tracked_full)
    }

    /// Waits that could not be timed for lack of room.
    #[must_use]
    pub fn untimed_waits(&self) -> u64 {
        let bss = self.skel.maps.bss_data.as_ref();
        bss.map_or(0, |bss| bss.waits_full)
    }

    /// Run statistics of each loaded program.
    #[must_use]
    pub fn programs(&self, plan: &Plan) -> Vec<ProgramStats> {
        let own = {
            let progs = &self.skel.progs;
            [
                &progs.on_fork,
                &progs.on_prepare_exec,
                &progs.on_exec,
                &progs.on_execve_exit,
                &progs.on_execveat_exit,
                &progs.on_execve_return,
                &progs.on_execveat_return,
                &progs.on_compat_execve_return,
                &progs.on_compat_execveat_return,
                &progs.on_exit_group_dead,
                &progs.on_exit_last_live,
                &progs.on_snapshot,
                &progs.on_cpu_sample,
                &progs.on_switch,
                &progs.on_waking,
            ]
        };
        let probes = self.probes.programs(plan);
        let probes = probes.filter_map(|(name, fd)| stats(&name, fd));
        own.into_iter()
            .filter(|program| program.autoload())
            .filter_map(|program| stats(program.name().to_str()?, program.as_fd()))
            .chain(probes)
            .collect()
    }
}

/// What the kernel counts of a program.
#[derive(Clone, Debug)]
pub struct ProgramStats {
    /// Its name.
    pub name: String,
    /// Nanoseconds it ran; counted only if `kernel.bpf_stats_enabled` is set.
    pub run_ns: u64,
    /// Times it ran, likewise.
    pub runs: u64,
    /// Times it was not run, since it was running on that CPU already.
    pub recursion_misses: u64,
    /// Instructions that the verifier has looked at, each as often as it did.
    pub verified_instructions: u32,
}

fn stats(name: &str, fd: BorrowedFd<'_>) -> Option<ProgramStats> {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut size = size_of_val(&info) as u32;
    let at = (&raw mut info).cast();
    // SAFETY: `info` is valid for writes of `size` bytes.
    let failed = unsafe { libbpf_sys::bpf_obj_get_info_by_fd(fd.as_raw_fd(), at, &raw mut size) };
    (failed == 0).then(|| ProgramStats {
        name: name.to_owned(),
        run_ns: info.run_time_ns,
        runs: info.run_cnt,
        recursion_misses: info.recursion_misses,
        verified_instructions: info.verified_insns,
    })
}
