//! Where stacks are taken: what `--stack` means and whether it exists here.

pub mod functions;
pub mod names;
pub mod programs;

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use libbpf_rs::btf::Btf;

use crate::host;
use crate::mechanism::Mechanism;
use crate::tracefs::Tracefs;
use functions::Functions;
use programs::{Place, Program};

/// Names that one pattern may stand for.
const MOST: usize = 500;
/// Functions beyond which one attachment for all is better than one for each.
const MANY: usize = 16;

/// A probe as it was asked for. A `*` in its last part stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// `tracepoint:CATEGORY:NAME`.
    Tracepoint {
        /// Such as `block`.
        category: String,
        /// Such as `block_rq_complete`.
        name: String,
    },
    /// The entry of a function of the kernel: `kernel:FUNC` by the best mechanism
    /// here, `fentry:FUNC`, `kprobe:FUNC`.
    Function {
        /// `kernel`, `fentry` or `kprobe`.
        kind: &'static str,
        /// The function.
        name: String,
    },
    /// The entry of a function of a program or library: `uprobe:PATH:SYMBOL`.
    Uprobe {
        /// The file.
        path: String,
        /// The function.
        symbol: String,
    },
    /// A place that a program's author has marked: `usdt:PATH:PROVIDER:NAME`.
    Usdt {
        /// The file.
        path: String,
        /// Who has named it.
        provider: String,
        /// Its name.
        name: String,
    },
}

/// A probe that this kernel, or a file, has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its full name, as in `sample.event`.
    pub event: String,
    /// What is attached to.
    pub target: Target,
    /// Whether it is one of several that a pattern stands for: it may be left out.
    pub of_pattern: bool,
}

/// What a probe is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A tracepoint of the kernel.
    Tracepoint(String),
    /// The entry of a function of the kernel.
    Function {
        /// The function.
        name: String,
        /// What to try, the best first.
        mechanisms: Vec<Mechanism>,
    },
    /// Places in a file.
    Program {
        /// The file.
        path: PathBuf,
        /// Where in it.
        places: Vec<Place>,
        /// Whether that is the entry of a function.
        entry: bool,
    },
}

/// How each kind of probe is written.
const KINDS: &str = "kernel:FUNC, fentry:FUNC, kprobe:FUNC, tracepoint:CATEGORY:NAME, \
                     uprobe:PATH:SYMBOL or usdt:PATH:PROVIDER:NAME";

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        // From the right, since a path may hold colons.
        let mut parts = rest.rsplitn(if kind == "usdt" { 3 } else { 2 }, ':');
        let last = parts.next().unwrap_or_default().to_owned();
        let (middle, first) = (parts.next(), parts.next());
        let spec = match (kind, middle, first) {
            ("tracepoint", Some(category), None) => Self::Tracepoint {
                category: category.into(),
                name: last,
            },
            ("kernel" | "fentry" | "kprobe", None, None) => Self::Function {
                kind: match kind {
                    "fentry" => "fentry",
                    "kprobe" => "kprobe",
                    _ => "kernel",
                },
                name: last,
            },
            ("uprobe", Some(path), None) => Self::Uprobe {
                path: path.into(),
                symbol: last,
            },
            ("usdt", Some(provider), Some(path)) => Self::Usdt {
                path: path.into(),
                provider: provider.into(),
                name: last,
            },
            ("tracepoint", ..) => return Err(usage("tracepoint:block:block_rq_complete")),
            ("kernel" | "fentry" | "kprobe", ..) => return Err(usage("kernel:vfs_read")),
            ("uprobe", ..) => return Err(usage("uprobe:/bin/bash:readline")),
            ("usdt", ..) => return Err(usage("usdt:/usr/bin/qemu:qemu:memory_region_ops_read")),
            _ => return Err(format!("stacks can be taken at {KINDS}")),
        };
        match spec.to_string().split(':').any(str::is_empty) {
            true => Err(format!(
                "a part of it is empty; stacks can be taken at {KINDS}"
            )),
            false => Ok(spec),
        }
    }
}

fn usage(example: &str) -> String {
    let kind = example.split(':').next().unwrap_or_default();
    let forms = KINDS.replace(" or ", ", ");
    let form = forms.split(", ").find(|form| form.starts_with(kind));
    format!(
        "it is written {}, as in {example}",
        form.unwrap_or_default()
    )
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tracepoint { category, name } => write!(f, "tracepoint:{category}:{name}"),
            Self::Function { kind, name } => write!(f, "{kind}:{name}"),
            Self::Uprobe { path, symbol } => write!(f, "uprobe:{path}:{symbol}"),
            Self::Usdt {
                path,
                provider,
                name,
            } => write!(f, "usdt:{path}:{provider}:{name}"),
        }
    }
}

/// Finds the probes that are meant among those of this kernel and of files.
///
/// # Errors
/// If one does not exist, with the nearest names.
pub fn resolve(specs: &[Spec], btf: &Btf<'_>) -> anyhow::Result<Vec<Probe>> {
    let mut probes: Vec<Probe> = Vec::new();
    let mut tracepoints = None;
    let mut functions = None;
    for spec in specs {
        let found = match spec {
            Spec::Tracepoint { category, name } => {
                let known = tracepoints.get_or_insert_with(|| Tracepoints::read(btf));
                known.resolve(category, name)
            }
            Spec::Function { kind, name } => {
                let known = functions.get_or_insert_with(|| Functions::read(btf));
                resolve_function(known, kind, name)
            }
            Spec::Uprobe { path, symbol } => resolve_uprobe(path, symbol),
            Spec::Usdt {
                path,
                provider,
                name,
            } => resolve_usdt(path, provider, name),
        };
        let found = found.with_context(|| format!("failed to find {spec}"))?;
        anyhow::ensure!(
            found.len() <= MOST,
            "{spec} stands for {} names, and at most {MOST} can be probed at once; \
             make the pattern narrower",
            found.len()
        );
        for probe in found {
            // What was named already stays as it was named.
            if probes.iter().all(|p| p.event != probe.event) {
                probes.push(probe);
            }
        }
    }
    Ok(probes)
}

