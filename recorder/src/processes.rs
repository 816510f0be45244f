//! The processes that live: which program each runs, and how often it has
//! executed one.
//!
//! An image is one program in execution. Processes that fork share it with
//! their child, so that its mappings are read once, from whichever of them
//! still lives.
//!
//! A process that was seen to do something, and of which nothing else has told by
//! the time that segments are completed, is a stranger: its events were lost.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use whence_bpf::wire;
use whence_schemas::ids;

use crate::decode::UserStack;
use crate::modules::{Mapping, Modules};
use crate::unwind::{Cache, Path, Unwinder};

/// One program in execution.
#[derive(Debug)]
pub struct Image {
    /// Number of the image within this recording.
    pub number: u64,
    exe: Option<String>,
    state: RefCell<Mapped>,
}

#[derive(Debug, Default)]
struct Mapped {
    /// Processes that run it, oldest first.
    pids: Vec<u32>,
    mappings: Vec<Mapping>,
    /// Made of the mappings when it is needed.
    unwinder: Option<Unwinder>,
    /// When they were read last.
    read_ns: Option<i64>,
}

impl Mapped {
    fn mapping(&self, address: u64) -> Option<&Mapping> {
        let i = self.mappings.partition_point(|m| m.end <= address);
        self.mappings.get(i).filter(|m| m.start <= address)
    }
}

/// Least time between two readings of a program's mappings.
const REREAD_NS: i64 = 1_000_000_000;
/// Ended processes that are remembered at a time.
const MAX_ENDED: usize = 16 * 1024;
/// Processes remembered per image, to read its mappings from.
const PIDS: usize = 8;
/// Strangers that are kept at a time; of more, rows that name them are all there is.
const MAX_STRANGERS: usize = 64 * 1024;

impl Image {
    /// The mapping that holds an address, if it is known.
    #[must_use]
    pub fn mapping(&self, address: u64) -> Option<Mapping> {
        self.state.borrow().mapping(address).cloned()
    }

    /// Whether it is known what is mapped at an address.
    #[must_use]
    pub fn has_mapped(&self, address: u64) -> bool {
        self.state.borrow().mapping(address).is_some()
    }

    /// Reads the mappings from the process, or from another one that runs the
    /// image; returns those that are new. None are if it was done a moment ago.
    pub fn read_mappings(&self, modules: &mut Modules, pid: u32, now_ns: i64) -> Vec<Mapping> {
        let mut state = self.state.borrow_mut();
        if state.read_ns.is_some_and(|at| now_ns - at < REREAD_NS) {
            return Vec::new();
        }
        state.read_ns = Some(now_ns);
        let exe = self.exe.as_deref();
        let mut candidates = state.pids.iter().copied().chain([pid]);
        let Some(now) = candidates.find_map(|p| modules.mappings(p, exe)) else {
            return Vec::new();
        };
        let known = |m: &&Mapping| state.mappings.iter().any(|k| k.is_same(m));
        let new: Vec<Mapping> = now.iter().filter(|m| !known(m)).cloned().collect();
        if !new.is_empty() {
            state.unwinder = None;
        }
        state.mappings = now;
        new
    }

    /// Adds a mapping in place of what was mapped there; says whether it is new.
    pub fn add_mapping(&self, mapping: &Mapping) -> bool {
        let state = &mut *self.state.borrow_mut();
        if state.mappings.iter().any(|known| known.is_same(mapping)) {
            return false;
        }
        let elsewhere = |m: &Mapping| m.end <= mapping.start || mapping.end <= m.start;
        state.mappings.retain(elsewhere);
        let at = state.mappings.partition_point(|m| m.start < mapping.start);
        state.mappings.insert(at, mapping.clone());
        state.unwinder = None;
        true
    }

    /// Processes that run it, this one first.
    #[must_use]
    pub fn pids(&self, first: u32) -> Vec<u32> {
        let state = self.state.borrow();
        let others = state.pids.iter().copied().filter(|pid| *pid != first);
        std::iter::once(first).chain(others).collect()
    }

    /// The call path of user code, by unwind tables.
    pub fn unwind(&self, modules: &mut Modules, cache: &mut Cache, stack: &UserStack<'_>) -> Path {
        let state = &mut *self.state.borrow_mut();
        let unwinder = state.unwinder.get_or_insert_with(|| {
            modules.read_tables(&state.mappings);
            Unwinder::new(&state.mappings)
        });
        let wire = &stack.wire;
        unwinder.path(cache, wire.ip, wire.sp, wire.bp, stack.memory)
    }

