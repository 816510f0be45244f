//! What this program may do, and how it gives up what it does not need any more.
//!
//! Loading and attaching needs much; what follows only reads: rings that are
//! mapped, files of programs, `/proc`. So the rest is dropped as soon as all is
//! attached, for good: whoever takes the recorder over later, by way of a program
//! whose file it reads, finds nothing to take.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// A capability (capabilities(7)).
#[derive(Clone, Copy, Debug)]
pub struct Capability {
    /// Its bit.
    pub bit: u32,
    /// Its name.
    pub name: &'static str,
    /// What cannot be recorded without it.
    pub purpose: &'static str,
    /// Whether it is used after all is attached.
    later: bool,
}

const fn capability(
    bit: u32,
    name: &'static str,
    later: bool,
    purpose: &'static str,
) -> Capability {
    Capability {
        bit,
        name,
        purpose,
        later,
    }
}

/// `CAP_SYS_ADMIN`, which stands for most others.
pub const SYS_ADMIN: u32 = 21;
/// `CAP_PERFMON`.
pub const PERFMON: u32 = 38;
/// `CAP_BPF`.
pub const BPF: u32 = 39;

/// Every capability that recording can use.
pub const CAPABILITIES: [Capability; 7] = [
    capability(BPF, "CAP_BPF", false, "everything"),
    capability(PERFMON, "CAP_PERFMON", false, "everything"),
    capability(34, "CAP_SYSLOG", true, "names of kernel functions"),
    capability(
        19,
        "CAP_SYS_PTRACE",
        true,
        "mappings of other users' programs",
    ),
    capability(
        2,
        "CAP_DAC_READ_SEARCH",
        true,
        "paths of cgroups, programs only others may read",
    ),
    capability(40, "CAP_CHECKPOINT_RESTORE", true, "code of deleted files"),
    capability(
        SYS_ADMIN,
        "CAP_SYS_ADMIN",
        false,
        "execs that fail, by a private tracefs",
    ),
];

/// The capabilities that are in effect, as bits.
#[must_use]
pub fn effective() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .unwrap_or(0)
}

/// What is kept after all is attached. CPUs that are offline need to be sampled
/// when they come; kernels before 5.19 ask for CAP_BPF to read a map.
#[must_use]
pub fn kept(offline_cpus: bool, old_kernel: bool) -> u64 {
    let later = CAPABILITIES.iter().filter(|c| c.later);
    let mut bits = later.fold(0, |bits, c| bits | 1 << c.bit);
    if offline_cpus {
        bits |= 1 << PERFMON;
    }
    if old_kernel {
        bits |= 1 << BPF;
    }
    bits
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Drops all capabilities of this thread, and of those that it starts, but for
/// those of `keep` that it has.
///
/// # Errors
/// If the kernel refuses.
pub fn drop_capabilities(keep: u64) -> io::Result<()> {
    // _LINUX_CAPABILITY_VERSION_3 of include/uapi/linux/capability.h.
    const VERSION: u32 = 0x2008_0522;
    let header = Header {
        version: VERSION,
        pid: 0,
    };
    let bits = effective() & keep;
    let data = [bits as u32, (bits >> 32) as u32].map(|bits| Data {
        effective: bits,
        permitted: bits,
        inheritable: 0,
    });
    // SAFETY: both are of the layout that version 3 asks for.
    let failed = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    match failed {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// System calls that no recorder makes once all is attached: to run programs, to
/// look into others, to change the system, to talk to a network.
const REFUSED: [libc::c_long; 37] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_acct,
];

/// Refuses, for all threads and for good, the system calls above and privileges
/// from programs' files (`no_new_privs`).
///
/// # Errors
/// If the kernel has no filters of system calls.
pub fn refuse_system_calls() -> Result<(), seccompiler::Error> {
    let rules: BTreeMap<i64, _> = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, TargetArch::x86_64)?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter_all_threads(&program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_attaches_is_not_kept_unless_it_is_needed() {
        let bits = kept(false, false);
        assert_eq!(bits & (1 << BPF | 1 << PERFMON | 1 << SYS_ADMIN), 0);
        assert_ne!(bits & 1 << 34, 0);
        assert_ne!(kept(true, false) & 1 << PERFMON, 0);
        assert_ne!(kept(false, true) & 1 << BPF, 0);
    }

    #[test]
    fn a_thread_can_give_up_everything_alone() {
        let before = effective();
        let after = std::thread::spawn(|| {
            drop_capabilities(0).unwrap();
            let own = fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = own.lines().find(|l| l.starts_with("CapEff:")).unwrap();
            line.ends_with("0000000000000000")
        });
        assert!(after.join().unwrap());
        assert_eq!(effective(), before);
    }
}
