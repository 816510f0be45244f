//! Tries each kind of probe: loads a program of two instructions and attaches it.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use libbpf_sys as sys;

use super::{Check, Status};
use crate::perf::{self, Event};
use crate::tracefs::Tracefs;

/// A function that every kernel has and that is called all the time.
const FUNCTION: &str = "vfs_read";

/// One check for each kind of probe.
pub(super) fn probes() -> Vec<Check> {
    let recording = |name, result: io::Result<()>, remedy: &str| {
        check(name, Status::Missing, result, "loaded and attached", remedy)
    };
    let optional = |name, result: io::Result<()>, remedy: &str| {
        check(name, Status::Limited, result, "loaded and attached", remedy)
    };
    vec![
        recording("ring buffer", ring(), "CAP_BPF, and Linux 5.8 or newer"),
        recording(
            "process life",
            traced("sched_process_exec", sys::BPF_TRACE_RAW_TP),
            "CAP_BPF and CAP_PERFMON, and a kernel with CONFIG_BPF_EVENTS=y",
        ),
        recording(
            "process list",
            iterator(),
            "Linux 5.8 or newer, with CONFIG_DEBUG_INFO_BTF=y",
        ),
        optional(
            "callers of exec",
            traced("sched_prepare_exec", sys::BPF_TRACE_RAW_TP),
            "Linux 6.10 or newer; without it, execs have no stacks of their callers",
        ),
        optional(
            "failed execs",
            traced("__x64_sys_execve", sys::BPF_TRACE_FEXIT).or_else(|_| tracepoint()),
            "CAP_SYS_ADMIN to open tracefs, and a kernel with CONFIG_FTRACE_SYSCALLS=y",
        ),
        optional(
            "cpu sampling",
            sampling(sys::PERF_TYPE_SOFTWARE, sys::PERF_COUNT_SW_CPU_CLOCK),
            "CAP_PERFMON, and a kernel with CONFIG_PERF_EVENTS=y",
        ),
        optional(
            "cycle counter",
            sampling(sys::PERF_TYPE_HARDWARE, sys::PERF_COUNT_HW_CPU_CYCLES),
            "a machine that has it, as few virtual ones do; cpu-clock is used instead",
        ),
        optional(
            "tracepoint",
            raw_tracepoint(),
            "a kernel with CONFIG_BPF_EVENTS=y",
        ),
        optional(
            "fentry",
            traced(FUNCTION, sys::BPF_TRACE_FENTRY),
            "a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y that allows it",
        ),
        optional(
            "kprobe.multi",
            kprobe_multi(),
            "a kernel of 5.18 or newer with CONFIG_FPROBE=y; without it a pattern for many \
             functions takes longer to attach",
        ),
        optional(
            "kprobe",
            dynamic("kprobe", FUNCTION, 0),
            "a kernel with CONFIG_KPROBES=y, without lockdown=confidentiality",
        ),
        optional(
            "uprobe",
            uprobe(),
            "a kernel with CONFIG_UPROBES=y, without lockdown=confidentiality",
        ),
    ]
}

fn check(
    name: &'static str,
    otherwise: Status,
    result: io::Result<()>,
    well: &str,
    remedy: &str,
) -> Check {
    let found = match &result {
        Ok(()) => well.to_owned(),
        Err(e) => e.to_string(),
    };
    Check::new(name, result.is_ok(), otherwise, found).or(remedy)
}

