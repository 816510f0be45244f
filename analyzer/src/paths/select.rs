//! Which stack events answer "how does one get to F", and where each of their
//! paths begins and ends.
//!
//! - F may be an **event**: by its full name or by what follows its last colon.
//!   Then all its stacks answer, and each path ends at F.
//! - Else F is a **function**: stacks in which it appears answer, and each path
//!   ends at its occurrence nearest to the root, which is how one gets there at
//!   first; where F recurses, that is said once.
//!
//! Events of different kinds are never added up, since their weights mean
//! different things: one is chosen, and the others are named.
//!
//! In interrupts, a stack goes on below the interrupt into the code that was
//! interrupted. That code is not a cause, so paths begin at the entry of the
//! interrupt. In tasks, paths to kernel code begin where the kernel was
//! entered, unless the program's code is asked for too.

use std::collections::{BTreeMap, BTreeSet};

use super::add_up;
use super::samples::{Samples, Weighted};
use super::trie::Trie;
use crate::stacks::{Function, Stacks};
use crate::{Error, Result};

/// Names that are suggested for one that is not there.
const SUGGESTED: usize = 5;
/// How alike a suggested name is, from 0 to 1.
const ALIKE: f64 = 0.7;

/// The event that samples CPU time, by its name in `sample.event`.
pub const CPU_EVENTS: &[&str] = &["cpu-clock", "cycles"];

/// How paths are cut.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cut {
    /// Keep the program's code above the kernel's entry.
    pub user: bool,
    /// Keep the code that an interrupt interrupted.
    pub interrupted: bool,
}

/// The answer.
#[derive(Debug)]
pub struct Selection {
    /// The kind of event that it is made of.
    pub event: String,
    /// Whether F is that event itself.
    pub is_event: bool,
    /// Other kinds of events that have paths into F, with how many.
    pub others: Vec<(String, i64)>,
    /// By context, the heaviest first.
    pub contexts: Vec<Context>,
    /// Weight of all paths into F.
    pub weight: i64,
    /// Events with paths into F.
    pub samples: i64,
    /// Weight of all events of this kind.
    pub total: i64,
}

/// The paths of one context.
#[derive(Debug)]
pub struct Context {
    /// `task`, `softirq`, …
    pub name: String,
    /// The paths.
    pub trie: Trie,
    /// Weight of all its paths.
    pub weight: i64,
    /// By name of the thread, the heaviest first.
    pub comms: Vec<(String, i64)>,
}

/// What a name stands for.
#[derive(Debug)]
pub struct Choice {
    /// The kind of event that answers.
    pub event: String,
    /// Whether the name is that of the event.
    pub is_event: bool,
    /// The function of that name.
    pub target: Function,
    /// Other kinds of events that have paths into it, with how many.
    pub others: Vec<(String, i64)>,
}

/// Chooses and merges. Rows may be without those stacks that do not pass
/// [through](super::samples::Through) the function.
///
/// # Errors
/// [`Error::Nothing`] with near names if there is no such function or event.
pub fn select(
    rows: &Samples,
    stacks: &mut Stacks,
    function: &str,
    event: Option<&str>,
    cut: Cut,
) -> Result<Selection> {
    let choice = choose(rows, stacks, function, event)?;
    let mut selection = merge(
        rows,
        stacks,
        &choice.event,
        choice.is_event,
        choice.target,
        cut,
    );
    selection.others = choice.others;
    Ok(selection)
}

/// Chooses the event that answers for a name.
///
/// # Errors
/// [`Error::Nothing`] with near names if there is no such function or event.
pub fn choose(
    rows: &Samples,
    stacks: &mut Stacks,
    function: &str,
    event: Option<&str>,
) -> Result<Choice> {
    let target = stacks.intern(short(function));
    let events: BTreeSet<&str> = rows.iter().map(|row| row.event).collect();
    let of_name: Vec<&str> = events
        .iter()
        .copied()
        .filter(|event| is_named(event, function))
        .collect();
    let mut passing: BTreeMap<&str, i64> = BTreeMap::new();
    for row in rows.iter() {
        let named = of_name.contains(&row.event);
        if named || passes(stacks, &row, target) {
            *passing.entry(row.event).or_default() += row.samples;
        }
    }
    let chosen = match event {
        Some(event) => chosen_event(&events, event)?,
        None => of_name
            .first()
            .copied()
            .or_else(|| CPU_EVENTS.iter().copied().find(|e| passing.contains_key(e)))
            .or_else(|| passing.iter().max_by_key(|(_, n)| **n).map(|(e, _)| *e))
            .ok_or_else(|| unknown(stacks, &events, function))?,
    };
    if passing.remove(chosen).is_none() {
        return Err(Error::Nothing(format!(
            "no stack of {chosen} passes through {function}"
        )));
    }
    let other = |(event, samples): (&str, i64)| (event.to_owned(), samples);
    Ok(Choice {
        event: chosen.to_owned(),
        is_event: of_name.contains(&chosen),
        target,
        others: passing.into_iter().map(other).collect(),
    })
}

