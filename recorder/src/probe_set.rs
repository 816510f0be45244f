//! The probes of a recording: loads their programs and attaches them, each by the
//! best mechanism that this kernel allows.
//!
//! Where the kernel hands the number of an attachment to the program, one object
//! serves all probes of a mechanism; else each has its own. All share the maps of
//! the recorder, so that a probe costs the memory of its code alone.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd};

use libbpf_rs::btf::Btf;
use libbpf_rs::skel::{OpenSkel as _, SkelBuilder as _};
use libbpf_rs::{KprobeMultiOpts, KprobeOpts, Link, ProgramMut, UprobeOpts};
use whence_bpf::probe::{ProbeSkel, ProbeSkelBuilder};
use whence_bpf::recorder::RecorderMaps;

use crate::host;
use crate::loader::{self, Plan};
use crate::mechanism::Mechanism;
use crate::probes::{Probe, Target, names};

/// The probes, loaded and later attached.
#[derive(Default)]
pub struct ProbeSet {
    // Links before what they are links of.
    links: Vec<Link>,
    /// Of probes that have an object of their own, by number of the probe.
    own: BTreeMap<usize, ProbeSkel<'static>>,
    /// Of mechanisms whose probes share one.
    shared: BTreeMap<Mechanism, ProbeSkel<'static>>,
    /// The mechanism of each probe; `None`: it was left out.
    chosen: Vec<Option<Mechanism>>,
    /// Mechanisms that this kernel refuses, and why.
    refused: BTreeMap<Mechanism, String>,
    /// Probes of patterns that could not be had, and why.
    left_out: Vec<(String, String)>,
}

impl std::fmt::Debug for ProbeSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProbeSet")
            .field("chosen", &self.chosen)
            .field("left_out", &self.left_out)
            .finish_non_exhaustive()
    }
}

/// Why each mechanism that was tried could not be had.
type Reasons = Vec<(Mechanism, String)>;

impl ProbeSet {
    /// Loads the programs of all probes; nothing is attached yet.
    ///
    /// # Errors
    /// If one can be had by no mechanism, with what refused each.
    pub fn load(plan: &Plan, maps: &RecorderMaps<'_>, btf: &Btf<'_>) -> anyhow::Result<Self> {
        let mut this = Self::default();
        for (number, probe) in plan.probes.iter().enumerate() {
            let mut reasons = Reasons::new();
            let chosen = wanted(probe).into_iter().find(|mechanism| {
                let loaded = this.load_one(plan, maps, btf, number, *mechanism);
                loaded
                    .map_err(|reason| reasons.push((*mechanism, reason)))
                    .is_ok()
            });
            this.chosen.push(chosen);
            if chosen.is_none() {
                this.give_up(probe, &reasons, btf)?;
            }
        }
        this.check_patterns(plan)?;
        Ok(this)
    }

    /// Loads what a probe needs for a mechanism, unless it is there.
    fn load_one(
        &mut self,
        plan: &Plan,
        maps: &RecorderMaps<'_>,
        btf: &Btf<'_>,
        number: usize,
        mechanism: Mechanism,
    ) -> Result<(), String> {
        if let Some(reason) = self.refused.get(&mechanism) {
            return Err(reason.clone());
        }
        if self.shared.contains_key(&mechanism) {
            return Ok(());
        }
        if let Some(lack) = mechanism.lack(btf) {
            self.refused.insert(mechanism, lack.into());
            return Err(lack.into());
        }
        let function = match &plan.probes[number].target {
            Target::Function { name, .. } => Some(name.as_str()),
            _ => None,
        };
        // Event 0 is the CPU sampler.
        let skel = open(plan, maps, mechanism, number as u32 + 1, function).map_err(|error| {
            let reason = mechanism.refusal(&error);
            if error.kind() == libbpf_rs::ErrorKind::PermissionDenied {
                self.refused.insert(mechanism, reason.clone());
            }
            reason
        })?;
        match mechanism {
            Mechanism::RawTracepoint | Mechanism::Fentry => self.own.insert(number, skel),
            _ => self.shared.insert(mechanism, skel),
        };
        Ok(())
    }

    /// A probe that cannot be had: an error, unless a pattern has others.
    fn give_up(&mut self, probe: &Probe, reasons: &Reasons, btf: &Btf<'_>) -> anyhow::Result<()> {
        let said: Vec<String> = reasons
            .iter()
            .map(|(mechanism, reason)| format!("{}: {reason}", mechanism.name()))
            .collect();
        if probe.of_pattern {
            self.left_out.push((probe.event.clone(), said.join("; ")));
            return Ok(());
        }
        anyhow::bail!(
            "{} cannot be had here:\n  {}\n{}",
            probe.event,
            said.join("\n  "),
            instead(probe, btf)
        )
    }

