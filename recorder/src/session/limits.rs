//! What this host does not allow to record, as notes for who reads the recording.

use whence_schemas::manifest::Manifest;

use crate::kernel::Symbols;
use crate::loader::{FailedExecs, Loaded};

/// Before anything is attached.
pub(super) fn note(manifest: &mut Manifest, symbols: &Symbols, loaded: &Loaded) {
    if symbols.is_empty() {
        let note = "kernel functions have no names: /proc/kallsyms shows no addresses \
                    (needs CAP_SYSLOG or kernel.kptr_restrict=0)";
        manifest.notes.push(note.into());
    }
    if !loaded.mappings_told {
        let note = "code of processes that live a few milliseconds has no names: this \
                    kernel, older than 6.7, does not show mappings to BPF";
        manifest.notes.push(note.into());
    }
    if !loaded.caller_stacks {
        let note = "execs have no stacks of their callers: this kernel has no \
                    tracepoint sched_prepare_exec";
        manifest.notes.push(note.into());
    }
}

/// Once all is attached.
pub(super) fn note_attached(manifest: &mut Manifest, loaded: &Loaded) {
    let failed_execs = match loaded.failed_execs {
        FailedExecs::AtReturns | FailedExecs::AtTracepoints => None,
        FailedExecs::Unwanted => {
            Some("execs that fail are not recorded: it was asked for by --no-failed-execs")
        }
        FailedExecs::Hidden => Some(
            "execs that fail are not recorded: this kernel refuses fexit, and the \
             tracepoints of system calls cannot be reached (needs CONFIG_FTRACE_SYSCALLS, \
             and CAP_SYS_ADMIN to open tracefs)",
        ),
    };
    manifest.notes.extend(failed_execs.map(str::to_owned));
    let unwatched = loaded.unwatched_cpus();
    if unwatched > 0 {
        manifest.notes.push(format!(
            "samples that the kernel throttles are not counted on {unwatched} CPUs: \
             their buffers cannot be mapped (needs CAP_IPC_LOCK or a larger \
             kernel.perf_event_mlock_kb)"
        ));
    }
}
