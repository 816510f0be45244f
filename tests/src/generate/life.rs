//! Life of processes as rows: forks, execs and exits in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use whence_schemas::{Result, exec, exit, fork, process, quote};

use super::host::{PROGRAMS, Program};
use super::output::Output;
use super::paths::Paths;

/// A process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proc {
    pub(crate) upid: i64,
    pub(crate) pid: i32,
    /// What it runs, in [`PROGRAMS`].
    pub(crate) program: u16,
    /// What stands for `{n}` in its arguments.
    pub(crate) n: u32,
}

impl Proc {
    pub(crate) fn program(&self) -> &'static Program {
        &PROGRAMS[self.program as usize]
    }

    fn argv(&self) -> Vec<String> {
        let n = self.n.to_string();
        let args = self.program().argv.iter();
        args.map(|arg| arg.replace("{n}", &n)).collect()
    }
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Fork,
    /// The program is tried in other folders first, that often.
    Exec {
        misses: u8,
    },
    Exit {
        code: i32,
        signal: i32,
    },
}

/// An event that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) ts_ns: i64,
    pub(crate) what: What,
    pub(crate) of: Proc,
    pub(crate) parent: Proc,
}

/// Events in order of time, then of when they were thought of.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(i64, u64, usize)>>,
    events: Vec<Event>,
    free: Vec<usize>,
    count: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, event: Event) {
        let at = match self.free.pop() {
            Some(at) => {
                self.events[at] = event;
                at
            }
            None => {
                self.events.push(event);
                self.events.len() - 1
            }
        };
        self.count += 1;
        self.heap.push(Reverse((event.ts_ns, self.count, at)));
    }

    /// The next one, if it happens before `end_ns`.
    pub(crate) fn pop(&mut self, end_ns: i64) -> Option<Event> {
        let Reverse((ts_ns, _, at)) = self.heap.peek().copied()?;
        if ts_ns >= end_ns {
            return None;
        }
        self.heap.pop();
        self.free.push(at);
        Some(self.events[at])
    }
}

/// A process that was there before the recording.
pub(crate) fn running(of: Proc, parent: Option<Proc>, start_ns: i64, output: &mut Output) {
    let argv = of.argv();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let line = quote::command_line(argv.iter().map(|a| a.as_bytes()));
    let program = of.program();
    output.sink.process.rows.push(process::Row {
        upid: of.upid,
        parent_upid: parent.map(|p| p.upid),
        pid: of.pid,
        ppid: parent.map(|p| p.pid),
        start_ns,
        comm: Some(program.comm),
        exe: argv.first().copied(),
        argv: Some(&argv),
        cmdline: Some(&line),
        cwd: Some("/"),
        uid: Some(program.uid),
        gid: Some(program.uid),
        cgroup_id: Some(program.unit.0),
        cgroup_path: Some(program.unit.1),
        pid_ns: Some(4_026_531_836),
        source: "snapshot",
        ..process::Row::default()
    });
}

/// Writes an event.
pub(crate) fn write(event: &Event, paths: &mut Paths, output: &mut Output) -> Result<()> {
    match event.what {
        What::Fork => write_fork(event, paths, output),
        What::Exec { misses } => return write_exec(event, misses, paths, output),
        What::Exit { code, signal } => write_exit(event, code, signal, output),
    }
    output.relieve(0)
}

fn write_fork(event: &Event, paths: &mut Paths, output: &mut Output) {
    let parent = event.parent;
    let site = u64::from(parent.program) * 3 + u64::from(event.of.n % 3);
    let user_stack_id = paths.spawning(site, event.ts_ns, output);
    output.sink.fork.rows.push(fork::Row {
        ts_ns: event.ts_ns,
        parent_upid: parent.upid,
        parent_pid: parent.pid,
        parent_tid: parent.pid,
        child_upid: event.of.upid,
        child_pid: event.of.pid,
        comm: parent.program().comm,
        flags: 0x120_0011,
        user_stack_id: Some(user_stack_id),
    });
}

fn write_exec(event: &Event, misses: u8, paths: &mut Paths, output: &mut Output) -> Result<()> {
    const FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin"];
    let (of, parent) = (event.of, event.parent);
    let program = of.program();
    let argv = of.argv();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let bytes: usize = argv.iter().map(|a| a.len() + 1).sum();
    let line = quote::command_line(argv.iter().map(|a| a.as_bytes()));
    let user_stack_id = paths.spawning(u64::from(of.program) * 3, event.ts_ns, output);
    let row = exec::Row {
        upid: of.upid,
        exec_seq: 1,
        pid: of.pid,
        tid: of.pid,
        ppid: parent.pid,
        parent_upid: Some(parent.upid),
        parent_comm: parent.program().comm,
        argv: &argv,
        argc: argv.len() as i32,
        argv_bytes: bytes as i64,
        argv_state: "complete",
        cmdline: &line,
        cwd: Some(program.cwd),
        uid: program.uid,
        euid: program.uid,
        gid: program.uid,
        cgroup_id: program.unit.0,
        cgroup_path: Some(program.unit.1),
        session_id: Some(parent.pid),
        pid_ns: Some(4_026_531_836),
        mnt_ns: Some(4_026_531_841),
        user_ns: Some(4_026_531_837),
        user_stack_id: Some(user_stack_id),
        ..exec::Row::default()
    };
    let name = program.exe.rsplit('/').next().unwrap_or(program.exe);
    for (miss, folder) in FOLDERS.iter().take(misses.into()).enumerate() {
        let ts_ns = event.ts_ns - 20_000 * i64::from(misses) + 10_000 * miss as i64;
        let filename = format!("{folder}/{name}");
        output.sink.exec.rows.push(exec::Row {
            ts_ns,
            time: Output::wall_us(ts_ns),
            exec_seq: 0,
            comm: parent.program().comm,
            filename: &filename,
            errno: libc::ENOENT,
            ..row.clone()
        });
    }
    output.sink.exec.rows.push(exec::Row {
        ts_ns: event.ts_ns,
        time: Output::wall_us(event.ts_ns),
        comm: program.comm,
        filename: program.exe,
        exe: Some(program.exe),
        exe_dev: Some(2_049),
        exe_inode: Some(130_000 + i64::from(of.program)),
        ..row.clone()
    });
    output.relieve(bytes as u64)
}

fn write_exit(event: &Event, code: i32, signal: i32, output: &mut Output) {
    let of = event.of;
    let program = of.program();
    // A process costs about what its program does.
    let scale = 50 + i64::from(of.n % 100);
    output.sink.exit.rows.push(exit::Row {
        ts_ns: event.ts_ns,
        upid: of.upid,
        pid: of.pid,
        comm: program.comm,
        exit_code: (signal == 0).then_some(code),
        exit_signal: (signal != 0).then_some(signal),
        core_dumped: signal == libc::SIGSEGV,
        utime_ns: program.life_us * scale * 6 / 1_000 * 1_000,
        stime_ns: program.life_us * scale * 2 / 1_000 * 1_000,
        max_rss_bytes: (2 << 20) + scale * program.life_us / 4_096 * 4_096,
        min_flt: 100 + scale,
        maj_flt: i64::from(of.n.is_multiple_of(50)),
        read_bytes: scale / 100 * 4_096,
        write_bytes: scale / 120 * 4_096,
        reaper_upid: Some(event.parent.upid),
    });
}