    /// A pattern of which nothing is left is an error.
    fn check_patterns(&self, plan: &Plan) -> anyhow::Result<()> {
        let of_patterns = plan.probes.iter().filter(|probe| probe.of_pattern).count();
        match self.left_out.first() {
            Some((event, reason)) if self.left_out.len() == of_patterns => {
                anyhow::bail!(
                    "nothing that the pattern stands for can be had here: {event}: {reason}"
                )
            }
            _ => Ok(()),
        }
    }

    /// Attaches all.
    ///
    /// # Errors
    /// If one that is not of a pattern can be attached by no mechanism.
    pub fn attach(
        &mut self,
        plan: &Plan,
        maps: &RecorderMaps<'_>,
        btf: &Btf<'_>,
    ) -> anyhow::Result<()> {
        self.attach_multi(plan);
        for (number, probe) in plan.probes.iter().enumerate() {
            let Some(first) = self.chosen[number] else {
                continue;
            };
            let mut reasons = Reasons::new();
            let rest = wanted(probe).into_iter().skip_while(|m| *m != first);
            let attached = rest.clone().find(|mechanism| {
                let done = self
                    .load_one(plan, maps, btf, number, *mechanism)
                    .and_then(|()| self.attach_one(number, probe, *mechanism));
                done.map_err(|reason| reasons.push((*mechanism, reason)))
                    .is_ok()
            });
            self.chosen[number] = attached;
            if attached.is_none() {
                self.give_up(probe, &reasons, btf)?;
            }
        }
        self.check_patterns(plan)
    }

    /// Attaches all functions that are to be had by one attachment. If that fails,
    /// each is tried by the next mechanism.
    fn attach_multi(&mut self, plan: &Plan) {
        let mechanism = Mechanism::KprobeMulti;
        let Some(skel) = self.shared.get(&mechanism) else {
            return;
        };
        let of_multi = |number: usize| self.chosen[number] == Some(mechanism);
        let functions = plan
            .probes
            .iter()
            .enumerate()
            .filter_map(|(n, p)| match &p.target {
                Target::Function { name, .. } if of_multi(n) => Some((name.clone(), n as u64 + 1)),
                _ => None,
            });
        let (symbols, cookies) = functions.unzip();
        let options = KprobeMultiOpts {
            symbols,
            cookies,
            ..Default::default()
        };
        let program = &skel.progs.probe_kprobe_multi;
        match program.attach_kprobe_multi_with_opts(options) {
            Ok(link) => self.links.push(link),
            Err(error) => {
                let reason = mechanism.refusal(&error);
                self.refused.insert(mechanism, reason);
                self.shared.remove(&mechanism);
            }
        }
    }

    fn attach_one(
        &mut self,
        number: usize,
        probe: &Probe,
        mechanism: Mechanism,
    ) -> Result<(), String> {
        let own = self.own.get(&number);
        let shared = self.shared.get(&mechanism);
        let Some(skel) = own.filter(|_| shared.is_none()).or(shared) else {
            return Err("its program is not loaded".into());
        };
        let links = attach(skel, number as u64 + 1, probe, mechanism);
        let links = links.map_err(|error| mechanism.refusal(&error))?;
        self.links.extend(links);
        Ok(())
    }

    /// Detaches all.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// The mechanism of each probe; `None` for those that were left out.
    #[must_use]
    pub fn mechanisms(&self) -> &[Option<Mechanism>] {
        &self.chosen
    }

    /// What a reader of the recording should know of them.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        const SHOWN: usize = 5;
        let (event, reason) = self.left_out.first()?;
        let names = self
            .left_out
            .iter()
            .take(SHOWN)
            .map(|(event, _)| event.as_str());
        Some(format!(
            "{} probes that a pattern stands for were left out: {}{}; of {event}: {reason}",
            self.left_out.len(),
            names.collect::<Vec<_>>().join(", "),
            if self.left_out.len() > SHOWN {
                ", …"
            } else {
                ""
            },
        ))
    }

    /// The programs, each under the name of its event or of its mechanism.
    pub fn programs<'a>(
        &'a self,
        plan: &'a Plan,
    ) -> impl Iterator<Item = (String, BorrowedFd<'a>)> {
        let own = self.own.iter().filter_map(|(number, skel)| {
            let mechanism = self.chosen[*number]?;
            let name = plan.probes[*number].event.clone();
            Some((name, program(skel, mechanism, true).as_fd()))
        });
        let shared = self.shared.iter().flat_map(|(mechanism, skel)| {
            let names = match mechanism {
                Mechanism::Uprobe => vec![("uprobe", true), ("usdt", false)],
                other => vec![(other.name(), true)],
            };
            names
                .into_iter()
                .map(|(name, entry)| (name.to_owned(), program(skel, *mechanism, entry).as_fd()))
        });
        own.chain(shared)
    }
}

