//! Facts about this host and what its kernel lets a recorder do. Facts only:
//! what follows from them is decided where it is needed.

use std::fs;

use libbpf_rs::btf::types::{Func, FuncProto, Ptr, Typedef};
use libbpf_rs::btf::{Btf, BtfType, ReferencesType as _, TypeId};
use whence_schemas::manifest::{Host, Kernel};

/// Name, machine and distribution.
#[must_use]
pub fn host() -> Host {
    Host {
        hostname: uname().nodename,
        machine: uname().machine,
        cpus: cpus().len() as u32,
        os: os_name().unwrap_or_default(),
    }
}

/// Release, version and build-id of the kernel.
#[must_use]
pub fn kernel() -> Kernel {
    let uname = uname();
    Kernel {
        release: uname.release,
        version: uname.version,
        build_id: crate::kernel::build_id(),
    }
}

/// The kernel's random id of this boot.
///
/// # Errors
/// If `/proc` does not show it.
pub fn boot_id() -> std::io::Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_owned())
}

/// The first two numbers of a kernel's release.
#[must_use]
pub fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    (next(), next())
}

/// The content of a compressed file, if it can be read.
#[must_use]
pub fn gunzip(path: &str) -> Option<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    let mut reader = flate2::read::GzDecoder::new(file).take(16 << 20);
    reader.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Whether there are CPUs that may come online later.
#[must_use]
pub fn has_offline_cpus() -> bool {
    let read = |list| fs::read_to_string(format!("/sys/devices/system/cpu/{list}"));
    let count = |list| read(list).map_or(0, |text| cpu_list(&text).len());
    count("present") > count("online")
}

/// CPUs that are online, as `/sys/devices/system/cpu/online` lists them.
#[must_use]
pub fn cpus() -> Vec<u32> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    cpu_list(&text)
}

fn cpu_list(text: &str) -> Vec<u32> {
    text.trim()
        .split(',')
        .filter_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse().ok()?..=last.parse().ok()?)
        })
        .flatten()
        .collect()
}

/// Names of capabilities that recording needs and this process lacks.
///
/// CAP_SYS_ADMIN stands for the others, as it does in the kernel.
#[must_use]
pub fn missing_capabilities() -> Vec<&'static str> {
    use crate::privilege::{BPF, CAPABILITIES, PERFMON, SYS_ADMIN, effective};
    let bits = effective();
    if bits & (1 << SYS_ADMIN) != 0 {
        return Vec::new();
    }
    let needed = CAPABILITIES
        .iter()
        .filter(|c| [BPF, PERFMON].contains(&c.bit));
    needed
        .filter(|c| bits & (1 << c.bit) == 0)
        .map(|c| c.name)
        .collect()
}

/// Whether this process sees the pids that the kernel sees.
#[must_use]
pub fn in_initial_pid_namespace() -> bool {
    // PROC_PID_INIT_INO in include/linux/proc_ns.h.
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]")
}

/// Lets this process open as many files as it may at all.
pub fn raise_open_files() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for writes, then for reads.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Arguments of a tracepoint, from the kernel's own types; `None` if it does
/// not exist. The names of all of them are given by [`tracepoints`].
#[must_use]
pub fn tracepoint_arguments(btf: &Btf<'_>, name: &str) -> Option<usize> {
    let typedef: Typedef<'_> = btf.type_by_name(&format!("btf_trace_{name}"))?;
    let pointer: Ptr<'_> = btf.type_by_id(typedef.referenced_type_id())?;
    let function: FuncProto<'_> = btf.type_by_id(pointer.referenced_type_id())?;
    // The first is the tracepoint's own data.
    Some(function.iter().count().saturating_sub(1))
}

/// Whether the kernel has a function, from its own types.
#[must_use]
pub fn has_function(btf: &Btf<'_>, name: &str) -> bool {
    function(btf, name).is_some()
}

/// Number of a function among the kernel's own types.
#[must_use]
pub fn function(btf: &Btf<'_>, name: &str) -> Option<u32> {
    let function = btf.type_by_name::<Func<'_>>(name)?;
    Some(function.type_id().into())
}

/// Names of all tracepoints that the kernel's types know.
#[must_use]
pub fn tracepoints(btf: &Btf<'_>) -> Vec<String> {
    (1..btf.len() as u32)
        .filter_map(|id| btf.type_by_id::<BtfType<'_>>(TypeId::from(id)))
        .filter(|t| t.kind() == libbpf_rs::btf::BtfKind::Typedef)
        .filter_map(|t| {
            t.name()?
                .to_str()?
                .strip_prefix("btf_trace_")
                .map(str::to_owned)
        })
        .collect()
}

struct Uname {
    nodename: String,
    machine: String,
    release: String,
    version: String,
}

fn uname() -> Uname {
    // SAFETY: all zeros are a valid `utsname`.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is valid for writes. A failure leaves it empty.
    unsafe { libc::uname(&raw mut name) };
    let text = |field: &[libc::c_char]| {
        let bytes: Vec<u8> = field
            .iter()
            .map(|c| c.cast_unsigned())
            .take_while(|c| *c != 0)
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Uname {
        nodename: text(&name.nodename),
        machine: text(&name.machine),
        release: text(&name.release),
        version: text(&name.version),
    }
}

fn os_name() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let value = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_two_numbers() {
        assert_eq!(version("6.18.44-fc-v595"), (6, 18));
        assert_eq!(version("5.19"), (5, 19));
        assert_eq!(version("odd"), (0, 0));
    }

    #[test]
    fn cpu_lists_are_expanded() {
        assert_eq!(cpu_list("0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(cpu_list(""), [] as [u32; 0]);
    }
}
