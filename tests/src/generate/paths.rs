//! Call paths through a call graph that never was. Each function calls the same
//! few others everywhere, so paths share their beginnings as real ones do.

use fastrand::Rng;
use whence_schemas::{frame, ids, stack, symbol};

use super::output::Output;

/// Of so many call paths, one is the kernel's.
const KERNEL_SHARE: u64 = 10;
/// Functions of the kernel, and of each module.
const KERNEL_FUNCTIONS: u64 = 6_000;
const MODULE_FUNCTIONS: u64 = 1_500;
/// Calls in one function.
const SITES: u64 = 4;

const MODULES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/bin/bash",
    "/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
    "/usr/bin/make",
    "/usr/lib/postgresql/15/bin/postgres",
    "/usr/sbin/nginx",
    "/usr/lib/jvm/libjvm.so",
    "/usr/bin/python3.11",
    "/usr/bin/dockerd",
    "/usr/lib/x86_64-linux-gnu/libssl.so.3",
    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
    "/opt/ci/runner",
];
const AREAS: &[&str] = &[
    "ext4", "tcp", "skb", "blk", "mm", "page", "vfs", "sched", "futex", "xfs", "net", "irq",
    "nvme", "cgroup", "pipe", "epoll",
];
const VERBS: &[&str] = &[
    "read", "write", "alloc", "free", "lookup", "insert", "remove", "update", "wait", "wake",
    "submit", "complete", "lock", "unlock", "scan", "parse", "emit", "visit", "hash", "copy",
];
const NOUNS: &[&str] = &[
    "node", "page", "block", "entry", "queue", "bio", "inode", "range", "token", "tree", "slot",
    "batch", "buffer", "extent", "state", "list", "table", "group", "work", "event",
];
const KERNEL_ENTRY: &[&str] = &["entry_SYSCALL_64_after_hwframe", "do_syscall_64"];
const INTERRUPT_ENTRY: &[&str] = &[
    "asm_common_interrupt",
    "common_interrupt",
    "__irq_exit_rcu",
    "handle_softirqs",
];
const IDLE: &[&str] = &[
    "common_startup_64",
    "start_secondary",
    "cpu_startup_entry",
    "do_idle",
    "default_idle_call",
];
const USER_ENTRY: &[&str] = &["_start", "__libc_start_main", "main"];

/// Which code a path is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Kernel,
    User,
}

/// All call paths. One is written when it is first needed.
#[derive(Debug)]
pub(crate) struct Paths {
    seed: u64,
    /// Ids of those that were written; 0 for the others.
    kernel: Vec<i64>,
    user: Vec<i64>,
    interrupt: Vec<i64>,
    idle: i64,
    spawning: Vec<i64>,
    frames: std::collections::HashSet<i64>,
}

impl Paths {
    pub(crate) fn new(seed: u64, count: u64) -> Self {
        let kernel = (count / KERNEL_SHARE).max(1);
        Self {
            seed,
            kernel: vec![0; kernel as usize],
            user: vec![0; count.saturating_sub(kernel).max(1) as usize],
            interrupt: vec![0; (kernel / 20).max(1) as usize],
            idle: 0,
            spawning: vec![0; 256],
            frames: std::collections::HashSet::new(),
        }
    }

    /// How many there are of the program's code.
    pub(crate) fn users(&self) -> usize {
        self.user.len()
    }

    /// The path of that number in the program's code.
    pub(crate) fn user(&mut self, at: usize, ts_ns: i64, output: &mut Output) -> i64 {
        if self.user[at] == 0 {
            let mut rng = self.rng(at as u64, 1);
            let module = rng.u64(0..MODULES.len() as u64);
            self.user[at] = self.add(Code::User, module, USER_ENTRY, &mut rng, ts_ns, output);
        }
        self.user[at]
    }

    /// The path of that number in the kernel, taken modulo how many there are.
    pub(crate) fn kernel(&mut self, at: u64, ts_ns: i64, output: &mut Output) -> i64 {
        let at = (at % self.kernel.len() as u64) as usize;
        if self.kernel[at] == 0 {
            let mut rng = self.rng(at as u64, 2);
            let id = self.add(Code::Kernel, 0, KERNEL_ENTRY, &mut rng, ts_ns, output);
            self.kernel[at] = id;
        }
        self.kernel[at]
    }

    /// The path of that number in an interrupt.
    pub(crate) fn interrupt(&mut self, at: u64, ts_ns: i64, output: &mut Output) -> i64 {
        let at = (at % self.interrupt.len() as u64) as usize;
        if self.interrupt[at] == 0 {
            let mut rng = self.rng(at as u64, 3);
            let id = self.add(Code::Kernel, 0, INTERRUPT_ENTRY, &mut rng, ts_ns, output);
            self.interrupt[at] = id;
        }
        self.interrupt[at]
    }

    /// The path of the idle task.
    pub(crate) fn idle(&mut self, ts_ns: i64, output: &mut Output) -> i64 {
        if self.idle == 0 {
            let path: Vec<Place> = IDLE
                .iter()
                .map(|name| Place::entry(Code::Kernel, 0, name))
                .collect();
            self.idle = self.write(Code::Kernel, &path, ts_ns, output);
        }
        self.idle
    }