    fn add(&self, pid: u32) {
        let pids = &mut self.state.borrow_mut().pids;
        if pids.len() < PIDS {
            pids.push(pid);
        }
    }

    fn remove(&self, pid: u32) {
        self.state.borrow_mut().pids.retain(|p| *p != pid);
    }
}

/// Every living process that was seen.
#[derive(Debug, Default)]
pub struct Processes {
    live: HashMap<i64, Process>,
    /// Those that have ended a moment ago, with when.
    ended: VecDeque<(i64, i64)>,
    /// By upid, those of which no event has told yet.
    strangers: HashMap<i64, Stranger>,
    images: u64,
}

/// A process that is only known by what it did.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// It.
    pub process: wire::Process,
    /// Its name, if it was seen: threads have names of their own.
    pub comm: Option<String>,
}

/// The lasting id of a process.
#[must_use]
pub fn upid(process: &wire::Process) -> i64 {
    ids::upid(process.start_ns.cast_signed(), process.pid.cast_signed())
}

#[derive(Debug)]
struct Process {
    pid: u32,
    exec_seq: i32,
    image: Rc<Image>,
}

impl Processes {
    /// A process that runs a program already. What is known of it stays.
    pub fn snapshot(&mut self, upid: i64, pid: u32, exe: Option<String>) {
        self.strangers.remove(&upid);
        if !self.live.contains_key(&upid) {
            self.insert(upid, pid, exe, 0);
        }
    }

    /// A process was created: it shares its parent's image.
    pub fn fork(&mut self, parent: i64, child: i64, child_pid: u32) {
        // Both are named by its row.
        self.strangers.remove(&parent);
        self.strangers.remove(&child);
        let image = match self.live.get(&parent) {
            Some(parent) => Rc::clone(&parent.image),
            None => self.new_image(None),
        };
        image.add(child_pid);
        let process = Process {
            pid: child_pid,
            exec_seq: 0,
            image,
        };
        self.live.insert(child, process);
    }

    /// A process executes a program; returns how many it has, with this one.
    pub fn exec(&mut self, upid: i64, pid: u32, exe: Option<String>) -> i32 {
        self.strangers.remove(&upid);
        let before = self.live.remove(&upid);
        if let Some(process) = &before {
            process.image.remove(pid);
        }
        let seq = before.map_or(0, |p| p.exec_seq).saturating_add(1);
        self.insert(upid, pid, exe, seq);
        seq
    }

    /// How many programs a process has executed.
    #[must_use]
    pub fn exec_seq(&self, upid: i64) -> i32 {
        self.live.get(&upid).map_or(0, |p| p.exec_seq)
    }

    /// A process has ended. It is remembered for a moment: what was seen of it
    /// before may be read after.
    pub fn exit(&mut self, upid: i64, ts_ns: i64) {
        const MOMENT_NS: i64 = 1_000_000_000;
        self.strangers.remove(&upid);
        self.ended.push_back((ts_ns, upid));
        while let Some((at, upid)) = self.ended.front().copied()
            && (ts_ns - at > MOMENT_NS || self.ended.len() > MAX_ENDED)
        {
            self.ended.pop_front();
            if let Some(process) = self.live.remove(&upid) {
                process.image.remove(process.pid);
            }
        }
    }

    /// The program that a process runs.
    pub fn image(&mut self, process: &wire::Process) -> Rc<Image> {
        let upid = upid(process);
        if let Some(known) = self.live.get(&upid) {
            return Rc::clone(&known.image);
        }
        self.meet(upid, process, None);
        self.insert(upid, process.pid, None, 0)
    }

    /// A process has done something, under that name.
    pub fn see(&mut self, process: &wire::Process, comm: Option<&str>) {
        let upid = upid(process);
        if let Some(stranger) = self.strangers.get_mut(&upid) {
            if stranger.comm.is_none() {
                stranger.comm = comm.map(str::to_owned);
            }
        } else if process.pid != 0 && !self.live.contains_key(&upid) {
            self.meet(upid, process, comm);
            self.insert(upid, process.pid, None, 0);
        }
    }

    fn meet(&mut self, upid: i64, process: &wire::Process, comm: Option<&str>) {
        if self.strangers.len() < MAX_STRANGERS {
            let stranger = Stranger {
                process: *process,
                comm: comm.map(str::to_owned),
            };
            self.strangers.insert(upid, stranger);
        }
    }

    /// Those that are strangers still; they are none any more.
    pub fn take_strangers(&mut self) -> Vec<Stranger> {
        let strangers = std::mem::take(&mut self.strangers);
        strangers.into_values().collect()
    }