fn merge(
    rows: &Samples,
    stacks: &Stacks,
    event: &str,
    is_event: bool,
    target: Function,
    cut: Cut,
) -> Selection {
    let mut contexts: BTreeMap<&str, (Trie, BTreeMap<&str, i64>)> = BTreeMap::new();
    let (mut total, mut samples) = (0_i64, 0_i64);
    for row in rows.iter().filter(|row| row.event == event) {
        total = total.saturating_add(row.weight);
        let Some(path) = path(stacks, &row, is_event, target, cut) else {
            continue;
        };
        samples = samples.saturating_add(row.samples);
        let (trie, comms) = contexts.entry(row.context).or_default();
        trie.add(&path, row.weight, row.samples);
        let of_comm = comms.entry(row.comm).or_default();
        *of_comm = of_comm.saturating_add(row.weight);
    }
    let mut contexts: Vec<Context> = contexts
        .into_iter()
        .map(|(name, (mut trie, comms))| {
            trie.sort(|function| stacks.name(function));
            let mut comms: Vec<(String, i64)> =
                comms.into_iter().map(|(c, w)| (c.to_owned(), w)).collect();
            comms.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
            Context {
                name: name.to_owned(),
                weight: trie.weight(),
                trie,
                comms,
            }
        })
        .collect();
    contexts.sort_by_key(|context| std::cmp::Reverse(context.weight));
    Selection {
        event: event.to_owned(),
        is_event,
        others: Vec::new(),
        weight: add_up(contexts.iter().map(|c| c.weight)),
        contexts,
        samples,
        total,
    }
}

/// What the weights of an event count: `ns` of CPU time, `cycles`, or `hits` of
/// a probe.
#[must_use]
pub fn unit(event: &str) -> &'static str {
    match event {
        "cpu-clock" | "off-cpu" => "ns",
        "cycles" => "cycles",
        _ => "hits",
    }
}

/// Name of an event without its kind: `block_rq_complete` of
/// `tracepoint:block:block_rq_complete`.
#[must_use]
pub fn short(event: &str) -> &str {
    event.rsplit_once(':').map_or(event, |(_, name)| name)
}

/// Whether that is a name of an event: in full, or without its kind.
pub(super) fn is_named(event: &str, name: &str) -> bool {
    event == name || short(event) == name
}

fn passes(stacks: &Stacks, row: &Weighted<'_>, target: Function) -> bool {
    let parts = [row.kernel, row.user].into_iter().flatten();
    parts
        .into_iter()
        .any(|id| stacks.functions(id).contains(&target))
}

/// The whole path of a row, root first: in tasks from the program's first
/// function, in interrupts from their entry. That of a probe ends at what it
/// probes.
#[must_use]
pub fn whole(stacks: &Stacks, row: &Weighted<'_>, probe: Option<Function>) -> Whole {
    let (user, kernel) = parts(stacks, row, false);
    let is_task = row.context == "task";
    let user = if is_task { user } else { &[] };
    let mut functions = [user, kernel].concat();
    if let Some(probe) = probe {
        end_at(stacks, &mut functions, probe);
    }
    let truncated = match (is_task, row.user) {
        (true, Some(id)) => stacks.is_truncated(id),
        _ => row.kernel.is_some_and(|id| stacks.is_truncated(id)),
    };
    Whole {
        kernel_at: user.len().min(functions.len()),
        functions,
        truncated,
    }
}

/// A whole call path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// Root first.
    pub functions: Vec<Function>,
    /// Where the kernel's part begins.
    pub kernel_at: usize,
    /// Whether it goes on beyond its root.
    pub truncated: bool,
}

/// The parts of a row in the program and in the kernel, root first, the latter
/// from the entry of an interrupt unless what it interrupted is wanted.
fn parts<'a>(
    stacks: &'a Stacks,
    row: &Weighted<'_>,
    interrupted: bool,
) -> (&'a [Function], &'a [Function]) {
    let kernel = row.kernel.map_or(&[][..], |id| stacks.functions(id));
    let user = row.user.map_or(&[][..], |id| stacks.functions(id));
    match row.context == "task" || interrupted {
        true => (user, kernel),
        false => (user, &kernel[entry(stacks, kernel)..]),
    }
}

