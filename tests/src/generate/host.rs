//! What the host does: daemons that were there, and the activities that start
//! processes.

use std::ops::Range;

use fastrand::Rng;
use whence_schemas::{Result, ids};

use super::Shape;
use super::life::{self, Event, Proc, Queue, What};
use super::output::{Output, S};
use super::paths::Paths;

/// A program, and what is alike in all its runs.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) comm: &'static str,
    pub(crate) exe: &'static str,
    /// `{n}` differs between runs.
    pub(crate) argv: &'static [&'static str],
    pub(crate) cwd: &'static str,
    pub(crate) uid: i64,
    /// Id and path of its cgroup.
    pub(crate) unit: (i64, &'static str),
    /// Typical time that it runs, microseconds.
    pub(crate) life_us: i64,
}

const SYSTEM: (i64, &str) = (1_101, "/system.slice");
const CRON: (i64, &str) = (1_202, "/system.slice/cron.service");
const RUNNER: (i64, &str) = (1_303, "/system.slice/ci-runner.service");
const TUNED: (i64, &str) = (1_404, "/system.slice/ksmtuned.service");
const USER: (i64, &str) = (1_505, "/user.slice/user-1000.slice/session-3.scope");
const DOCKER: (i64, &str) = (1_606, "/system.slice/docker.service");
const KERNEL: (i64, &str) = (1, "/");

macro_rules! programs {
    ($( $name:ident: $comm:literal $exe:literal [$($arg:literal),*] $cwd:literal $uid:literal $unit:ident $life:literal; )+) => {
        /// Every program, by number.
        pub(crate) static PROGRAMS: &[Program] = &[$( Program {
            comm: $comm, exe: $exe, argv: &[$($arg),*], cwd: $cwd, uid: $uid, unit: $unit,
            life_us: $life,
        } ),+];
        #[allow(dead_code, reason = "some only stand for their number")]
        #[derive(Clone, Copy)]
        #[repr(u16)]
        enum P { $($name),+ }
    };
}

