//! Strings that look random, as generated keys and passwords do.
//!
//! Hashes, build-ids, UUIDs and ids of containers are random too, and no
//! secrets: what has hexadecimal digits only, or one case of letters, is left
//! alone. Names of files and identifiers have upper and lower case and digits,
//! but in runs, as words have.

use std::ops::Range;

/// Shortest string that is looked at.
const MIN_BYTES: usize = 20;
/// What a person should look at may be a bit shorter.
const MIN_SUSPICIOUS_BYTES: usize = 16;

/// The strings of an argument that look random.
pub(super) fn find(arg: &[u8]) -> Vec<Range<usize>> {
    runs(arg, MIN_BYTES)
        .filter(|run| !in_path(arg, run) && looks_random(&arg[run.clone()], MIN_BYTES))
        .collect()
}

/// Whether [`find`] could find anything; cheap.
pub(super) fn may_match(bytes: &[u8]) -> bool {
    runs(bytes, MIN_BYTES).any(|run| {
        let run = &bytes[run];
        let digits = run.iter().filter(|b| b.is_ascii_digit()).count();
        digits >= 2
            && run.iter().any(u8::is_ascii_uppercase)
            && run.iter().any(u8::is_ascii_lowercase)
    })
}

/// The first string that a person should look at: random, but in a place or of
/// a kind that is often harmless.
pub(super) fn suspicious(text: &[u8]) -> Option<Range<usize>> {
    runs(text, MIN_SUSPICIOUS_BYTES).find_map(|run| {
        let of_path = text[run.clone()].split(|b| *b == b'/');
        let mut at = run.start;
        for part in of_path {
            if looks_random(part, MIN_SUSPICIOUS_BYTES) || is_long_hex(part) {
                return Some(at..at + part.len());
            }
            at += part.len() + 1;
        }
        None
    })
}

/// A key of 128 or 256 bits in hexadecimal digits. Hashes look the same.
fn is_long_hex(run: &[u8]) -> bool {
    matches!(run.len(), 32 | 64) && run.iter().all(u8::is_ascii_hexdigit)
}

/// Maximal runs of the characters of base64, in both its alphabets.
fn runs(bytes: &[u8], least: usize) -> impl Iterator<Item = Range<usize>> {
    let is_in = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/_-".contains(byte);
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at + bytes[at..].iter().position(is_in)?;
            let length = bytes[start..].iter().position(|b| !is_in(b));
            let mut end = length.map_or(bytes.len(), |n| start + n);
            while bytes.get(end) == Some(&b'=') {
                end += 1;
            }
            at = end;
            if end - start >= least {
                return Some(start..end);
            }
        }
        None
    })
}

/// Whether a run is part of a path or of a name of a file.
fn in_path(arg: &[u8], run: &Range<usize>) -> bool {
    let text = &arg[run.clone()];
    let before = run.start.checked_sub(1).map(|i| arg[i]);
    let after = (arg.get(run.end), arg.get(run.end + 1));
    let is_name = matches!(after, (Some(b'.'), Some(next)) if next.is_ascii_alphanumeric());
    let in_url = memchr::memmem::find(&arg[..run.start], b"://").is_some()
        && !arg[..run.start].contains(&b'?');
    is_name || in_url || text.starts_with(b"/") || matches!(before, Some(b'.' | b'~' | b'/'))
}

fn looks_random(run: &[u8], least: usize) -> bool {
    let run = run.trim_ascii_end();
    let run = &run[..run.len() - run.iter().rev().take_while(|b| **b == b'=').count()];
    if run.len() < least || run.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-') {
        return false;
    }
    let mut seen = [0_u16; 256];
    run.iter()
        .for_each(|b| seen[*b as usize] = seen[*b as usize].saturating_add(1));
    let count = |range: std::ops::RangeInclusive<u8>| -> usize {
        range.map(|b| seen[b as usize] as usize).sum()
    };
    let (upper, lower, digits) = (count(b'A'..=b'Z'), count(b'a'..=b'z'), count(b'0'..=b'9'));
    let all_classes = upper >= 2 && lower >= 2 && digits >= 2;
    all_classes
        && in_words(run) * 2 <= run.len()
        && changes(run) * 100 >= run.len() * 35
        && bits(&seen, run.len()) >= 3.6
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Other,
}

fn class(byte: u8) -> Class {
    match byte {
        b'A'..=b'Z' => Class::Upper,
        b'a'..=b'z' => Class::Lower,
        b'0'..=b'9' => Class::Digit,
        _ => Class::Other,
    }
}

/// Characters in runs of four and more of one class: words, numbers.
fn in_words(run: &[u8]) -> usize {
    run.chunk_by(|a, b| class(*a) == class(*b))
        .map(<[u8]>::len)
        .filter(|length| *length >= 4)
        .sum()
}

/// How often the class changes from one character to the next.
fn changes(run: &[u8]) -> usize {
    run.windows(2)
        .filter(|pair| class(pair[0]) != class(pair[1]))
        .count()
}

/// Shannon entropy, bits per character.
fn bits(seen: &[u16; 256], length: usize) -> f64 {
    let length = length as f64;
    let share = |n: &u16| f64::from(*n) / length;
    let counted = seen.iter().filter(|n| **n > 0);
    -counted.map(share).map(|p| p * p.log2()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arg: &str) -> bool {
        !find(arg.as_bytes()).is_empty()
    }

    #[test]
    fn generated_keys_look_random() {
        assert!(found("wJ9lrXUtnF7MI/K7MDqNG2bPxRfiC4YhZxAm3LeK"));
        assert!(found("x=Zm9vYmFyMTIz4Kd92hQpLx7"));
    }

    #[test]
    fn hashes_identifiers_and_names_of_files_do_not() {
        for harmless in [
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "550e8400-e29b-41d4-a716-446655440000",
            "org.apache.hadoop.hdfs.server.namenode.NameNode2",
            "-XX:+UseG1GC,InitiatingHeapOccupancyPercent=45",
            "/nix/store/0c5a3rqk7bfgqv5j3w1h2i9d4m6n8p0s-bash-5.2-p15",
            "/var/cache/dGhpc0lzQUJhc2U2NE5hbWUx",
            "AbC1dEf2GhI3jKl4MnO5pQr6.json",
            "https://example.com/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit",
        ] {
            assert!(!found(harmless), "{harmless}");
        }
    }
}
