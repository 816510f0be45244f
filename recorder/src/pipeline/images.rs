//! From programs in execution to rows: execs, and the processes that were there
//! already.

use std::borrow::Cow;

use whence_bpf::wire;
use whence_schemas::redact::Redactor;
use whence_schemas::{exec, line, process};

use super::{FORMS_OF_ARGV, Pipeline, device, known, login_uid, parent_upid, upid};
use crate::argv::{Argv, texts, wanted_env};
use crate::cgroups::container_id;
use crate::decode::{Image, comm};
use crate::loss::{CALLER, EXEC, SNAPSHOT};
use crate::processes::Stranger;
use crate::procfs;

impl Pipeline {
    pub(super) fn exec(&mut self, event: &Image<'_>) {
        self.received(EXEC);
        let wire = &event.wire;
        let ts_ns = wire.header.ts_ns.cast_signed();
        let time = self.clock.wall_us(ts_ns);
        let upid = upid(&wire.process);
        self.release(upid);
        let caller = self.callers.remove(&upid);
        // Its row is that of the exec.
        self.sink.exec.events[CALLER] += u64::from(caller.is_some());
        let (kernel_stack_id, user_stack_id) = caller.unwrap_or_default();
        let exe = event.exe();
        let errno = wire.error.cast_signed();
        let exec_seq = match errno {
            0 => self.processes.exec(upid, wire.process.pid, exe.clone()),
            _ => self.processes.exec_seq(upid),
        };
        let mut redactor = self.redactor.borrow_mut();
        let replaced = redactor.argv(event.argv);
        let argv = Argv::of(replaced.as_deref().unwrap_or(event.argv));
        let (name, parent_comm) = (comm(&wire.comm), comm(&wire.parent_comm));
        let argv_state = event.argv_state();
        if errno == 0 {
            self.triggers.exec(&argv.cmdline);
        }
        self.printer.print(|| {
            line::Exec {
                wall_us: time,
                ppid: wire.parent.pid.cast_signed(),
                parent_comm: &parent_comm,
                pid: wire.process.pid.cast_signed(),
                cmdline: &argv.cmdline,
                errno,
                complete: argv_state == "complete",
            }
            .line()
        });
        self.argv_bytes += event.argv.len() as u64;
        self.sink.exec.held_bytes += event.argv.len() * FORMS_OF_ARGV;
        let kept = wanted_env(event.env, &self.env);
        let kept = redactor.variables(kept);
        let env: Option<Vec<&str>> = (!event.env.is_empty()).then(|| texts(&kept));
        let exe = shown(&mut redactor, exe.as_deref());
        let cwd = event.cwd();
        let cwd = shown(&mut redactor, cwd.as_deref());
        let filename = String::from_utf8_lossy(event.filename);
        let cgroup_id = wire.cgroup_id.cast_signed();
        let cgroup_path = self.cgroups.path(cgroup_id);
        let interpreter =
            (!event.interpreter.is_empty()).then(|| String::from_utf8_lossy(event.interpreter));
        let interpreter = shown(&mut redactor, interpreter.as_deref());
        self.sink.exec.rows.push(exec::Row {
            ts_ns,
            time,
            upid,
            exec_seq,
            pid: wire.process.pid.cast_signed(),
            tid: wire.process.tid.cast_signed(),
            ppid: wire.parent.pid.cast_signed(),
            parent_upid: parent_upid(&wire.parent),
            parent_comm: &parent_comm,
            comm: &name,
            filename: &redactor.text(&filename),
            interpreter: interpreter.as_deref(),
            exe: exe.as_deref(),
            exe_dev: exe.as_ref().map(|_| device(wire.exe_dev)),
            exe_inode: exe.as_ref().map(|_| wire.exe_inode.cast_signed()),
            argv: &argv.texts(),
            argv_raw: argv.raw.as_deref(),
            argc: argv.args.len() as i32,
            argv_bytes: wire.argv_total.cast_signed(),
            argv_state,
            cmdline: &argv.cmdline,
            env: env.as_deref(),
            cwd: cwd.as_deref(),
            errno,
            uid: i64::from(wire.uid),
            euid: i64::from(wire.euid),
            gid: i64::from(wire.gid),
            login_uid: login_uid(wire.login_uid),
            cgroup_id,
            cgroup_path,
            container_id: cgroup_path.and_then(container_id),
            session_id: known(wire.session).map(|pid| pid as i32),
            tty: (wire.tty != 0).then(|| device(wire.tty)),
            ns_pid: known(wire.ns_pid).map(|pid| pid as i32),
            pid_ns: known(wire.pid_ns),
            mnt_ns: known(wire.mnt_ns),
            user_ns: known(wire.user_ns),
            kernel_stack_id,
            user_stack_id,
        });
    }

