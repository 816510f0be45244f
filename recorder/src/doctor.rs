//! `--doctor`: what can be recorded on this host with these privileges, what
//! cannot, and what would enable it. Each kind of probe is tried, by loading a
//! program of two instructions and attaching it.

mod probes;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::{host, privilege, room};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is as it should be.
    Ok,
    /// Something cannot be recorded, or not as well.
    Limited,
    /// Nothing can be recorded.
    Missing,
}

impl Status {
    fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Missing => "missing",
        }
    }
}

/// Something that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it ended.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What would enable it.
    pub remedy: Option<String>,
}

impl Check {
    fn new(name: &'static str, ok: bool, otherwise: Status, found: impl Into<String>) -> Self {
        Self {
            name,
            status: if ok { Status::Ok } else { otherwise },
            found: found.into(),
            remedy: None,
        }
    }

    /// With what would enable it, unless all is well.
    fn or(mut self, remedy: impl Into<String>) -> Self {
        if self.status != Status::Ok {
            self.remedy = Some(remedy.into());
        }
        self
    }
}

/// Looks at everything; `dir` is where a recording would be.
#[must_use]
pub fn examine(dir: &Path) -> Vec<Check> {
    let mut checks = vec![kernel(), types(), config(), lockdown(), namespace()];
    checks.extend(capabilities());
    checks.extend([
        kptr_restrict(),
        setting(
            "perf_event_paranoid",
            "/proc/sys/kernel/perf_event_paranoid",
            "no bound for who has CAP_PERFMON",
        ),
        setting(
            "bpf_stats",
            "/proc/sys/kernel/bpf_stats_enabled",
            "with 1, table overhead has the run time of the BPF programs",
        ),
        cgroups(),
        free_space(dir),
        clock(),
    ]);
    checks.extend(probes::probes());
    checks
}

/// Whether anything can be recorded.
#[must_use]
pub fn can_record(checks: &[Check]) -> bool {
    checks.iter().all(|c| c.status != Status::Missing)
}

/// The checks as text, one a line, with what would enable what is missing below.
#[must_use]
pub fn text(checks: &[Check]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let width = checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
    for check in checks {
        let Check { name, found, .. } = check;
        let _ = writeln!(text, "{:<8} {name:<width$}  {found}", check.status.text());
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(text, "{:8} {:width$}  -> {remedy}", "", "");
        }
    }
    text.push_str(match can_record(checks) {
        true => "this host can be recorded",
        false => "this host cannot be recorded as it is",
    });
    text
}

/// The checks as JSON.
#[must_use]
pub fn json(checks: &[Check]) -> String {
    let all: Vec<_> = checks
        .iter()
        .map(|check| {
            serde_json::json!({
                "check": check.name,
                "status": check.status.text(),
                "found": check.found,
                "remedy": check.remedy,
            })
        })
        .collect();
    format!("{:#}", serde_json::Value::Array(all))
}

fn kernel() -> Check {
    let kernel = host::kernel();
    let version = host::version(&kernel.release);
    let found = format!("Linux {} {}", kernel.release, host::host().machine);
    Check::new("kernel", version >= (5, 19), Status::Limited, found)
        .or("a kernel of 5.19 or newer; older ones are not tested")
}

fn types() -> Check {
    let path = "/sys/kernel/btf/vmlinux";
    let size = fs::metadata(path).map(|m| m.len() >> 10);
    let found = match &size {
        Ok(kib) => format!("{path}, {kib} KiB"),
        Err(e) => format!("{path}: {e}"),
    };
    Check::new("btf", size.is_ok(), Status::Missing, found)
        .or("a kernel with CONFIG_DEBUG_INFO_BTF=y, and sysfs mounted on /sys")
}

/// Options without which something cannot be recorded.
const OPTIONS: [&str; 8] = [
    "CONFIG_BPF_SYSCALL",
    "CONFIG_BPF_JIT",
    "CONFIG_BPF_EVENTS",
    "CONFIG_PERF_EVENTS",
    "CONFIG_FTRACE_SYSCALLS",
    "CONFIG_KPROBES",
    "CONFIG_UPROBES",
    "CONFIG_TASK_IO_ACCOUNTING",
];

fn config() -> Check {
    let release = host::kernel().release;
    let places = [
        format!("/boot/config-{release}"),
        format!("/lib/modules/{release}/config"),
    ];
    let text = places.iter().find_map(|path| fs::read_to_string(path).ok());
    let Some(text) = text.or_else(|| host::gunzip("/proc/config.gz")) else {
        let found = format!("not readable: neither {} nor /proc/config.gz", places[0]);
        return Check::new("config", true, Status::Limited, found);
    };
    let missing = missing_options(&text);
    let found = match missing.is_empty() {
        true => "all options that recording can use".to_owned(),
        false => format!("without {}", missing.join(", ")),
    };
    Check::new("config", missing.is_empty(), Status::Limited, found)
        .or("a kernel with these options; what they are for is tried below")
}

fn missing_options(config: &str) -> Vec<&'static str> {
    let is_set = |option: &&str| config.lines().any(|l| l == format!("{option}=y"));
    let options = OPTIONS.iter().copied();
    options.filter(|option| !is_set(option)).collect()
}