/// Ends a path at a function; says whether the path passed through it.
fn end_at(stacks: &Stacks, path: &mut Vec<Function>, target: Function) -> bool {
    if let Some(at) = path.iter().position(|f| *f == target) {
        path.truncate(at + 1);
        return true;
    }
    while path.last().is_some_and(|f| is_tracing(stacks.name(*f))) {
        path.pop();
    }
    path.push(target);
    false
}

/// The path of a row down to the target, root first.
fn path(
    stacks: &Stacks,
    row: &Weighted<'_>,
    is_event: bool,
    target: Function,
    cut: Cut,
) -> Option<Vec<Function>> {
    let (user, kernel) = parts(stacks, row, cut.interrupted);
    let is_task = row.context == "task";
    let to_user = !is_event && !kernel.contains(&target);
    let keep_user = (is_task && (cut.user || kernel.is_empty())) || cut.interrupted;
    let mut path = Vec::with_capacity(user.len() + kernel.len() + 1);
    if keep_user || to_user {
        path.extend_from_slice(user);
    }
    if !to_user {
        path.extend_from_slice(kernel);
    }
    let passes = end_at(stacks, &mut path, target);
    (passes || is_event).then_some(path)
}

/// The path of a row as it happened, root first: the program and then the
/// kernel, or an interrupt alone.
#[must_use]
pub fn whole_path(stacks: &Stacks, row: &Weighted<'_>) -> Vec<Function> {
    let kernel = row.kernel.map_or(&[][..], |id| stacks.functions(id));
    let user = row.user.map_or(&[][..], |id| stacks.functions(id));
    match row.context == "task" {
        true => [user, kernel].concat(),
        false => kernel[entry(stacks, kernel)..].to_vec(),
    }
}

/// Where in a kernel stack the interrupt begins: 0 if that is not known.
fn entry(stacks: &Stacks, kernel: &[Function]) -> usize {
    let last = |is_entry: fn(&str) -> bool| {
        kernel
            .iter()
            .rposition(|function| is_entry(stacks.name(*function)))
    };
    last(|name| name.starts_with("asm_") || name.ends_with("_64_irq") || name == "el1_irq")
        .or_else(|| last(|name| name.starts_with("sysvec_") || name == "common_interrupt"))
        .or_else(|| last(|name| name.starts_with("do_softirq")))
        .unwrap_or(0)
}

/// Whether a function at the leaf is how the event was recorded, not how it
/// came about.
fn is_tracing(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "bpf_",
        "__bpf_",
        "__traceiter_",
        "perf_trace_",
        "trace_call_bpf",
        "perf_call_bpf",
        "kprobe_",
        "ftrace_",
        "arch_ftrace_",
        "fprobe_",
        "optimized_callback",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn chosen_event<'a>(events: &BTreeSet<&'a str>, wanted: &str) -> Result<&'a str> {
    if let Some(event) = events.iter().find(|event| is_named(event, wanted)) {
        return Ok(event);
    }
    let all: Vec<&str> = events.iter().copied().collect();
    Err(Error::Nothing(format!(
        "no event {wanted} was recorded; {}",
        match all.len() {
            0 => "the recording has no stacks: record with --sample or --stack".into(),
            _ => format!("recorded: {}", all.join(", ")),
        }
    )))
}

fn unknown(stacks: &Stacks, events: &BTreeSet<&str>, function: &str) -> Error {
    if events.is_empty() {
        return Error::Nothing(format!(
            "no stack passes through {function}: the recording has no stacks; \
             record with --sample or --stack"
        ));
    }
    let names = stacks.names().chain(events.iter().copied());
    let mut near: Vec<(f64, &str)> = names
        .filter(|name| *name != function)
        .map(|name| (likeness(short(name), function), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup_by_key(|(_, name)| *name);
    let near: Vec<&str> = near.iter().take(SUGGESTED).map(|(_, name)| *name).collect();
    let hint = if near.is_empty() {
        "`whence top` lists functions".to_owned()
    } else {
        format!("near names: {}", near.join(", "))
    };
    Error::Nothing(format!("no stack passes through {function}; {hint}"))
}

/// How alike two names are: a part of a name is as good as a slip of the pen.
fn likeness(name: &str, wanted: &str) -> f64 {
    let contained = wanted.len() >= 3 && name.contains(wanted);
    let alike = strsim::jaro_winkler(name, wanted);
    if contained { alike.max(0.9) } else { alike }
}
