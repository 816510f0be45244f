//! From events to rows.
//!
//! Owns what must be remembered between events: living processes, call paths,
//! the stacks of an exec that is under way. Knows neither libbpf nor time: what
//! it needs of both is handed in.

mod images;
mod mapped;
mod samples;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use whence_bpf::wire;
use whence_schemas::manifest::Clock;
use whence_schemas::redact::Redactor;
use whence_schemas::{exit, fork, ids};

use crate::cgroups::Cgroups;
use crate::decode::{self, Caller, Event, Fork, Image, comm};
use crate::entry::Origin;
use crate::loss::{CALLER, EXEC, EXIT, FORK, MAPPING, PROBE, SAMPLE, SNAPSHOT, STREAMS, WAIT};
use crate::memory;
use crate::print::Printer;
use crate::processes::{Processes, upid};
use crate::sink::Sink;
use crate::stacks::{Owner, Stacks};
use crate::trigger::Triggers;
use crate::valve::{MEMORY, Valve};
use crate::waiting::Waiting;

/// Exits remembered to tell a second report of the same process.
const RECENT_EXITS: usize = 64;
/// Arguments are kept as a list, as a line, and as bytes where need be.
const FORMS_OF_ARGV: usize = 3;
/// Callers of execs under way; more are those of execs that failed late.
const MAX_CALLERS: usize = 4096;

/// Turns events into rows.
#[derive(Debug)]
pub struct Pipeline {
    /// Where rows go.
    pub sink: Sink,
    /// Call paths.
    pub stacks: Stacks,
    /// Clocks, to tell wall time.
    pub clock: Clock,
    /// Holds back what there is no room for.
    pub valve: Valve,
    /// Events that are waited for.
    pub triggers: Triggers,
    /// The recorder itself, if its own stacks are left out.
    own_pid: Option<u32>,
    /// Events received, by stream.
    pub received: [u64; STREAMS.len()],
    processes: Processes,
    cgroups: Cgroups,
    callers: HashMap<i64, (Option<i64>, Option<i64>)>,
    recent_exits: VecDeque<i64>,
    waiting: Waiting,
    events: Vec<NamedEvent>,
    /// Processes that were there already, until all are taken.
    listed: HashSet<i64>,
    /// Their parents, by upid.
    parents: HashMap<i64, (wire::Process, String)>,
    /// Snapshot records that wait until it is known which ones matter.
    held: Option<Vec<Vec<u8>>>,
    printer: Printer,
    redactor: Rc<RefCell<Redactor>>,
    /// Bytes of all arguments so far.
    argv_bytes: u64,
    env: Vec<String>,
    page_bytes: u64,
}

/// How events become rows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether the processes that are there already become rows only when
    /// [`Pipeline::settle_snapshot`] says which.
    pub hold_snapshot: bool,
    /// Whether events are printed as they come.
    pub print: bool,
    /// Names of environment variables to keep.
    pub env: Vec<String>,
    /// What replaces secrets before anything is stored or printed.
    pub redactor: Rc<RefCell<Redactor>>,
    /// Events that are waited for.
    pub triggers: Triggers,
    /// The recorder itself, if its own stacks are left out.
    pub own_pid: Option<u32>,
}

/// A stack event's name and id.
#[derive(Clone, Debug)]
struct NamedEvent {
    name: Rc<str>,
    id: i64,
}

impl Pipeline {
    /// `events` are the names of stack events, by their number on the ring.
    #[must_use]
    pub fn new(
        sink: Sink,
        stacks: Stacks,
        clock: Clock,
        events: &[String],
        options: Options,
    ) -> Self {
        let named = |name: &String| NamedEvent {
            name: name.as_str().into(),
            id: ids::event_id(name),
        };
        Self {
            sink,
            stacks,
            clock,
            valve: Valve::default(),
            triggers: options.triggers,
            own_pid: options.own_pid,
            received: [0; STREAMS.len()],
            processes: Processes::default(),
            cgroups: Cgroups::open(),
            callers: HashMap::new(),
            recent_exits: VecDeque::new(),
            waiting: Waiting::default(),
            events: events.iter().map(named).collect(),
            listed: HashSet::new(),
            parents: HashMap::new(),
            held: options.hold_snapshot.then(Vec::new),
            printer: Printer::new(options.print),
            redactor: options.redactor,
            argv_bytes: 0,
            env: options.env,
            page_bytes: memory::page_bytes(),
        }
    }

    /// Whether whoever read the printed events has gone.
    #[must_use]
    pub fn print_closed(&self) -> bool {
        self.printer.is_closed()
    }

    /// Bytes of all arguments so far.
    #[must_use]
    pub fn argv_bytes(&self) -> u64 {
        self.argv_bytes
    }