    /// The path of the code that starts processes, by where it does.
    pub(crate) fn spawning(&mut self, site: u64, ts_ns: i64, output: &mut Output) -> i64 {
        let at = (site % self.spawning.len() as u64) as usize;
        if self.spawning[at] == 0 {
            let mut rng = self.rng(at as u64, 4);
            let module = 1 + at as u64 / 3 % (MODULES.len() as u64 - 1);
            self.spawning[at] = self.add(Code::User, module, USER_ENTRY, &mut rng, ts_ns, output);
        }
        self.spawning[at]
    }

    fn rng(&self, at: u64, kind: u64) -> Rng {
        Rng::with_seed(mix(self.seed ^ mix(at) ^ (kind << 60)))
    }

    /// Walks from an entry through the call graph.
    fn add(
        &mut self,
        code: Code,
        module: u64,
        entry: &[&'static str],
        rng: &mut Rng,
        ts_ns: i64,
        output: &mut Output,
    ) -> i64 {
        let mut path: Vec<Place> = entry
            .iter()
            .map(|name| Place::entry(code, module, name))
            .collect();
        let functions = match code {
            Code::Kernel => KERNEL_FUNCTIONS,
            Code::User => MODULE_FUNCTIONS,
        };
        let (mut module, mut function) = (module, module % 7);
        let depth = 4 + (rng.f64() * rng.f64() * 44.0) as usize;
        for _ in 0..depth {
            // The first callees are called most.
            let choice = (rng.f64() * rng.f64() * 6.0) as u64;
            let called = mix(mix(module << 32 | function) ^ choice);
            if code == Code::User && called.is_multiple_of(11) {
                module = called / 11 % MODULES.len() as u64;
            }
            function = called / 128 % functions;
            path.push(Place {
                code,
                module,
                function,
                site: rng.u64(0..SITES),
                name: None,
            });
        }
        self.write(code, &path, ts_ns, output)
    }

    fn write(&mut self, code: Code, path: &[Place], ts_ns: i64, output: &mut Output) -> i64 {
        let mut frame_ids = Vec::with_capacity(path.len());
        for place in path.iter().rev() {
            let id = place.id();
            frame_ids.push(id);
            if self.frames.insert(id) {
                place.write(id, ts_ns, output);
            }
        }
        let unwinder = match code {
            Code::Kernel => "kernel",
            Code::User => "dwarf",
        };
        let stack_id = ids::stack_id(&frame_ids, false, unwinder);
        output.sink.stack.rows.push(stack::Row {
            stack_id,
            frame_ids: &frame_ids,
            truncated: false,
            unwinder,
            first_ns: ts_ns,
        });
        stack_id
    }
}

/// A place in code.
#[derive(Clone, Copy, Debug)]
struct Place {
    code: Code,
    module: u64,
    function: u64,
    site: u64,
    /// Its function's name, if it is an entry.
    name: Option<&'static str>,
}

impl Place {
    fn entry(code: Code, module: u64, name: &'static str) -> Self {
        let function = name
            .bytes()
            .fold(7, |hash, byte| mix(hash ^ u64::from(byte)));
        Self {
            code,
            module,
            function: 1_000_000 + function % 1_000_000,
            site: 0,
            name: Some(name),
        }
    }

    fn module(&self) -> &'static str {
        match self.code {
            Code::Kernel => "[kernel]",
            Code::User => MODULES[self.module as usize],
        }
    }

    fn offset(&self) -> i64 {
        (self.function * 512 + self.site * 64) as i64
    }

    fn id(&self) -> i64 {
        let kind = match self.code {
            Code::Kernel => "kernel",
            Code::User => "user",
        };
        ids::frame_id(kind, self.module(), self.offset())
    }

    fn function_name(&self) -> String {
        let pick = |words: &[&'static str], at: u64| words[(at % words.len() as u64) as usize];
        let (verb, noun) = (
            pick(VERBS, self.function),
            pick(NOUNS, self.function / VERBS.len() as u64),
        );
        let rest = self.function / (VERBS.len() * NOUNS.len()) as u64;
        match (self.name, self.code) {
            (Some(name), _) => name.into(),
            (None, Code::Kernel) => format!("{}_{verb}_{noun}", pick(AREAS, rest)),
            (None, Code::User) => {
                let module = self.module().rsplit('/').next().unwrap_or_default();
                let module = module.split('.').next().unwrap_or_default();
                format!("{module}_{verb}_{noun}{rest}")
            }
        }
    }

    fn write(&self, frame_id: i64, ts_ns: i64, output: &mut Output) {
        let (kind, base, source) = match self.code {
            Code::Kernel => ("kernel", -0x7f00_0000_i64, "kallsyms"),
            Code::User => ("user", 0x5500_0000_0000, "elf"),
        };
        output.sink.frame.rows.push(frame::Row {
            frame_id,
            kind,
            module: Some(self.module()),
            build_id: None,
            offset: Some(self.offset()),
            address: base + self.offset(),
            first_ns: ts_ns,
        });
        // Some programs are stripped.
        if self.name.is_none() && self.code == Code::User && self.function.is_multiple_of(23) {
            return;
        }
        output.sink.symbol.rows.push(symbol::Row {
            frame_id,
            inline_depth: 0,
            function: &self.function_name(),
            file: None,
            line: None,
            source,
            first_ns: ts_ns,
        });
    }
}

/// Spreads the bits of a number: the finalizer of SplitMix64.
pub(crate) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
