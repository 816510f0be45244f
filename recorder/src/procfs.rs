//! What `/proc` tells of a process that the kernel's own list does not show.
//!
//! Some kernels keep a process out of BPF iterators, such as the first one of a
//! hardened virtual machine. Its children name it, with its exact start.

use std::fs;
use std::os::unix::ffi::OsStringExt as _;

use whence_bpf::wire;

/// A process as `/proc/PID` describes it.
#[derive(Debug, Default)]
pub struct Facts {
    /// Pid of its parent; 0 if it has none.
    pub ppid: u32,
    /// Arguments, a NUL after each.
    pub argv: Vec<u8>,
    /// Path of its program.
    pub exe: Option<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// Real user id.
    pub uid: Option<i64>,
    /// Real group id.
    pub gid: Option<i64>,
    /// User id of the login it stems from.
    pub login_uid: Option<i64>,
    /// Path of its cgroup in the unified hierarchy.
    pub cgroup_path: Option<String>,
    /// Inode number of its pid namespace.
    pub pid_ns: Option<i64>,
}

/// Whether a process has no program any more: it has ended, reaped or not.
#[must_use]
pub fn has_ended(pid: u32) -> bool {
    let exe = fs::read_link(format!("/proc/{pid}/exe"));
    exe.is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
}

/// Reads a process; `None` if it is gone and its pid perhaps another's.
#[must_use]
pub fn read(process: &wire::Process) -> Option<Facts> {
    let dir = format!("/proc/{}", process.pid);
    let text = |name: &str| {
        let bytes = fs::read(format!("{dir}/{name}")).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (ppid, start_ticks) = stat(&text("stat")?)?;
    // The clock of /proc is coarse: the start is compared in its ticks.
    if process.start_ns / tick_ns() != start_ticks {
        return None;
    }
    let link = |name: &str| {
        let target = fs::read_link(format!("{dir}/{name}")).ok()?;
        Some(String::from_utf8_lossy(&target.into_os_string().into_vec()).into_owned())
    };
    let status = text("status").unwrap_or_default();
    let id = |key: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(key))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    let login_uid = text("loginuid").and_then(|t| t.trim().parse::<u32>().ok());
    let cgroup = text("cgroup").unwrap_or_default();
    let pid_ns =
        link("ns/pid").and_then(|l| l.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok());
    Some(Facts {
        ppid,
        argv: fs::read(format!("{dir}/cmdline")).unwrap_or_default(),
        exe: link("exe"),
        cwd: link("cwd"),
        uid: id("Uid:"),
        gid: id("Gid:"),
        login_uid: login_uid.filter(|uid| *uid != u32::MAX).map(i64::from),
        cgroup_path: cgroup
            .lines()
            .find_map(|line| line.strip_prefix("0::"))
            .map(str::to_owned),
        pid_ns,
    })
}

/// Parent and start, in ticks since boot (proc_pid_stat(5), fields 4 and 22).
pub(crate) fn stat(text: &str) -> Option<(u32, u64)> {
    // The name, in parentheses, may hold anything, parentheses included.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let ppid = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some((ppid, start))
}

fn tick_ns() -> u64 {
    // SAFETY: asks for a constant.
    let hz = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    1_000_000_000 / hz.unsigned_abs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) S (b)) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        assert_eq!(stat(text), Some((3, 4242)));
    }

    #[test]
    fn this_process_is_read_and_another_start_is_refused() {
        let pid = std::process::id();
        let text = fs::read_to_string("/proc/self/stat").unwrap();
        let (_, ticks) = stat(&text).unwrap();
        let process = |start_ns| wire::Process {
            start_ns,
            pid,
            tid: pid,
        };
        let facts = read(&process(ticks * tick_ns() + 1)).unwrap();
        assert!(facts.exe.is_some() && !facts.argv.is_empty());
        assert!(read(&process((ticks + 1) * tick_ns())).is_none());
    }
}