/// The mechanisms to try for a probe, the best first.
fn wanted(probe: &Probe) -> Vec<Mechanism> {
    match &probe.target {
        Target::Tracepoint(_) => vec![Mechanism::RawTracepoint],
        Target::Function { mechanisms, .. } => mechanisms.clone(),
        Target::Program { .. } => vec![Mechanism::Uprobe],
    }
}

/// What can be done where a function cannot be probed.
fn instead(probe: &Probe, btf: &Btf<'_>) -> String {
    let Target::Function { name, .. } = &probe.target else {
        return "use CPU samples (--sample), which show the callers of what takes time".into();
    };
    let near = names::related(name, &host::tracepoints(btf));
    let near = match near.is_empty() {
        true => String::new(),
        false => format!(" (such as {})", near.join(", ")),
    };
    format!(
        "use a tracepoint near it, tracepoint:CATEGORY:NAME{near}, or CPU samples, which show \
         the callers of what takes time"
    )
}

fn program<'a>(
    skel: &'a ProbeSkel<'static>,
    mechanism: Mechanism,
    entry: bool,
) -> &'a ProgramMut<'static> {
    let programs = &skel.progs;
    match (mechanism, entry) {
        (Mechanism::RawTracepoint, _) => &programs.probe_tracepoint,
        (Mechanism::Fentry, _) => &programs.probe_fentry,
        (Mechanism::KprobeMulti, _) => &programs.probe_kprobe_multi,
        (Mechanism::Kprobe, _) => &programs.probe_kprobe,
        (Mechanism::Uprobe, true) => &programs.probe_uprobe,
        (Mechanism::Uprobe, false) => &programs.probe_usdt,
    }
}

fn open(
    plan: &Plan,
    maps: &RecorderMaps<'_>,
    mechanism: Mechanism,
    event: u32,
    function: Option<&str>,
) -> libbpf_rs::Result<ProbeSkel<'static>> {
    let mut open = ProbeSkelBuilder::default().open(loader::place())?;
    open.maps.life.reuse_fd(maps.life.as_fd())?;
    open.maps.samples.reuse_fd(maps.samples.as_fd())?;
    open.maps.counters.reuse_fd(maps.counters.as_fd())?;
    open.maps.tracked.reuse_fd(maps.tracked.as_fd())?;
    open.maps.budgets.reuse_fd(maps.budgets.as_fd())?;
    let limit = maps.memory_budget.as_fd();
    open.maps.memory_budget.reuse_fd(limit)?;
    open.maps.told.reuse_fd(maps.told.as_fd())?;
    open.maps.sample_slots.reuse_fd(maps.sample_slots.as_fd())?;
    if let Some(rodata) = open.maps.rodata_data.as_mut() {
        loader::set_common!(rodata, plan);
        rodata.wakeup_bytes = u64::from(plan.sample_bytes) / 8;
        rodata.probe_event = event;
    }
    let programs = &mut open.progs;
    match mechanism {
        Mechanism::RawTracepoint => programs.probe_tracepoint.set_autoload(true),
        Mechanism::Fentry => {
            let function = function.map(str::to_owned);
            programs.probe_fentry.set_attach_target(0, function)?;
            programs.probe_fentry.set_autoload(true);
        }
        Mechanism::KprobeMulti => programs.probe_kprobe_multi.set_autoload(true),
        Mechanism::Kprobe => programs.probe_kprobe.set_autoload(true),
        Mechanism::Uprobe => {
            programs.probe_uprobe.set_autoload(true);
            programs.probe_usdt.set_autoload(true);
        }
    }
    open.load()
}

fn attach(
    skel: &ProbeSkel<'static>,
    cookie: u64,
    probe: &Probe,
    mechanism: Mechanism,
) -> libbpf_rs::Result<Vec<Link>> {
    let entry = matches!(probe.target, Target::Program { entry: true, .. });
    let of_kernel = program(skel, mechanism, entry);
    match (&probe.target, mechanism) {
        (Target::Tracepoint(name), _) => Ok(vec![of_kernel.attach_raw_tracepoint(name)?]),
        (Target::Function { .. }, Mechanism::Fentry) => Ok(vec![of_kernel.attach_trace()?]),
        // It was attached with all others of its kind.
        (Target::Function { .. }, Mechanism::KprobeMulti) => Ok(Vec::new()),
        (Target::Function { name, .. }, _) => {
            let options = KprobeOpts {
                cookie,
                ..Default::default()
            };
            Ok(vec![
                of_kernel.attach_kprobe_with_opts(false, name, options)?,
            ])
        }
        (Target::Program { path, places, .. }, _) => {
            let attach = |place: &crate::probes::programs::Place| {
                let options = UprobeOpts {
                    cookie,
                    ref_ctr_offset: place.semaphore as usize,
                    ..Default::default()
                };
                of_kernel.attach_uprobe_with_opts(-1, path, place.offset as usize, options)
            };
            places.iter().map(attach).collect()
        }
    }
}
