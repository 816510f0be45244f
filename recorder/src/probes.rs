//! Where stacks are taken: what `--stack` means and whether it exists here.

use std::str::FromStr;

use libbpf_rs::btf::Btf;

use crate::host;
use crate::tracefs::Tracefs;

/// A probe as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// `tracepoint:CATEGORY:NAME`; a `*` in the name stands for any text.
    Tracepoint {
        /// Such as `block`.
        category: String,
        /// Such as `block_rq_complete`.
        name: String,
    },
}

/// A probe that this kernel has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its full name, as in `sample.event`.
    pub event: String,
    /// The tracepoint that is attached to.
    pub tracepoint: String,
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("tracepoint", rest)) => match rest.split_once(':') {
                Some((category, name)) if !category.is_empty() && !name.is_empty() => {
                    Ok(Self::Tracepoint {
                        category: category.into(),
                        name: name.into(),
                    })
                }
                _ => Err("a tracepoint is written tracepoint:CATEGORY:NAME, \
                          as in tracepoint:block:block_rq_complete"
                    .into()),
            },
            _ => Err("stacks can be taken at tracepoint:CATEGORY:NAME".into()),
        }
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Tracepoint { category, name } = self;
        write!(f, "tracepoint:{category}:{name}")
    }
}

/// Finds the probes that are meant among those of this kernel.
///
/// # Errors
/// If one does not exist, with the nearest names.
pub fn resolve(specs: &[Spec], btf: &Btf<'_>) -> anyhow::Result<Vec<Probe>> {
    if specs.is_empty() {
        return Ok(Vec::new());
    }
    let known = Tracefs::open()
        .map(|tracefs| tracefs.tracepoints())
        .unwrap_or_default();
    let mut probes: Vec<Probe> = Vec::new();
    for spec in specs {
        for probe in resolve_one(spec, &known, || host::tracepoints(btf))? {
            if !probes.contains(&probe) {
                probes.push(probe);
            }
        }
    }
    Ok(probes)
}

/// `known` lists `category:name`; if it is empty, since tracefs cannot be
/// opened, `names` gives names alone.
fn resolve_one(
    spec: &Spec,
    known: &[String],
    names: impl FnOnce() -> Vec<String>,
) -> anyhow::Result<Vec<Probe>> {
    let Spec::Tracepoint { category, name } = spec;
    let wanted = format!("{category}:{name}");
    let candidates = if known.is_empty() {
        names().iter().map(|n| format!("{category}:{n}")).collect()
    } else {
        known.to_vec()
    };
    let found: Vec<Probe> = candidates
        .iter()
        .filter(|candidate| matches_glob(&wanted, candidate))
        .filter_map(|candidate| {
            let (_, tracepoint) = candidate.split_once(':')?;
            Some(Probe {
                event: format!("tracepoint:{candidate}"),
                tracepoint: tracepoint.into(),
            })
        })
        .collect();
    if found.is_empty() {
        anyhow::bail!(
            "tracepoint {wanted} does not exist in this kernel{}",
            suggestion(&wanted, &candidates)
        );
    }
    Ok(found)
}

/// The nearest names, as the end of a sentence.
fn suggestion(wanted: &str, candidates: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut near: Vec<(usize, &String)> = candidates
        .iter()
        .map(|candidate| (distance(wanted, candidate), candidate))
        .filter(|(distance, _)| *distance <= wanted.len() / 2)
        .collect();
    near.sort();
    let names: Vec<String> = near
        .iter()
        .take(SHOWN)
        .map(|(_, name)| format!("tracepoint:{name}"))
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("; near it are {}", names.join(", ")),
    }
}

/// Edit distance, where a part of the other name is nearly as good as itself.
fn distance(wanted: &str, candidate: &str) -> usize {
    let (_, name) = wanted.split_once(':').unwrap_or(("", wanted));
    if name.len() > 3 && candidate.contains(name) {
        return 1;
    }
    strsim::damerau_levenshtein(wanted, candidate)
}

/// Whether a pattern with `*` for any text matches all of `text`.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = rest.split('*').collect();
    for (i, part) in parts.iter().enumerate() {
        if i + 1 == parts.len() {
            return text.ends_with(part);
        }
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        [
            "block:block_rq_complete",
            "block:block_rq_issue",
            "sched:sched_switch",
        ]
        .map(String::from)
        .to_vec()
    }

    fn names_of(text: &str) -> anyhow::Result<Vec<String>> {
        let spec: Spec = text.parse().map_err(anyhow::Error::msg)?;
        let probes = resolve_one(&spec, &known(), Vec::new)?;
        Ok(probes.into_iter().map(|p| p.event).collect())
    }

    #[test]
    fn a_pattern_stands_for_all_that_it_matches() {
        let names = names_of("tracepoint:block:block_rq_*").unwrap();
        assert_eq!(names.len(), 2);
        assert!(matches_glob("a*b*c", "a-b-b-c"));
        assert!(!matches_glob("a*b*c", "a-c"));
        assert!(!matches_glob("ab*b", "ab"));
    }

    #[test]
    fn an_unknown_name_is_answered_with_near_ones() {
        let error = names_of("tracepoint:block:block_rq_complet")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("near it are tracepoint:block:block_rq_complete"),
            "{error}"
        );
        let error = names_of("tracepoint:disk:sched_switch")
            .unwrap_err()
            .to_string();
        assert!(error.contains("tracepoint:sched:sched_switch"), "{error}");
    }

    #[test]
    fn what_is_no_probe_is_told_how_to_write_one() {
        assert!(
            "tracepoint:block"
                .parse::<Spec>()
                .unwrap_err()
                .contains("CATEGORY")
        );
        assert!("nonsense".parse::<Spec>().is_err());
    }
}