    pub(super) fn snapshot(&mut self, event: &Image<'_>, record: &[u8]) {
        self.received(SNAPSHOT);
        let (process, parent) = (&event.wire.process, event.wire.parent);
        self.processes
            .snapshot(upid(process), process.pid, event.exe());
        self.listed.insert(upid(process));
        if parent.pid != 0 {
            let name = || comm(&event.wire.parent_comm).into_owned();
            self.parents
                .entry(upid(&parent))
                .or_insert_with(|| (parent, name()));
        }
        match &mut self.held {
            Some(held) => held.push(record.to_vec()),
            None => self.push_process(event),
        }
    }

    pub(super) fn push_process(&mut self, event: &Image<'_>) {
        let wire = &event.wire;
        let mut redactor = self.redactor.borrow_mut();
        let replaced = redactor.argv(event.argv);
        let bytes = replaced.as_deref().unwrap_or(event.argv);
        let argv = (!event.is_kernel_thread()).then(|| Argv::of(bytes));
        let (exe, cwd) = (event.exe(), event.cwd());
        let texts = argv.as_ref().map(Argv::texts);
        let cgroup_id = wire.cgroup_id.cast_signed();
        let cgroup_path = self.cgroups.path(cgroup_id);
        self.argv_bytes += event.argv.len() as u64;
        self.sink.process.held_bytes += event.argv.len() * FORMS_OF_ARGV;
        self.sink.process.rows.push(process::Row {
            upid: upid(&wire.process),
            parent_upid: parent_upid(&wire.parent),
            ppid: (wire.parent.pid != 0).then_some(wire.parent.pid.cast_signed()),
            exe: shown(&mut redactor, exe.as_deref()).as_deref(),
            argv: texts.as_deref(),
            cmdline: argv.as_ref().map(|a| a.cmdline.as_str()),
            cwd: shown(&mut redactor, cwd.as_deref()).as_deref(),
            uid: Some(i64::from(wire.uid)),
            gid: Some(i64::from(wire.gid)),
            login_uid: login_uid(wire.login_uid),
            cgroup_id: Some(cgroup_id),
            cgroup_path,
            container_id: cgroup_path.and_then(container_id),
            pid_ns: known(wire.pid_ns),
            ..running(&wire.process, &comm(&wire.comm))
        });
    }

    /// Processes of which no event has told, by what they did.
    pub(super) fn push_strangers(&mut self) {
        for Stranger { process, comm } in self.processes.take_strangers() {
            self.sink.process.rows.push(process::Row {
                upid: upid(&process),
                pid: process.pid.cast_signed(),
                start_ns: process.start_ns.cast_signed(),
                comm: comm.as_deref(),
                source: "inferred",
                ..process::Row::default()
            });
        }
    }

    /// A process that only its children and `/proc` know.
    pub(super) fn push_from_proc(&mut self, process: &wire::Process, comm: &str) {
        let Some(facts) = procfs::read(process) else {
            return;
        };
        let ppid = (facts.ppid != 0).then_some(facts.ppid);
        let mut redactor = self.redactor.borrow_mut();
        let replaced = redactor.argv(&facts.argv);
        let argv = Argv::of(replaced.as_deref().unwrap_or(&facts.argv));
        let cgroup_path = facts.cgroup_path.as_deref();
        self.sink.process.rows.push(process::Row {
            parent_upid: ppid.and_then(|pid| self.processes.upid_of(pid)),
            ppid: ppid.map(u32::cast_signed),
            exe: shown(&mut redactor, facts.exe.as_deref()).as_deref(),
            argv: Some(&argv.texts()),
            cmdline: Some(&argv.cmdline),
            cwd: shown(&mut redactor, facts.cwd.as_deref()).as_deref(),
            uid: facts.uid,
            gid: facts.gid,
            login_uid: facts.login_uid,
            cgroup_path,
            container_id: cgroup_path.and_then(container_id),
            pid_ns: facts.pid_ns,
            ..running(process, comm)
        });
    }
}

/// A path without its secrets.
fn shown<'a>(redactor: &mut Redactor, path: Option<&'a str>) -> Option<Cow<'a, str>> {
    path.map(|path| redactor.text(path))
}

/// The row of a process that runs, with what is always known.
fn running<'a>(process: &wire::Process, comm: &'a str) -> process::Row<'a> {
    process::Row {
        upid: upid(process),
        pid: process.pid.cast_signed(),
        start_ns: process.start_ns.cast_signed(),
        comm: Some(comm),
        source: "snapshot",
        ..process::Row::default()
    }
}