programs! {
    Systemd: "systemd" "/usr/lib/systemd/systemd" ["/sbin/init"] "/" 0 KERNEL 0;
    Kthreadd: "kthreadd" "" [] "/" 0 KERNEL 0;
    Kworker: "kworker/u4:1" "" [] "/" 0 KERNEL 0;
    Journald: "systemd-journal" "/usr/lib/systemd/systemd-journald" ["/usr/lib/systemd/systemd-journald"] "/" 0 SYSTEM 0;
    Sshd: "sshd" "/usr/sbin/sshd" ["sshd: /usr/sbin/sshd -D"] "/" 0 SYSTEM 0;
    Cron: "cron" "/usr/sbin/cron" ["/usr/sbin/cron", "-f"] "/" 0 CRON 400_000;
    Tuned: "ksmtuned" "/bin/bash" ["/bin/bash", "/usr/sbin/ksmtuned"] "/" 0 TUNED 0;
    Dockerd: "dockerd" "/usr/bin/dockerd" ["/usr/bin/dockerd", "-H", "fd://"] "/" 0 DOCKER 0;
    Runner: "ci-runner" "/opt/ci/runner" ["/opt/ci/runner", "--work", "/srv/ci"] "/srv/ci" 990 RUNNER 0;
    Postgres: "postgres" "/usr/lib/postgresql/15/bin/postgres" ["/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/postgresql"] "/var/lib/postgresql" 110 SYSTEM 0;
    Nginx: "nginx" "/usr/sbin/nginx" ["nginx: worker process"] "/" 33 SYSTEM 0;
    Java: "java" "/usr/bin/java" ["java", "-Xmx8g", "-jar", "/opt/app/server.jar"] "/opt/app" 991 SYSTEM 0;
    Python: "python3" "/usr/bin/python3.11" ["python3", "/opt/app/worker.py", "--queue", "{n}"] "/opt/app" 991 SYSTEM 600_000;
    Login: "bash" "/bin/bash" ["-bash"] "/home/ana" 1000 USER 0;
    Build: "bash" "/bin/bash" ["bash", "-e", "/srv/ci/builds/{n}/build.sh"] "/srv/ci" 990 RUNNER 90_000_000;
    Make: "make" "/usr/bin/make" ["make", "-j8", "-C", "/srv/ci/builds/{n}"] "/srv/ci" 990 RUNNER 80_000_000;
    Shell: "sh" "/usr/bin/dash" ["/bin/sh", "-c", "gcc -O2 -Iinclude -c src/unit{n}.c -o out/unit{n}.o"] "/srv/ci" 990 RUNNER 300_000;
    Gcc: "gcc" "/usr/bin/gcc-12" ["gcc", "-O2", "-Iinclude", "-c", "src/unit{n}.c", "-o", "out/unit{n}.o"] "/srv/ci" 990 RUNNER 290_000;
    Cc1: "cc1" "/usr/lib/gcc/x86_64-linux-gnu/12/cc1" ["/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "-quiet", "-Iinclude", "src/unit{n}.c", "-O2", "-o", "/tmp/cc{n}.s"] "/srv/ci" 990 RUNNER 240_000;
    As: "as" "/usr/bin/x86_64-linux-gnu-as" ["as", "--64", "-o", "out/unit{n}.o", "/tmp/cc{n}.s"] "/srv/ci" 990 RUNNER 30_000;
    Ld: "ld" "/usr/bin/x86_64-linux-gnu-ld.bfd" ["/usr/bin/ld", "-o", "out/app{n}"] "/srv/ci" 990 RUNNER 400_000;
    CronShell: "sh" "/usr/bin/dash" ["/bin/sh", "-c", "/usr/lib/check-disk --quiet | logger -t disk"] "/root" 0 CRON 200_000;
    Check: "check-disk" "/usr/bin/bash" ["/bin/bash", "/usr/lib/check-disk", "--quiet"] "/root" 0 CRON 150_000;
    Awk: "awk" "/usr/bin/mawk" ["awk", "/^(MemFree|Buffers|Cached):/ {free += $2}; END {print free}", "/proc/meminfo"] "/" 0 TUNED 3_000;
    Pgrep: "pgrep" "/usr/bin/pgrep" ["pgrep", "-d", " ", "-f", "qemu-kvm"] "/" 0 TUNED 9_000;
    Sleep: "sleep" "/usr/bin/sleep" ["sleep", "10"] "/" 0 TUNED 10_000_000;
    Df: "df" "/usr/bin/df" ["df", "--output=pcent", "/"] "/root" 0 CRON 2_000;
    Grep: "grep" "/usr/bin/grep" ["grep", "-q", "TODO", "src/unit{n}.c"] "/home/ana/src" 1000 USER 1_500;
    Find: "find" "/usr/bin/find" ["find", "src", "-name", "*.c", "-exec", "grep", "-q", "TODO", "{}", ";"] "/home/ana/src" 1000 USER 80_000;
    Git: "git" "/usr/bin/git" ["git", "status", "--porcelain"] "/home/ana/src" 1000 USER 20_000;
    Ls: "ls" "/usr/bin/ls" ["ls", "--color=auto", "-l"] "/home/ana/src" 1000 USER 1_200;
    Runc: "runc" "/usr/bin/runc" ["runc", "exec", "--process", "/tmp/runc-process{n}", "web"] "/" 0 DOCKER 40_000;
    Probe: "sh" "/bin/busybox" ["/bin/sh", "-c", "wget -q -O- http://localhost:8080/health"] "/" 0 DOCKER 25_000;
    Wget: "wget" "/bin/busybox" ["wget", "-q", "-O-", "http://localhost:8080/health"] "/" 0 DOCKER 20_000;
}

/// Starts processes at a time.
type Activity = fn(&mut Host, i64);

/// What starts processes, with how often of a hundred and about how many.
const ACTIVITIES: &[(u32, u64, Activity)] = &[
    (46, 4, Host::compile),
    (14, 6, Host::cron),
    (12, 3, Host::tune),
    (8, 31, Host::search),
    (10, 1, Host::type_in),
    (10, 3, Host::probe),
];
/// Units that a build compiles.
const UNITS: u32 = 400;

/// The host.
#[derive(Debug)]
pub(crate) struct Host {
    rng: Rng,
    shape: Shape,
    queue: Queue,
    /// Processes still to be started, and started.
    all: u64,
    started: u64,
    next_pid: i32,
    /// The latest process of each program.
    latest: Vec<Proc>,
    build: Proc,
    units: u32,
}

impl Host {
    pub(crate) fn new(seed: u64, shape: Shape, all: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            shape,
            queue: Queue::default(),
            all,
            started: 0,
            next_pid: 2_000,
            latest: vec![Proc::default(); PROGRAMS.len()],
            build: Proc::default(),
            units: 0,
        }
    }

    /// The latest process that runs a program.
    pub(crate) fn latest(&self, program: usize) -> Proc {
        self.latest[program]
    }

    /// The processes that are there when recording begins.
    pub(crate) fn snapshot(&mut self, output: &mut Output) {
        let begin = Output::begin_ns();
        let day = 86_400 * S;
        // One process of each program stands for it until there is a newer one.
        for (program, about) in PROGRAMS.iter().enumerate() {
            let pid = program as i32 + 1;
            let start_ns = begin - 10 * day + S * i64::from(pid);
            let of = Proc {
                upid: ids::upid(start_ns, pid),
                pid,
                program: program as u16,
                n: 0,
            };
            self.latest[program] = of;
            if about.life_us == 0 {
                let above = match program as u16 {
                    p if p == P::Systemd as u16 || p == P::Kthreadd as u16 => None,
                    p if p == P::Kworker as u16 => Some(P::Kthreadd),
                    p if p == P::Login as u16 => Some(P::Sshd),
                    _ => Some(P::Systemd),
                };
                let parent = above.map(|p| self.latest[p as usize]);
                life::running(of, parent, start_ns, output);
            }
        }
        let cron = self.latest[P::Cron as usize];
        let systemd = self.latest[P::Systemd as usize];
        life::running(cron, Some(systemd), ids::upid_start_ns(cron.upid), output);
    }

    /// Lives through a time, by the end of which so many processes have started
    /// in all.
    pub(crate) fn live(
        &mut self,
        range: &Range<i64>,
        due: u64,
        paths: &mut Paths,
        output: &mut Output,
    ) -> Result<()> {
        let begin = self.started;
        let share = (due - begin.min(due)).max(1) as f64;
        while self.started < due {
            let done = (self.started - begin) as f64 / share;
            let at_ns = range.start + ((range.end - range.start) as f64 * done) as i64;
            self.write(at_ns, paths, output)?;
            self.start(at_ns);
        }
        self.write(range.end, paths, output)
    }

    fn write(&mut self, end_ns: i64, paths: &mut Paths, output: &mut Output) -> Result<()> {
        while let Some(event) = self.queue.pop(end_ns) {
            if matches!(event.what, What::Exec { .. }) {
                self.latest[event.of.program as usize] = event.of;
            }
            life::write(&event, paths, output)?;
        }
        Ok(())
    }

    fn start(&mut self, at_ns: i64) {
        match self.shape {
            Shape::Host => {
                let mut dice = self.rng.u32(0..100);
                for (often, many, activity) in ACTIVITIES {
                    if dice < *often {
                        // What is left may be too little for all of it.
                        match self.all - self.started >= *many {
                            true => activity(self, at_ns),
                            false => self.type_in(at_ns),
                        }
                        return;
                    }
                    dice -= often;
                }
            }
            Shape::Chain => {
                let last = self.build;
                let above = match last.pid {
                    0 => self.latest[P::Runner as usize],
                    _ => last,
                };
                self.build = self.run(P::Python, above, self.started as u32, at_ns, 60 * S);
            }
            Shape::Star => {
                let above = self.latest[P::Runner as usize];
                self.run(P::Python, above, self.started as u32, at_ns, S);
            }
        }
    }

    /// Forks and executes a program that runs for some time.
    fn run(&mut self, program: P, parent: Proc, n: u32, at_ns: i64, life_ns: i64) -> Proc {
        self.fork(program, parent, n, at_ns, life_ns, true)
    }

    fn fork(
        &mut self,
        program: P,
        parent: Proc,
        n: u32,
        at_ns: i64,
        life_ns: i64,
        executes: bool,
    ) -> Proc {
        let pid = self.next_pid;
        self.next_pid = if pid == 4_194_303 { 300 } else { pid + 1 };
        self.started += 1;
        let of = Proc {
            upid: ids::upid(at_ns, pid),
            pid,
            program: program as u16,
            n,
        };
        let mut push = |ts_ns, what| {
            let event = Event {
                ts_ns,
                what,
                of,
                parent,
            };
            self.queue.push(event);
        };
        push(at_ns, What::Fork);
        if executes {
            let misses = if n % 16 == 3 { 2 } else { 0 };
            push(at_ns + 300_000, What::Exec { misses });
        }
        let life_ns = life_ns.max(500_000);
        let life_ns = life_ns / 2 + self.rng.i64(0..life_ns);
        let (code, signal) = match self.rng.u32(0..1_000) {
            0 => (0, libc::SIGSEGV),
            1..=20 => (1, 0),
            _ => (0, 0),
        };
        push(at_ns + 400_000 + life_ns, What::Exit { code, signal });
        of
    }

    /// Runs a program for its typical time.
    fn typical(&mut self, program: P, parent: Proc, n: u32, at_ns: i64) -> Proc {
        let life_us = PROGRAMS[program as usize].life_us;
        self.run(program, parent, n, at_ns, life_us * 1_000)
    }

    /// One unit of the build that is under way.
    fn compile(&mut self, at_ns: i64) {
        if self.units == 0 {
            let n = self.rng.u32(1..10_000);
            let runner = self.latest[P::Runner as usize];
            let shell = self.typical(P::Build, runner, n, at_ns);
            self.build = self.typical(P::Make, shell, n, at_ns + 2_000_000);
            self.units = UNITS;
            return;
        }
        self.units -= 1;
        let (make, n) = (self.build, self.rng.u32(0..20_000));
        if self.units == 0 {
            self.typical(P::Ld, make, n, at_ns);
            return;
        }
        let shell = self.typical(P::Shell, make, n, at_ns);
        let gcc = self.typical(P::Gcc, shell, n, at_ns + 1_000_000);
        self.typical(P::Cc1, gcc, n, at_ns + 2_000_000);
        self.typical(P::As, gcc, n, at_ns + 250_000_000);
    }

    /// A job of cron: a copy of cron, a shell, a script and what it calls.
    fn cron(&mut self, at_ns: i64) {
        let cron = self.latest[P::Cron as usize];
        let copy = self.fork(P::Cron, cron, 0, at_ns, 250_000_000, false);
        let shell = self.typical(P::CronShell, copy, 0, at_ns + 2_000_000);
        let check = self.typical(P::Check, shell, 0, at_ns + 4_000_000);
        let subshell = self.fork(P::Check, check, 0, at_ns + 6_000_000, 8_000_000, false);
        self.typical(P::Df, subshell, 0, at_ns + 8_000_000);
        self.typical(P::Awk, subshell, 0, at_ns + 9_000_000);
    }

    /// A round of ksmtuned.
    fn tune(&mut self, at_ns: i64) {
        let tuned = self.latest[P::Tuned as usize];
        self.typical(P::Awk, tuned, 0, at_ns);
        self.typical(P::Pgrep, tuned, 0, at_ns + 5_000_000);
        self.typical(P::Sleep, tuned, 0, at_ns + 16_000_000);
    }

    /// A storm of processes that live for a moment.
    fn search(&mut self, at_ns: i64) {
        let login = self.latest[P::Login as usize];
        let find = self.typical(P::Find, login, 0, at_ns);
        for i in 0..30 {
            let n = self.rng.u32(0..20_000);
            self.typical(P::Grep, find, n, at_ns + 1_000_000 + i * 2_200_000);
        }
    }

    /// A command at a prompt.
    fn type_in(&mut self, at_ns: i64) {
        let login = self.latest[P::Login as usize];
        let program = [P::Git, P::Ls, P::Python][self.rng.usize(0..3)];
        let n = self.rng.u32(0..50);
        self.typical(program, login, n, at_ns);
    }

    /// A health check in a container.
    fn probe(&mut self, at_ns: i64) {
        let dockerd = self.latest[P::Dockerd as usize];
        let n = self.rng.u32(0..1_000_000);
        let runc = self.typical(P::Runc, dockerd, n, at_ns);
        let shell = self.typical(P::Probe, runc, 0, at_ns + 9_000_000);
        self.typical(P::Wget, shell, 0, at_ns + 11_000_000);
    }
}