    /// Every mapping that is known, each with one of the processes that have it.
    pub fn each_mapping(&self, mut visit: impl FnMut(i64, &Mapping)) {
        let mut seen = HashSet::new();
        for (upid, process) in &self.live {
            if seen.insert(process.image.number) {
                let state = process.image.state.borrow();
                state.mappings.iter().for_each(|m| visit(*upid, m));
            }
        }
    }

    /// Forgets what was read of the files that they run; it is read again when it
    /// is needed.
    pub fn forget_images(&self) {
        for process in self.live.values() {
            let mut state = process.image.state.borrow_mut();
            *state = Mapped {
                pids: std::mem::take(&mut state.pids),
                ..Mapped::default()
            };
        }
    }

    /// Forgets processes whose end was lost. Looks only when there are many.
    pub fn forget_dead(&mut self) {
        const MANY: usize = 8192;
        if self.live.len() > MANY {
            let exists = |pid: u32| std::path::Path::new(&format!("/proc/{pid}")).exists();
            self.live.retain(|_, process| exists(process.pid));
        }
    }

    /// The living process with that pid.
    #[must_use]
    pub fn upid_of(&self, pid: u32) -> Option<i64> {
        let mut all = self.live.iter();
        all.find(|(_, p)| p.pid == pid).map(|(upid, _)| *upid)
    }

    /// How many live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether none lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    fn insert(&mut self, upid: i64, pid: u32, exe: Option<String>, exec_seq: i32) -> Rc<Image> {
        let image = self.new_image(exe);
        image.add(pid);
        let process = Process {
            pid,
            exec_seq,
            image: Rc::clone(&image),
        };
        self.live.insert(upid, process);
        image
    }

    fn new_image(&mut self, exe: Option<String>) -> Rc<Image> {
        self.images += 1;
        Rc::new(Image {
            number: self.images,
            exe,
            state: RefCell::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, tid: u32) -> wire::Process {
        wire::Process {
            start_ns: u64::from(pid) << 20,
            pid,
            tid,
        }
    }

    #[test]
    fn a_child_shares_the_image_until_it_executes() {
        let mut processes = Processes::default();
        let (parent, child) = (process(10, 10), process(11, 11));
        processes.snapshot(upid(&parent), 10, Some("/bin/sh".into()));
        processes.fork(upid(&parent), upid(&child), 11);
        let of_parent = processes.image(&parent).number;
        assert_eq!(processes.image(&child).number, of_parent);
        assert_eq!(processes.exec(upid(&child), 11, None), 1);
        assert_ne!(processes.image(&child).number, of_parent);
        assert_eq!(processes.exec(upid(&child), 11, None), 2);
    }

    #[test]
    fn a_snapshot_does_not_undo_what_events_told() {
        let mut processes = Processes::default();
        let awk = process(10, 10);
        processes.exec(upid(&awk), 10, Some("/bin/awk".into()));
        let image = processes.image(&awk).number;
        processes.snapshot(upid(&awk), 10, Some("/bin/sh".into()));
        assert_eq!(processes.image(&awk).number, image);
    }

    #[test]
    fn what_no_event_tells_of_is_a_stranger() {
        let mut processes = Processes::default();
        for pid in 10..15 {
            processes.see(&process(pid, pid), Some("busy"));
        }
        processes.see(&process(15, 16), None);
        processes.image(&process(17, 17));
        processes.see(&process(17, 17), Some("late"));
        processes.see(&process(0, 0), None);
        processes.exec(upid(&process(10, 10)), 10, None);
        processes.exit(upid(&process(11, 11)), 1_000);
        processes.fork(upid(&process(12, 12)), upid(&process(13, 13)), 13);
        let mut left: Vec<_> = processes
            .take_strangers()
            .into_iter()
            .map(|stranger| (stranger.process.pid, stranger.comm))
            .collect();
        left.sort();
        let named = |pid, name: &str| (pid, Some(name.to_owned()));
        assert_eq!(left, [named(14, "busy"), (15, None), named(17, "late")]);
        processes.see(&process(14, 14), None);
        assert!(processes.take_strangers().is_empty(), "told once");
    }

    #[test]
    fn the_dead_are_forgotten() {
        let mut processes = Processes::default();
        processes.fork(1, 2, 11);
        processes.fork(1, 3, 12);
        processes.exit(2, 1_000);
        assert_eq!(processes.len(), 2, "remembered for a moment");
        processes.exit(3, 3_000_000_000);
        assert_eq!(processes.len(), 1);
    }
}