    /// Events received so far, by stream.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let names = STREAMS.iter().map(|(_, name)| *name);
        names.zip(self.received).collect()
    }

    /// Takes one record of the ring. One that cannot be read is not counted as
    /// received, and so comes out as lost. What cannot be written, the sink tells.
    pub fn take(&mut self, record: &[u8]) {
        let Ok(event) = decode::decode(record) else {
            return;
        };
        match event {
            Event::Fork(fork) => self.fork(&fork),
            Event::Exec(image) => self.exec(&image),
            Event::Snapshot(image) => self.snapshot(&image, record),
            Event::Caller(caller) => self.caller(&caller),
            Event::Exit(exit) => self.exit(&exit),
            Event::Sample(sample) if self.must_wait(&sample, record) => {}
            Event::Sample(sample) => self.sample(&sample),
            Event::Mapping(mapping) => self.mapping(&mapping),
        }
        if self.stacks.has_many_rows() {
            self.move_stacks();
            self.sink.encode();
        }
        self.sink.relieve();
    }

    /// Counts a row that an event of a stream became. It is recorded when the
    /// row's segment is finished.
    fn received(&mut self, stream: usize) {
        self.received[stream] += 1;
        let events = match stream {
            FORK => &mut self.sink.fork.events,
            EXEC => &mut self.sink.exec.events,
            EXIT => &mut self.sink.exit.events,
            SNAPSHOT => &mut self.sink.process.events,
            SAMPLE | PROBE | WAIT => &mut self.sink.sample.events,
            _ => return,
        };
        events[stream] += 1;
    }

    /// Begins a part that stands alone: what its rows refer to is stored anew.
    pub fn begin_part(&mut self, begin_ns: i64, hold_snapshot: bool) {
        self.stacks.begin_part(&self.processes, begin_ns);
        self.sink.part_ns = Some(begin_ns);
        self.held = hold_snapshot.then(Vec::new);
    }

    /// Forgets what can be found again, and writes what is held in memory.
    pub fn shed(&mut self) {
        self.stacks.forget();
        self.processes.forget_images();
        self.move_stacks();
        self.sink.flush();
    }

    /// Before segments are completed: moves the rows that describe call paths to
    /// their tables, and stores the processes that only other rows tell of. Names
    /// come when they are found, in a later segment; the `last` time, they are
    /// waited for.
    pub fn collect(&mut self, last: bool) {
        self.push_strangers();
        self.processes.forget_dead();
        match last {
            false => self.stacks.name_frames(),
            true => self.stacks.finish_naming(),
        }
        self.move_stacks();
    }

    /// Moves rows to tables whose own are all written.
    fn move_stacks(&mut self) {
        let (sink, stacks) = (&mut self.sink, &mut self.stacks);
        std::mem::swap(&mut sink.stack.rows, &mut stacks.stack_rows);
        std::mem::swap(&mut sink.frame.rows, &mut stacks.frame_rows);
        std::mem::swap(&mut sink.symbol.rows, &mut stacks.symbol_rows);
        std::mem::swap(&mut sink.mapping.rows, &mut stacks.mapping_rows);
        sink.mapping.events[MAPPING] += stacks.take_told();
    }

    /// Called when all processes that were there already have been taken. Adds
    /// parents that the kernel's list did not show. Of those that are held back,
    /// keeps `roots`, their ancestors and their descendants.
    pub fn settle_snapshot(&mut self, roots: &[u32]) {
        let listed = std::mem::take(&mut self.listed);
        let parents = std::mem::take(&mut self.parents);
        let held = self.held.take();
        let everything = held.is_none();
        let kept = self.push_related(&held.unwrap_or_default(), roots);
        for (upid, (process, comm)) in parents {
            if !listed.contains(&upid) && (everything || kept.contains(&upid)) {
                self.push_from_proc(&process, &comm);
            }
        }
    }

    /// Stores the processes among `records` that are related to `roots`;
    /// returns the parents that they name.
    fn push_related(&mut self, records: &[Vec<u8>], roots: &[u32]) -> HashSet<i64> {
        let mut images: HashMap<u32, Image<'_>> = HashMap::new();
        for record in records {
            if let Ok(Event::Snapshot(image)) = decode::decode(record) {
                images.insert(image.wire.process.pid, image);
            }
        }
        // A pid and those above it; the count bounds a list that was torn.
        let upward = |pid: u32| {
            let mut at = Some(pid);
            let up = std::iter::from_fn(|| {
                let pid = at?;
                at = images.get(&pid).map(|image| image.wire.parent.pid);
                Some(pid)
            });
            up.take(images.len() + 1).collect::<Vec<_>>()
        };
        let mut related: HashSet<u32> = roots.iter().flat_map(|pid| upward(*pid)).collect();
        for pid in images.keys() {
            if upward(*pid).iter().any(|above| roots.contains(above)) {
                related.insert(*pid);
            }
        }
        let mut kept = HashSet::new();
        for (_, image) in images.iter().filter(|(pid, _)| related.contains(*pid)) {
            kept.insert(upid(&image.wire.parent));
            self.push_process(image);
        }
        kept
    }

    fn owner(&mut self, process: &wire::Process) -> Owner {
        Owner {
            upid: upid(process),
            pid: process.pid,
            image: self.processes.image(process),
        }
    }

    fn fork(&mut self, event: &Fork<'_>) {
        self.received(FORK);
        let wire = &event.wire;
        let ts_ns = wire.header.ts_ns.cast_signed();
        let owner = self.owner(&wire.parent);
        let user_stack_id = self.stacks.user(&event.user_stack, &owner, ts_ns);
        let child_upid = upid(&wire.child);
        self.processes.fork(owner.upid, child_upid, wire.child.pid);
        self.sink.fork.rows.push(fork::Row {
            ts_ns,
            parent_upid: owner.upid,
            parent_pid: wire.parent.pid.cast_signed(),
            parent_tid: wire.parent.tid.cast_signed(),
            child_upid,
            child_pid: wire.child.pid.cast_signed(),
            comm: &comm(&wire.comm),
            flags: wire.flags.cast_signed(),
            user_stack_id,
        });
    }

    fn caller(&mut self, event: &Caller<'_>) {
        self.received(CALLER);
        let ts_ns = event.wire.header.ts_ns.cast_signed();
        let owner = self.owner(&event.wire.process);
        self.release(owner.upid);
        let kernel = self
            .stacks
            .kernel(event.kernel_stack, Origin::Called, ts_ns);
        let user = self.stacks.user(&event.user_stack, &owner, ts_ns);
        if self.callers.len() >= MAX_CALLERS {
            let forgotten = self.callers.drain().count() as u64;
            self.valve.withhold(CALLER, MEMORY, forgotten);
        }
        let ids = (kernel.map(|path| path.stack_id), user);
        self.callers.insert(owner.upid, ids);
    }

    fn exit(&mut self, wire: &wire::Exit) {
        let upid = upid(&wire.process);
        // Kernels that do not say which thread was the last may tell it twice.
        if self.recent_exits.contains(&upid) {
            self.received[EXIT] += 1;
            return;
        }
        self.received(EXIT);
        if self.recent_exits.len() == RECENT_EXITS {
            self.recent_exits.pop_front();
        }
        self.recent_exits.push_back(upid);
        self.callers.remove(&upid);
        self.release(upid);
        self.processes.exit(upid, wire.header.ts_ns.cast_signed());
        let signal = (wire.code & 0x7f).cast_signed();
        let exit_code = (signal == 0).then_some(((wire.code >> 8) & 0xff).cast_signed());
        let exit_signal = (signal != 0).then_some(signal);
        let name = comm(&wire.comm);
        self.triggers.exit(&name, exit_code, exit_signal);
        let (utime_ns, stime_ns) = cpu_times(wire.utime_ns, wire.stime_ns, wire.runtime_ns);
        self.sink.exit.rows.push(exit::Row {
            ts_ns: wire.header.ts_ns.cast_signed(),
            upid,
            pid: wire.process.pid.cast_signed(),
            comm: &name,
            exit_code,
            exit_signal,
            core_dumped: wire.code & 0x80 != 0,
            utime_ns: utime_ns.cast_signed(),
            stime_ns: stime_ns.cast_signed(),
            max_rss_bytes: (wire.max_rss_pages * self.page_bytes).cast_signed(),
            min_flt: wire.min_flt.cast_signed(),
            maj_flt: wire.maj_flt.cast_signed(),
            read_bytes: wire.read_bytes.cast_signed(),
            write_bytes: wire.write_bytes.cast_signed(),
            reaper_upid: parent_upid(&wire.reaper),
        });
    }
}

