//! The mechanisms by which the kernel calls a program of ours at a probe, and why
//! one is refused here.

use std::fs;
use std::path::Path;

use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::Struct;

/// A way to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mechanism {
    /// At a tracepoint, by the kernel's own types.
    RawTracepoint,
    /// At the entry of a kernel function, by a call that is patched into it.
    Fentry,
    /// At the entry of many kernel functions at once.
    KprobeMulti,
    /// At an instruction of the kernel.
    Kprobe,
    /// At an instruction of a program.
    Uprobe,
}

impl Mechanism {
    /// What it is called, as in `events` of a recording.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RawTracepoint => "raw_tracepoint",
            Self::Fentry => "fentry",
            Self::KprobeMulti => "kprobe.multi",
            Self::Kprobe => "kprobe",
            Self::Uprobe => "uprobe",
        }
    }

    /// What this kernel lacks for it, as far as that can be known without a try.
    #[must_use]
    pub fn lack(self, btf: &Btf<'_>) -> Option<&'static str> {
        let source = |name: &str| {
            Path::new("/sys/bus/event_source/devices")
                .join(name)
                .exists()
        };
        let has_type = |name: &str| btf.type_by_name::<Struct<'_>>(name).is_some();
        match self {
            Self::KprobeMulti if !has_type("bpf_kprobe_multi_link") => {
                Some("this kernel is built without CONFIG_FPROBE, or older than 5.18")
            }
            Self::Kprobe if !source("kprobe") => {
                Some("this kernel is built without CONFIG_KPROBE_EVENTS")
            }
            Self::Uprobe if !source("uprobe") => {
                Some("this kernel is built without CONFIG_UPROBE_EVENTS")
            }
            _ => None,
        }
    }

    /// What a refusal by the kernel comes from, in a few words.
    #[must_use]
    pub fn refusal(self, error: &libbpf_rs::Error) -> String {
        if error.kind() == libbpf_rs::ErrorKind::PermissionDenied {
            return match lockdown() {
                Some(level) => format!("the kernel forbids it: it is locked down ({level})"),
                None => "the kernel forbids it, by lockdown or a security module".into(),
            };
        }
        match self {
            Self::Fentry => format!(
                "the kernel refuses: {error} (it needs CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS \
                 and a function that the kernel lets be traced)"
            ),
            _ => format!("the kernel refuses: {error}"),
        }
    }
}

/// How far the kernel is locked down, if that can be read and it is.
#[must_use]
pub fn lockdown() -> Option<String> {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    locked(&text).map(str::to_owned)
}

/// The chosen one of `none [integrity] confidentiality`.
fn locked(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    let (level, _) = rest.split_once(']')?;
    (level != "none").then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lockdown_is_named_where_there_is_one() {
        assert_eq!(
            locked("none [integrity] confidentiality\n"),
            Some("integrity")
        );
        assert_eq!(locked("[none] integrity confidentiality\n"), None);
        assert_eq!(locked(""), None);
    }
}