/// The tracepoints of this kernel.
struct Tracepoints {
    /// `category:name`, from tracefs; empty if that cannot be opened.
    full: Vec<String>,
    /// Names alone, from the kernel's types.
    names: Vec<String>,
}

impl Tracepoints {
    fn read(btf: &Btf<'_>) -> Self {
        Self {
            full: Tracefs::open()
                .map(|tracefs| tracefs.tracepoints())
                .unwrap_or_default(),
            names: host::tracepoints(btf),
        }
    }

    fn resolve(&self, category: &str, name: &str) -> anyhow::Result<Vec<Probe>> {
        let wanted = format!("{category}:{name}");
        let candidates: Vec<String> = match self.full.is_empty() {
            true => self
                .names
                .iter()
                .map(|n| format!("{category}:{n}"))
                .collect(),
            false => self.full.clone(),
        };
        let found: Vec<Probe> = candidates
            .iter()
            .filter(|candidate| names::matches(&wanted, candidate))
            .filter_map(|candidate| {
                let (_, tracepoint) = candidate.split_once(':')?;
                Some(Probe {
                    event: format!("tracepoint:{candidate}"),
                    target: Target::Tracepoint(tracepoint.into()),
                    of_pattern: names::is_pattern(&wanted),
                })
            })
            .collect();
        let candidates = candidates.iter().map(String::as_str);
        anyhow::ensure!(
            !found.is_empty(),
            "this kernel has no tracepoint {wanted}{}",
            names::suggestion(&wanted, candidates, "tracepoint:")
        );
        Ok(found)
    }
}

fn resolve_function(known: &Functions, kind: &str, name: &str) -> anyhow::Result<Vec<Probe>> {
    let found = known.matching(name);
    anyhow::ensure!(
        !found.is_empty(),
        "this kernel has no function {name}{}",
        names::suggestion(name, known.names(), &format!("{kind}:"))
    );
    let many = found.len() > MANY;
    let probe = |name: &str| Probe {
        event: format!("{kind}:{name}"),
        target: Target::Function {
            name: name.into(),
            mechanisms: mechanisms(kind, many, known.has_type(name)),
        },
        of_pattern: found.len() > 1,
    };
    Ok(found.iter().map(|name| probe(name)).collect())
}

/// What to try for a function, the best first.
fn mechanisms(kind: &str, many: bool, typed: bool) -> Vec<Mechanism> {
    use Mechanism::{Fentry, Kprobe, KprobeMulti};
    match (kind, many) {
        ("fentry", _) => vec![Fentry],
        ("kprobe", false) => vec![Kprobe],
        ("kprobe", true) => vec![KprobeMulti, Kprobe],
        // Without a type of its own the function cannot be reached by fentry.
        (_, false) if typed => vec![Fentry, KprobeMulti, Kprobe],
        (_, true) if typed => vec![KprobeMulti, Fentry, Kprobe],
        _ => vec![KprobeMulti, Kprobe],
    }
}

fn resolve_uprobe(path: &str, symbol: &str) -> anyhow::Result<Vec<Probe>> {
    let program = Program::open(path)?;
    let known = program.functions();
    let probe = |(name, place): &(String, Place)| Probe {
        event: format!("uprobe:{path}:{name}"),
        target: Target::Program {
            path: program.path.clone(),
            places: vec![*place],
            entry: true,
        },
        of_pattern: names::is_pattern(symbol),
    };
    let found: Vec<Probe> = known
        .iter()
        .filter(|(name, _)| names::matches(symbol, name))
        .map(probe)
        .collect();
    let all = known.iter().map(|(name, _)| name.as_str());
    let prefix = format!("uprobe:{path}:");
    anyhow::ensure!(
        !found.is_empty(),
        "{} has no function {symbol} in its symbol tables{}",
        program.path.display(),
        match known.is_empty() {
            true => " (they are empty: it is stripped)".into(),
            false => names::suggestion(symbol, all, &prefix),
        }
    );
    Ok(found)
}

fn resolve_usdt(path: &str, provider: &str, name: &str) -> anyhow::Result<Vec<Probe>> {
    let program = Program::open(path)?;
    let known = program.marks();
    let wanted = format!("{provider}:{name}");
    let mut found: Vec<Probe> = Vec::new();
    for (mark, place) in known.iter().filter(|(m, _)| names::matches(&wanted, m)) {
        let event = format!("usdt:{path}:{mark}");
        // A mark may be in several places: the compiler copies code.
        if let Some(probe) = found.iter_mut().find(|p| p.event == event) {
            if let Target::Program { places, .. } = &mut probe.target {
                places.push(*place);
            }
            continue;
        }
        found.push(Probe {
            event,
            target: Target::Program {
                path: program.path.clone(),
                places: vec![*place],
                entry: false,
            },
            of_pattern: names::is_pattern(&wanted),
        });
    }
    let all = known.iter().map(|(mark, _)| mark.as_str());
    let prefix = format!("usdt:{path}:");
    anyhow::ensure!(
        !found.is_empty(),
        "{} has no mark {wanted}{}",
        program.path.display(),
        match known.is_empty() {
            true => " (it has none at all: it was built without them)".into(),
            false => names::suggestion(&wanted, all, &prefix),
        }
    );
    Ok(found)
}

#[cfg(test)]
mod tests;