/// A descriptor that libbpf gave, or the error that it returned.
fn owned(fd: i32) -> io::Result<OwnedFd> {
    match fd {
        // SAFETY: a descriptor that libbpf has just given belongs to us alone.
        0.. => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

/// Loads `return 0`.
fn load(kind: u32, options: &mut sys::bpf_prog_load_opts) -> io::Result<OwnedFd> {
    let instruction = |code: u8| sys::bpf_insn {
        code,
        ..Default::default()
    };
    // BPF_ALU64 | BPF_MOV | BPF_K to register 0, BPF_JMP | BPF_EXIT.
    let program = [instruction(0xb7), instruction(0x95)];
    // SAFETY: strings that end with a NUL, instructions and options that live.
    owned(unsafe {
        sys::bpf_prog_load(
            kind,
            c"whence_doctor".as_ptr(),
            c"GPL".as_ptr(),
            program.as_ptr(),
            program.len() as u64,
            options,
        )
    })
}

fn options() -> sys::bpf_prog_load_opts {
    sys::bpf_prog_load_opts {
        sz: size_of::<sys::bpf_prog_load_opts>() as u64,
        ..Default::default()
    }
}

/// A program that is attached by the kernel's own types.
fn load_traced(name: &str, attach: u32) -> io::Result<OwnedFd> {
    let wanted = CString::new(name)?;
    // SAFETY: a string that ends with a NUL.
    let id = unsafe { sys::libbpf_find_vmlinux_btf_id(wanted.as_ptr(), attach) };
    let id = u32::try_from(id).map_err(|_| {
        let text = format!("this kernel has no {name}");
        io::Error::new(io::ErrorKind::NotFound, text)
    })?;
    load_at(id, attach)
}

/// The same for one whose number is known.
fn load_at(id: u32, attach: u32) -> io::Result<OwnedFd> {
    let mut options = options();
    options.expected_attach_type = attach;
    options.attach_btf_id = id;
    load(sys::BPF_PROG_TYPE_TRACING, &mut options)
}

/// Whether programs are let trace the return of a function of the kernel, by its
/// number among the kernel's types.
pub(crate) fn returns_are_traced(id: u32) -> bool {
    load_at(id, sys::BPF_TRACE_FEXIT).is_ok()
}

fn traced(name: &str, attach: u32) -> io::Result<()> {
    let program = load_traced(name, attach)?;
    // SAFETY: no name, and an open descriptor.
    let link = unsafe { sys::bpf_raw_tracepoint_open(std::ptr::null(), program.as_raw_fd()) };
    owned(link).map(drop)
}

fn raw_tracepoint() -> io::Result<()> {
    let program = load(sys::BPF_PROG_TYPE_RAW_TRACEPOINT, &mut options())?;
    let name = c"sched_process_exec".as_ptr();
    // SAFETY: a string that ends with a NUL, and an open descriptor.
    owned(unsafe { sys::bpf_raw_tracepoint_open(name, program.as_raw_fd()) }).map(drop)
}

fn iterator() -> io::Result<()> {
    let program = load_traced("task", sys::BPF_TRACE_ITER)?;
    // SAFETY: an open descriptor, no target, no options.
    let link = owned(unsafe {
        sys::bpf_link_create(
            program.as_raw_fd(),
            0,
            sys::BPF_TRACE_ITER,
            std::ptr::null(),
        )
    })?;
    // SAFETY: an open descriptor.
    owned(unsafe { sys::bpf_iter_create(link.as_raw_fd()) }).map(drop)
}

fn ring() -> io::Result<()> {
    // SAFETY: a string that ends with a NUL, no options.
    owned(unsafe {
        sys::bpf_map_create(
            sys::BPF_MAP_TYPE_RINGBUF,
            c"whence_doctor".as_ptr(),
            0,
            0,
            4096,
            std::ptr::null(),
        )
    })
    .map(drop)
}

/// Attaches a program to a perf event.
fn attach(program: &OwnedFd, event: &OwnedFd) -> io::Result<()> {
    // SAFETY: open descriptors, no options.
    owned(unsafe {
        sys::bpf_link_create(
            program.as_raw_fd(),
            event.as_raw_fd(),
            sys::BPF_PERF_EVENT,
            std::ptr::null(),
        )
    })
    .map(drop)
}

fn sampling(kind: u32, config: u32) -> io::Result<()> {
    let program = load(sys::BPF_PROG_TYPE_PERF_EVENT, &mut options())?;
    let event = Event {
        kind,
        config: u64::from(config),
        period: 1_000_000_000,
    };
    attach(&program, &event.open(0)?)
}

fn tracepoint() -> io::Result<()> {
    let tracefs = Tracefs::open();
    let id = tracefs.and_then(|tracefs| tracefs.id("syscalls", "sys_exit_execve"));
    let id = id.ok_or_else(|| io::Error::other("sys_exit_execve cannot be reached in tracefs"))?;
    let program = load(sys::BPF_PROG_TYPE_TRACEPOINT, &mut options())?;
    attach(&program, &Event::tracepoint(id).open(0)?)
}

/// A probe that the kernel makes when it is asked for: a kprobe or a uprobe.
fn dynamic(kind: &str, target: &str, offset: u64) -> io::Result<()> {
    let path = format!("/sys/bus/event_source/devices/{kind}/type");
    let number = fs::read_to_string(&path)
        .map_err(|e| io::Error::new(e.kind(), format!("this kernel has none: {path}: {e}")))?;
    let number = number.trim().parse::<u32>().map_err(io::Error::other)?;
    let program = load(sys::BPF_PROG_TYPE_KPROBE, &mut options())?;
    let target = CString::new(target)?;
    let mut attr = sys::perf_event_attr {
        type_: number,
        size: size_of::<sys::perf_event_attr>() as u32,
        ..Default::default()
    };
    attr.__bindgen_anon_3.config1 = target.as_ptr() as u64;
    attr.__bindgen_anon_4.config2 = offset;
    // SAFETY: the name that the attribute points to lives.
    let event = unsafe { perf::open(&attr, 0) }?;
    attach(&program, &event)
}

/// At the entries of functions that are named, all at once.
fn kprobe_multi() -> io::Result<()> {
    let mut options = options();
    options.expected_attach_type = sys::BPF_TRACE_KPROBE_MULTI;
    let program = load(sys::BPF_PROG_TYPE_KPROBE, &mut options)?;
    let function = CString::new(FUNCTION)?;
    let mut names = [function.as_ptr()];
    let mut options = sys::bpf_link_create_opts {
        sz: size_of::<sys::bpf_link_create_opts>() as u64,
        ..Default::default()
    };
    options.__bindgen_anon_1.kprobe_multi.cnt = names.len() as u32;
    options.__bindgen_anon_1.kprobe_multi.syms = names.as_mut_ptr();
    // SAFETY: an open descriptor, and a name that lives.
    owned(unsafe {
        sys::bpf_link_create(
            program.as_raw_fd(),
            0,
            sys::BPF_TRACE_KPROBE_MULTI,
            &options,
        )
    })
    .map(drop)
}

/// At the entry of this very program, which is not called again.
fn uprobe() -> io::Result<()> {
    use object::read::elf::{FileHeader as _, ProgramHeader as _};
    let path = fs::read_link("/proc/self/exe")?;
    let file = object::read::ReadCache::new(fs::File::open(&path)?);
    let header =
        object::elf::FileHeader64::<object::Endianness>::parse(&file).map_err(io::Error::other)?;
    let endian = header.endian().map_err(io::Error::other)?;
    let entry = header.e_entry.get(endian);
    let segments = header.program_headers(endian, &file);
    let offset = segments
        .map_err(io::Error::other)?
        .iter()
        .find_map(|segment| {
            let start = segment.p_vaddr(endian);
            let within = entry.checked_sub(start)?;
            (within < segment.p_filesz(endian)).then(|| segment.p_offset(endian) + within)
        })
        .ok_or_else(|| io::Error::other("this program has no entry"))?;
    dynamic("uprobe", &path.to_string_lossy(), offset)
}