fn lockdown() -> Check {
    let path = "/sys/kernel/security/lockdown";
    let text = fs::read_to_string(path);
    let mode = text.as_deref().ok().and_then(|text| text.split('[').nth(1));
    let mode = mode.and_then(|text| text.split(']').next());
    let mounted = fs::read_dir("/sys/kernel/security").is_ok_and(|mut dir| dir.next().is_some());
    let found = match (mode, &text) {
        (Some(mode), _) => mode.to_owned(),
        (None, Err(e)) if e.kind() == ErrorKind::NotFound && mounted => {
            "none: this kernel has no such thing".to_owned()
        }
        (None, Err(e)) if e.kind() == ErrorKind::NotFound => "not known: nothing is mounted at \
             /sys/kernel/security (mount -t securityfs none /sys/kernel/security)"
            .to_owned(),
        (None, Err(e)) => format!("not known: failed to read {path}: {e}"),
        (None, Ok(_)) => format!("not known: {path} names no mode"),
    };
    let open = mode != Some("confidentiality");
    Check::new("lockdown", open, Status::Missing, found)
        .or("boot without lockdown=confidentiality; integrity is fine")
}

fn namespace() -> Check {
    let initial = host::in_initial_pid_namespace();
    let found = if initial {
        "the host's"
    } else {
        "a container's"
    };
    Check::new("pid namespace", initial, Status::Missing, found)
        .or("run it on the host, or in a container with --pid=host (hostPID: true)")
}

fn capabilities() -> Vec<Check> {
    let bits = privilege::effective();
    let has = |bit: u32| bits & (1 << bit) != 0 || bits & (1 << privilege::SYS_ADMIN) != 0;
    let check = |c: &privilege::Capability| {
        // CAP_SYS_ADMIN stands for these in the kernel, not for all.
        let ok = match c.bit {
            privilege::BPF | privilege::PERFMON | 34 | 40 => has(c.bit),
            bit => bits & (1 << bit) != 0,
        };
        let otherwise = match c.bit {
            privilege::BPF | privilege::PERFMON => Status::Missing,
            _ => Status::Limited,
        };
        let found = format!("for {}", c.purpose);
        let name = c.name.to_ascii_lowercase();
        Check::new(c.name, ok, otherwise, found).or(format!(
            "run as root, or setpriv --ambient-caps=+{0} --inh-caps=+{0} ...",
            name.trim_start_matches("cap_")
        ))
    };
    privilege::CAPABILITIES.iter().map(check).collect()
}

fn kptr_restrict() -> Check {
    let named = fs::read_to_string("/proc/kallsyms").is_ok_and(|text| {
        let mut first = text.lines().take(100);
        first.any(|line| !line.starts_with("0000000000000000"))
    });
    let value = fs::read_to_string("/proc/sys/kernel/kptr_restrict").unwrap_or_default();
    let found = match named {
        true => format!("{}: kernel functions have names", value.trim()),
        false => format!("{}: addresses of kernel functions are hidden", value.trim()),
    };
    Check::new("kptr_restrict", named, Status::Limited, found)
        .or("sysctl kernel.kptr_restrict=0, or CAP_SYSLOG")
}

fn setting(name: &'static str, path: &str, meaning: &str) -> Check {
    let value = fs::read_to_string(path);
    let value = value.map_or_else(|e| e.to_string(), |v| v.trim().to_owned());
    Check::new(name, true, Status::Ok, format!("{value}: {meaning}"))
}

fn cgroups() -> Check {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let at = mounts
        .lines()
        .filter(|l| l.split(' ').nth(2) == Some("cgroup2"))
        .find_map(|line| line.split(' ').nth(1));
    let found = match at {
        Some(at) => format!("cgroup2 at {at}"),
        None => "no cgroup2 is mounted".into(),
    };
    Check::new("cgroups", at.is_some(), Status::Limited, found)
        .or("mount -t cgroup2 none /sys/fs/cgroup; without it, cgroups have no paths")
}

fn free_space(dir: &Path) -> Check {
    let shown = dir.display();
    let Some((free, total)) = room::disk(dir) else {
        return Check::new(
            "free space",
            false,
            Status::Limited,
            format!("{shown}: unknown"),
        );
    };
    let found = format!("{} MB of {} MB in {shown}", free >> 20, total >> 20);
    let enough = free > 512 << 20 || free > total / 10;
    Check::new("free space", enough, Status::Limited, found)
        .or("choose another place with --output, or bound the recording with --max-size")
}

fn clock() -> Check {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = fs::read_to_string(path).unwrap_or_default();
    let slow = ["hpet", "acpi_pm", "jiffies"].contains(&source.trim());
    let found = match source.trim() {
        "" => "clock source not known".to_owned(),
        source => format!("clock source {source}"),
    };
    Check::new("clock", !slow, Status::Limited, found)
        .or("a clock source that is read fast, as tsc; this one makes each event cost more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_that_is_not_well_says_what_would_help() {
        for check in examine(Path::new(".")) {
            let well = check.status == Status::Ok;
            assert_eq!(check.remedy.is_none(), well, "{check:?}");
            assert!(!check.found.is_empty(), "{check:?}");
        }
    }

    #[test]
    fn options_that_are_modules_or_unset_are_missing() {
        let all: String = OPTIONS.iter().map(|o| format!("{o}=y\n")).collect();
        assert_eq!(missing_options(&all), [""; 0]);
        let without = all.replace("CONFIG_KPROBES=y", "# CONFIG_KPROBES is not set");
        assert_eq!(missing_options(&without), ["CONFIG_KPROBES"]);
    }

    #[test]
    fn machines_and_people_are_told_the_same() {
        let checks = [
            Check::new("btf", true, Status::Missing, "there"),
            Check::new("kprobe", false, Status::Limited, "EPERM").or("another kernel"),
        ];
        let text = text(&checks);
        assert!(text.contains("-> another kernel"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&json(&checks)).unwrap();
        assert_eq!(json[1]["status"], "limited");
        assert!(can_record(&checks));
    }
}