/// Pid 0 is the idle task, which is no process.
fn parent_upid(process: &wire::Process) -> Option<i64> {
    (process.pid != 0).then(|| upid(process))
}

fn login_uid(uid: u32) -> Option<i64> {
    (uid != u32::MAX).then_some(i64::from(uid))
}

/// A number of which 0 means that it could not be had.
fn known(number: u32) -> Option<i64> {
    (number != 0).then_some(i64::from(number))
}

/// A device as stat(2) gives it, from how the kernel packs it
/// (`include/linux/kdev_t.h`).
fn device(packed: u32) -> i64 {
    libc::makedev(packed >> 20, packed & 0xf_ffff).cast_signed()
}

/// Splits the exact run time in the proportion that ticks give, as the kernel
/// does for getrusage(2) (`cputime_adjust()` in `kernel/sched/cputime.c`), in
/// whole microseconds as there: what is below is noise that does not compress.
fn cpu_times(utime: u64, stime: u64, runtime: u64) -> (u64, u64) {
    let system = match (utime, stime) {
        (_, 0) => 0,
        (0, _) => runtime,
        _ => {
            let share = u128::from(runtime) * u128::from(stime) / u128::from(utime + stime);
            share as u64
        }
    };
    let whole_us = |ns: u64| ns / 1000 * 1000;
    (whole_us(runtime - system), whole_us(system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_time_is_split_as_ticks_were_in_whole_microseconds() {
        assert_eq!(cpu_times(0, 0, 500_999), (500_000, 0));
        assert_eq!(cpu_times(0, 4_000_000, 500_999), (0, 500_000));
        assert_eq!(cpu_times(3_000_000, 1_000_000, 400_000), (300_000, 100_000));
        let (user, system) = cpu_times(u64::MAX / 2, u64::MAX / 2, u64::MAX);
        assert!(u64::MAX - user - system < 2_000);
    }
}
