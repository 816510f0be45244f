//! Secrets in command lines, replaced before anybody reads them.
//!
//! Owns what counts as a secret ([`Rules`]) and what takes its place
//! ([`Redactor`]). The recorder applies it before anything reaches disk, and a
//! bundle applies it once more; both see the same secrets in the same text.
//! Knows nothing of tables.
//!
//! Rules look at the argument *vector*, since a shell is not there any more to
//! say where an argument ends: `--password X`, `--password=X`, `-pX` of mysql.
//! Text in an argument, such as a script after `sh -c`, is split as a shell
//! would, and looked at in the same way.

mod find;
mod names;
mod random;
mod rules;
mod words;

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use crate::manifest::Redaction;
pub use rules::{DEFAULT_VERSION, MAX_RULES_BYTES, RuleError, Rules};

/// Secrets that are remembered, to give the same one the same number. Later
/// ones get a number of their own each time.
const MAX_REMEMBERED: usize = 1 << 17;

/// Replaces secrets by placeholders such as `[secret:3]`. The same secret has
/// the same placeholder as long as this lives. Numbers tell nothing but the
/// order in which secrets were first seen.
#[derive(Debug)]
pub struct Redactor {
    rules: Rules,
    /// By a hash with a random key, so that not even memory holds secrets.
    numbers: HashMap<u64, u32>,
    key: RandomState,
    last: u32,
    replaced: u64,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl Redactor {
    /// Applies these rules; the first placeholder is `[secret:1]`.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self::after(rules, 0)
    }

    /// Applies these rules to what has placeholders up to `[secret:last]`
    /// already.
    #[must_use]
    pub fn after(rules: Rules, last: u32) -> Self {
        Self {
            rules,
            numbers: HashMap::new(),
            key: RandomState::new(),
            last,
            replaced: 0,
        }
    }

    /// What was done, for a manifest.
    #[must_use]
    pub fn report(&self) -> Redaction {
        Redaction {
            rules: self.rules.label().to_owned(),
            replaced: self.replaced,
            secrets: self.last,
        }
    }

    /// Arguments with a NUL after each, likewise; `None` if no secret is in
    /// them.
    ///
    /// ```
    /// use whence_schemas::redact::{Redactor, Rules};
    /// let mut redactor = Redactor::new(Rules::builtin());
    /// let argv = redactor.argv(b"mysql\0-ps3cret\0-u\0root\0");
    /// assert_eq!(argv.as_deref(), Some(b"mysql\0-p[secret:1]\0-u\0root\0".as_slice()));
    /// assert!(redactor.argv(b"ls\0-p\0").is_none());
    /// ```
    pub fn argv(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if !self.rules.may_match(bytes) {
            return None;
        }
        let whole = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        let args: Vec<&[u8]> = whole.split(|byte| *byte == 0).collect();
        let replaced = self.args(&args)?;
        let mut joined = replaced.join(&0);
        if whole.len() < bytes.len() {
            joined.push(0);
        }
        Some(joined)
    }

    /// The arguments of one program, or the variables of one environment;
    /// `None` if no secret is in them.
    pub fn args(&mut self, args: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        if !args.iter().any(|arg| self.rules.may_match(arg)) {
            return None;
        }
        let found = find::in_arguments(&self.rules, args);
        if found.is_empty() {
            return None;
        }
        let mut spans = found.into_iter().peekable();
        let replaced = args.iter().enumerate().map(|(number, arg)| {
            let mut of_arg = Vec::new();
            while let Some(span) = spans.next_if(|span| span.arg == number) {
                of_arg.push(span.start..span.end);
            }
            self.replace(arg, &of_arg)
        });
        Some(replaced.collect())
    }

    /// Variables of an environment, as text.
    pub fn variables<'a>(&mut self, variables: Vec<Cow<'a, str>>) -> Vec<Cow<'a, str>> {
        let bytes: Vec<&[u8]> = variables.iter().map(|v| v.as_bytes()).collect();
        match self.args(&bytes) {
            Some(replaced) => replaced
                .iter()
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned().into())
                .collect(),
            None => variables,
        }
    }

    /// A path or another single text. Nothing is replaced there only because it
    /// looks random: names of files often do.
    pub fn text<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        if !self.rules.may_match(text.as_bytes()) {
            return text.into();
        }
        let found = find::in_text(&self.rules, text.as_bytes());
        if found.is_empty() {
            return text.into();
        }
        let spans: Vec<_> = found.iter().map(|span| span.start..span.end).collect();
        let replaced = self.replace(text.as_bytes(), &spans);
        String::from_utf8_lossy(&replaced).into_owned().into()
    }

    /// Puts placeholders in the place of spans, which are in order and apart.
    fn replace(&mut self, bytes: &[u8], spans: &[std::ops::Range<usize>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        for span in spans {
            out.extend_from_slice(&bytes[at..span.start]);
            let number = self.number(&bytes[span.clone()]);
            out.extend_from_slice(format!("[secret:{number}]").as_bytes());
            at = span.end;
        }
        out.extend_from_slice(&bytes[at..]);
        out
    }

    fn number(&mut self, secret: &[u8]) -> u32 {
        self.replaced += 1;
        let hash = self.key.hash_one(secret);
        if let Some(number) = self.numbers.get(&hash) {
            return *number;
        }
        self.last = self.last.saturating_add(1);
        if self.numbers.len() < MAX_REMEMBERED {
            self.numbers.insert(hash, self.last);
        }
        self.last
    }
}

/// Whether a text, or a part of it, looks like a secret to a sharper eye than
/// the rules': for a person to look at, not to replace. Gives that part.
#[must_use]
pub fn suspicious(text: &str) -> Option<&str> {
    let found = random::suspicious(text.as_bytes())?;
    text.get(found)
}

#[cfg(test)]
mod tests;
