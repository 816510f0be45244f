//! Whether this kernel takes a kind of probe, which is tried: a program of two
//! instructions is loaded and attached, and goes again.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use libbpf_sys as sys;

use crate::perf::{self, Event};
use crate::tracefs::Tracefs;

/// A function that every kernel has and that is called all the time.
pub(crate) const FUNCTION: &str = "vfs_read";

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
            c"whence_trial".as_ptr(),
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

/// At a function or tracepoint of the kernel, by the kernel's own types.
pub(crate) fn traced(name: &str, attach: u32) -> io::Result<()> {
    let program = load_traced(name, attach)?;
    // SAFETY: no name, and an open descriptor.
    let link = unsafe { sys::bpf_raw_tracepoint_open(std::ptr::null(), program.as_raw_fd()) };
    owned(link).map(drop)
}

/// At a tracepoint by its name.
pub(crate) fn raw_tracepoint() -> io::Result<()> {
    let program = load(sys::BPF_PROG_TYPE_RAW_TRACEPOINT, &mut options())?;
    let name = c"sched_process_exec".as_ptr();
    // SAFETY: a string that ends with a NUL, and an open descriptor.
    owned(unsafe { sys::bpf_raw_tracepoint_open(name, program.as_raw_fd()) }).map(drop)
}

/// Over all tasks.
pub(crate) fn iterator() -> io::Result<()> {
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

/// A ring buffer.
pub(crate) fn ring() -> io::Result<()> {
    // SAFETY: a string that ends with a NUL, no options.
    owned(unsafe {
        sys::bpf_map_create(
            sys::BPF_MAP_TYPE_RINGBUF,
            c"whence_trial".as_ptr(),
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

/// On the first CPU, every second of that counter.
pub(crate) fn sampling(kind: u32, config: u32) -> io::Result<()> {
    let program = load(sys::BPF_PROG_TYPE_PERF_EVENT, &mut options())?;
    let event = Event {
        kind,
        config: u64::from(config),
        period: 1_000_000_000,
    };
    attach(&program, &event.open(0)?)
}

/// At the end of execve, by tracefs.
pub(crate) fn tracepoint() -> io::Result<()> {
    let tracefs = Tracefs::open();
    let id = tracefs.and_then(|tracefs| tracefs.id("syscalls", "sys_exit_execve"));
    let id = id.ok_or_else(|| io::Error::other("sys_exit_execve cannot be reached in tracefs"))?;
    let program = load(sys::BPF_PROG_TYPE_TRACEPOINT, &mut options())?;
    attach(&program, &Event::tracepoint(id).open(0)?)
}

/// A probe that the kernel makes when it is asked for: a kprobe or a uprobe.
pub(crate) fn dynamic(kind: &str, target: &str, offset: u64) -> io::Result<()> {
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
pub(crate) fn kprobe_multi() -> io::Result<()> {
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
pub(crate) fn uprobe() -> io::Result<()> {
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
