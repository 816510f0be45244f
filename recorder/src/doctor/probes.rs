//! What each kind of probe is for, and what would enable it.

use std::io;

use libbpf_sys as sys;

use super::{Check, Status};
use crate::privilege;
use crate::trial::{self, FUNCTION};

/// Not supported, among errors that do not leave the kernel (linux/errno.h).
const ENOTSUPP: i32 = 524;

/// One check for each kind of probe.
pub(super) fn probes() -> Vec<Check> {
    let recording = |name, result: io::Result<()>, remedy: &str| {
        check(name, Status::Missing, result, "loaded and attached", remedy)
    };
    let optional = |name, result: io::Result<()>, remedy: &str| {
        check(name, Status::Limited, result, "loaded and attached", remedy)
    };
    vec![
        recording(
            "ring buffer",
            trial::ring(),
            "CAP_BPF, and Linux 5.8 or newer",
        ),
        recording(
            "process life",
            trial::traced("sched_process_exec", sys::BPF_TRACE_RAW_TP),
            "CAP_BPF and CAP_PERFMON, and a kernel with CONFIG_BPF_EVENTS=y",
        ),
        recording(
            "process list",
            trial::iterator(),
            "Linux 5.8 or newer, with CONFIG_DEBUG_INFO_BTF=y",
        ),
        optional(
            "callers of exec",
            trial::traced("sched_prepare_exec", sys::BPF_TRACE_RAW_TP),
            "Linux 6.10 or newer; without it, execs have no stacks of their callers",
        ),
        failed_execs(),
        optional(
            "cpu sampling",
            trial::sampling(sys::PERF_TYPE_SOFTWARE, sys::PERF_COUNT_SW_CPU_CLOCK),
            "CAP_PERFMON, and a kernel with CONFIG_PERF_EVENTS=y",
        ),
        optional(
            "cycle counter",
            trial::sampling(sys::PERF_TYPE_HARDWARE, sys::PERF_COUNT_HW_CPU_CYCLES),
            "a machine that has it, as few virtual ones do; cpu-clock is used instead",
        ),
        optional(
            "tracepoint",
            trial::raw_tracepoint(),
            "a kernel with CONFIG_BPF_EVENTS=y",
        ),
        optional(
            "fentry",
            trial::traced(FUNCTION, sys::BPF_TRACE_FENTRY),
            "a kernel with CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y that allows it",
        ),
        optional(
            "kprobe.multi",
            trial::kprobe_multi(),
            "a kernel of 5.18 or newer with CONFIG_FPROBE=y; without it a pattern for many \
             functions takes longer to attach",
        ),
        optional(
            "kprobe",
            trial::dynamic("kprobe", FUNCTION, 0),
            "a kernel with CONFIG_KPROBES=y, without lockdown=confidentiality",
        ),
        optional(
            "uprobe",
            trial::uprobe(),
            "a kernel with CONFIG_UPROBES=y, without lockdown=confidentiality",
        ),
    ]
}

fn failed_execs() -> Check {
    let at_return = trial::traced("__x64_sys_execve", sys::BPF_TRACE_FEXIT);
    let well = match at_return {
        Ok(()) => "loaded and attached",
        Err(_) => {
            "loaded and attached at a tracepoint, as fexit is refused: every system call of the \
             host is slower meanwhile, unless --no-failed-execs leaves them out"
        }
    };
    check(
        "failed execs",
        Status::Limited,
        at_return.or_else(|_| trial::tracepoint()),
        well,
        "CAP_SYS_ADMIN to open tracefs, and a kernel with CONFIG_FTRACE_SYSCALLS=y",
    )
}

/// What the kernel said, and what that comes from as far as it can be told.
fn refusal(error: &io::Error) -> String {
    let bits = privilege::effective();
    let entitled = bits & (1 << privilege::BPF) != 0 && bits & (1 << privilege::PERFMON) != 0;
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if entitled => format!(
            "the kernel refuses it to whoever has the capabilities, too ({error}): by lockdown, \
             a security module, or the way that it is built"
        ),
        // Of the kernel's own, without a text: a direct call that it cannot patch in.
        Some(ENOTSUPP) => "the kernel does not support it (ENOTSUPP)".to_owned(),
        _ => error.to_string(),
    }
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
        Err(e) => refusal(e),
    };
    Check::new(name, result.is_ok(), otherwise, found).or(remedy)
}
