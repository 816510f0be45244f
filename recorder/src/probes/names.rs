//! Names as they are asked for: patterns, and what was meant by a name that does
//! not exist.

/// Whether a pattern with `*` for any text matches all of `text`.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
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

/// Whether a name stands for several.
#[must_use]
pub fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

/// The names nearest to one that does not exist, as the end of a sentence; each
/// with `prefix` before it.
#[must_use]
pub fn suggestion<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    prefix: &str,
) -> String {
    const SHOWN: usize = 5;
    // What a pattern leaves open is near to anything.
    let wanted = wanted.replace('*', "");
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, candidate), candidate))
        .filter(|(distance, _)| *distance <= wanted.len() / 2)
        .collect();
    near.sort_unstable();
    near.dedup();
    let names: Vec<String> = near
        .iter()
        .take(SHOWN)
        .map(|(_, name)| format!("{prefix}{name}"))
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("; near it are {}", names.join(", ")),
    }
}

/// The names that share most words with one, those of equal worth by distance.
#[must_use]
pub fn related(name: &str, candidates: &[String]) -> Vec<String> {
    const SHOWN: usize = 3;
    let words = |name: &str| -> Vec<String> {
        let words = name.split('_').filter(|word| word.len() > 2);
        words.map(str::to_owned).collect()
    };
    let wanted = words(name);
    let mut near: Vec<(usize, usize, &String)> = candidates
        .iter()
        .map(|candidate| {
            let shared = words(candidate)
                .iter()
                .filter(|w| wanted.contains(w))
                .count();
            let apart = strsim::damerau_levenshtein(name, candidate);
            (wanted.len() - shared.min(wanted.len()), apart, candidate)
        })
        .filter(|(missing, ..)| *missing < wanted.len())
        .collect();
    near.sort_unstable();
    near.iter()
        .take(SHOWN)
        .map(|(_, _, n)| (*n).clone())
        .collect()
}

/// Edit distance, where a part of the other name is nearly as good as itself.
fn distance(wanted: &str, candidate: &str) -> usize {
    let (_, name) = wanted.rsplit_once(':').unwrap_or(("", wanted));
    if name.len() > 3 && candidate.contains(name) {
        // Of those, the one with the least around it.
        return 1 + candidate.len().saturating_sub(name.len()).min(100) / 8;
    }
    strsim::damerau_levenshtein(wanted, candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(matches("tcp_*", "tcp_"));
        assert!(!matches("a*b*c", "a-c"));
        assert!(!matches("ab*b", "ab"));
        assert!(!matches("tcp", "tcp_v4"));
    }

    #[test]
    fn near_names_are_those_that_were_mistyped_or_cut() {
        let names = ["vfs_read", "vfs_write", "do_exit", "__vfs_read_iter"];
        let near = suggestion("vfs_raed", names, "kernel:");
        assert!(near.starts_with("; near it are kernel:vfs_read"), "{near}");
        assert!(!near.contains("do_exit"));
        assert!(suggestion("read_iter", names, "").contains("__vfs_read_iter"));
        assert_eq!(suggestion("zzzzzzzzzzzz", names, ""), "");
    }
}
