//! Whether a name, of an option, a variable or a key, is that of a secret, and
//! whether a value can be one.

use std::collections::HashSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

use super::rules::{RuleError, kind_for};

/// Longest name that is looked at.
const MAX_NAME_BYTES: usize = 128;
/// A longer value is a secret, whatever it looks like.
const MAX_VALUE_BYTES: usize = 4096;
/// What may follow a word in the same part of a name.
const TAILS: &[&str] = &["", "s", "value", "text", "string", "key", "base", "hex"];

/// The words that make a name that of a secret.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// All of their places count, since one may overlap another.
    words: AhoCorasick,
    parts: HashSet<String>,
    before: HashSet<String>,
    after: HashSet<String>,
}

impl Names {
    /// `words` count wherever they are in a name, `parts` only as a whole part;
    /// neither does if one of `before` or `after` stands there.
    pub(super) fn new(
        words: &[String],
        parts: &[String],
        before: &[String],
        after: &[String],
    ) -> Result<Self, RuleError> {
        let joined: Vec<String> = words.iter().map(|word| word.replace('-', "")).collect();
        let words = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(kind_for(&joined)))
            .build(joined)
            .map_err(|e| RuleError::of_all(&e))?;
        let set = |names: &[String]| names.iter().cloned().collect();
        Ok(Self {
            words,
            parts: set(parts),
            before: set(before),
            after: set(after),
        })
    }

    /// Whether it is the name of a secret.
    pub(super) fn is_secret(&self, name: &[u8]) -> bool {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return false;
        }
        let parts = parts(name);
        let joined = parts.concat();
        let words = self.words.find_overlapping_iter(&joined);
        let mut words = words.map(|found| found.range());
        words.any(|word| self.says_secret(word, &joined, &parts))
            || ranges(&parts).any(|(part, range)| {
                self.parts.contains(part) && self.says_secret(range, &joined, &parts)
            })
    }

    /// Whether nothing in the name takes back what a word in it says.
    fn says_secret(&self, word: Range<usize>, joined: &str, parts: &[String]) -> bool {
        let taken_back = |(part, range): (&str, Range<usize>)| {
            let before = range.end <= word.start && self.before.contains(part);
            let after = range.start >= word.end && self.after.contains(part);
            let ends_within = range.start < word.end && word.end < range.end;
            let tail = ends_within.then(|| &joined[word.end..range.end]);
            let known = |tail: &str| {
                let letters = tail.trim_end_matches(|c: char| c.is_ascii_digit());
                TAILS.contains(&letters)
            };
            before || after || tail.is_some_and(|tail| !known(tail))
        };
        !ranges(parts).any(taken_back)
    }
}

/// The parts of a name, each with its place in all of them joined.
fn ranges(parts: &[String]) -> impl Iterator<Item = (&str, Range<usize>)> {
    parts.iter().scan(0, |at, part| {
        let start = *at;
        *at += part.len();
        Some((part.as_str(), start..*at))
    })
}

/// Lower-case parts of a name: at separators, and where a capital begins a word.
fn parts(name: &[u8]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut part = String::new();
    for (i, byte) in name.iter().enumerate() {
        let separator = !byte.is_ascii_alphanumeric();
        let before = i.checked_sub(1).map(|i| name[i]);
        let hump = byte.is_ascii_uppercase() && before.is_some_and(|b| b.is_ascii_lowercase());
        if (separator || hump) && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
        if !separator {
            part.push(byte.to_ascii_lowercase() as char);
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Whether a value can be the secret that a name promises.
pub(super) fn can_be_secret_of(name: &[u8], value: &[u8]) -> bool {
    // `--max-new-tokens 100` counts them.
    let counted = name.ends_with(b"tokens") && value.iter().all(u8::is_ascii_digit);
    !counted && can_be_secret(value)
}

/// Whether a byte can be part of a name.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

/// Whether a value can be a secret, and is not a switch, a place where the
/// secret is, or nothing at all.
pub(super) fn can_be_secret(value: &[u8]) -> bool {
    const SWITCHES: &[&str] = &[
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "none",
        "null",
        "nil",
        "undefined",
        "prompt",
        "stdin",
        "required",
        "optional",
        "auto",
        "default",
        "enabled",
        "disabled",
        "string",
    ];
    const PLACES: &[&str] = &[
        "env:",
        "file:",
        "fd:",
        "fd://",
        "file://",
        "vault:",
        "id=",
        "src=",
        "source=",
        "type=",
        "env=",
        "name=",
        "ref+",
        "arn:",
        "op://",
        "keyring:",
        "projects/",
    ];
    if value.len() > MAX_VALUE_BYTES {
        return true;
    }
    let Ok(text) = std::str::from_utf8(value) else {
        return !value.is_empty();
    };
    let lower = text.to_ascii_lowercase();
    let nothing = text.len() < 2 && !text.bytes().any(|b| b.is_ascii_alphabetic())
        || text.len() > 2 && text.bytes().all(|b| b"*x.-_X#?".contains(&b));
    let known = SWITCHES.contains(&lower.as_str()) || PLACES.iter().any(|p| lower.starts_with(p));
    !nothing && !known && !is_variable(text) && !is_path(text) && !text.starts_with("[secret:")
}

/// A variable or a template that something else fills in.
fn is_variable(text: &str) -> bool {
    let name = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !text.starts_with(|c: char| c.is_ascii_digit())
    };
    let dollar = text.strip_prefix('$');
    dollar.is_some_and(|rest| rest.starts_with(['{', '(']) || name(rest))
        || text.starts_with("{{")
        || text.starts_with("%{")
        || text.starts_with('`')
        || text.starts_with('<') && text.ends_with('>')
        || text.starts_with('{') && text.ends_with('}')
        || matches!(text, "%s" | "{}" | "%v" | "%q")
}

/// A file that holds it. Paths have a name or two after the slash, and what is
/// generated may begin with a slash as well.
fn is_path(text: &str) -> bool {
    let rest = ["/", "./", "../", "~/", "@/", "@./"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && super::random::find(rest.as_bytes()).is_empty()
            && rest
                .bytes()
                .all(|b| is_name_byte(b) || b"/@+,:=".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Rules;

    #[test]
    fn names_of_secrets_are_known_however_they_are_spelt() {
        let rules = Rules::builtin();
        for name in [
            "password",
            "db-password",
            "DB_PASSWORD",
            "dbPassword",
            "PGPASSWORD",
            "x-api-key",
            "X-API-KEY",
            "apiKey",
            "spring.datasource.password",
            "aws_secret_access_key",
            "client_secret",
            "accessToken",
            "db_pass",
            "SECRET_KEY_BASE",
            "token2",
        ] {
            assert!(rules.names().is_secret(name.as_bytes()), "{name}");
        }
        for name in [
            "password-file",
            "max_tokens",
            "tokenizer",
            "secretName",
            "no-password",
            "keyboard",
            "bypass",
            "PasswordAuthentication",
            "token_type",
            "passes",
            "access-key-id",
            "",
        ] {
            assert!(!rules.names().is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn places_switches_and_variables_are_no_secrets() {
        for value in [
            "",
            "true",
            "/run/secrets/db",
            "$TOKEN",
            "${X:-y}",
            "***",
            "1",
            "{{ .x }}",
        ] {
            assert!(!can_be_secret(value.as_bytes()), "{value}");
        }
        for value in [
            "x",
            "hunter2",
            "123456",
            "p@ss w0rd",
            "/aB3dE5gH7jK9mN1pQ3rS5+x",
        ] {
            assert!(can_be_secret(value.as_bytes()), "{value}");
        }
    }
}
