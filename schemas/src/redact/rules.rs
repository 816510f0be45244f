//! The rules, and the text that they are written in.
//!
//! A rule is a line; `docs/bundle.md` describes them. A file of one's own adds
//! to the built-in rules unless it says `default off`.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::Read as _;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Regex, RegexBuilder};

use super::names::Names;
use super::random;

/// Rises with each change of the built-in rules.
pub const DEFAULT_VERSION: u32 = 1;
/// A file of rules may not be larger.
pub const MAX_RULES_BYTES: u64 = 1 << 20;
/// Memory for one compiled expression …
const MAX_REGEX_BYTES: usize = 1 << 20;
/// … and for all of them.
const MAX_REGEXES_BYTES: usize = 64 << 20;
/// Words with more bytes in all get no table of transitions: it would take a
/// thousand times as much memory as they do.
const MAX_TABLE_BYTES: usize = 4 << 10;

const DEFAULT: &str = include_str!("default.rules");

/// A rule that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", line.map(|n| format!("line {n}: ")).unwrap_or_default())]
pub struct RuleError {
    line: Option<usize>,
    reason: String,
}

impl RuleError {
    fn at(line: usize, reason: impl Display) -> Self {
        Self {
            line: Some(line),
            reason: reason.to_string(),
        }
    }

    /// One that no single line is to blame for.
    pub(super) fn of_all(reason: &impl Display) -> Self {
        Self {
            line: None,
            reason: reason.to_string(),
        }
    }
}

/// What counts as a secret.
#[derive(Clone, Debug)]
pub struct Rules {
    label: String,
    /// Words without which names and options find nothing.
    hints: AhoCorasick,
    names: Names,
    options: HashMap<Vec<u8>, Vec<OptionRule>>,
    /// Texts without which patterns are not tried.
    marks: AhoCorasick,
    /// By mark: the pattern that it belongs to.
    pattern_of_mark: Vec<usize>,
    patterns: Vec<Regex>,
    keep: Vec<Regex>,
    random: bool,
}

/// An option of a program, after some of its subcommands.
#[derive(Clone, Debug)]
pub(super) struct OptionRule {
    pub(super) subcommands: Vec<Vec<u8>>,
    pub(super) option: Vec<u8>,
    pub(super) value: ValueOf,
}

/// Where the secret of an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueOf {
    /// The next argument, or behind `=` of a long option.
    Next,
    /// What follows in the same argument.
    Attached,
    /// What follows this character in the value.
    After(u8),
    /// There is none.
    Never,
}

/// What the lines say, before it is compiled.
#[derive(Clone, Debug, Default)]
struct Lines {
    names: Vec<String>,
    parts: Vec<String>,
    before: Vec<String>,
    after: Vec<String>,
    options: Vec<(String, OptionRule)>,
    patterns: Vec<(usize, String)>,
    /// With the number of the pattern.
    marks: Vec<(String, usize)>,
    keep: Vec<(usize, String)>,
    random: bool,
    without_default: bool,
    count: usize,
}

static BUILTIN: LazyLock<Rules> = LazyLock::new(|| {
    // A test holds that the built-in rules are right; were they not, nothing
    // may pass for redacted.
    let lines = Lines::of(DEFAULT).unwrap_or_default();
    Rules::compile(&lines, format!("default {DEFAULT_VERSION}")).unwrap_or_else(|_| Rules::none())
});

impl Default for Rules {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Rules {
    /// The built-in rules.
    #[must_use]
    pub fn builtin() -> Self {
        BUILTIN.clone()
    }

    /// No rules: nothing is replaced.
    #[must_use]
    pub fn none() -> Self {
        static NONE: LazyLock<Option<Rules>> =
            LazyLock::new(|| Rules::compile(&Lines::default(), "none".into()).ok());
        match &*NONE {
            Some(none) => none.clone(),
            // Without a word and a pattern there is nothing to fail with.
            None => unreachable!("no rules cannot fail to compile"),
        }
    }

    /// The rules of a file, on top of the built-in ones unless it turns those
    /// off.
    ///
    /// # Errors
    /// [`RuleError`] with the line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let own = Lines::of(text)?;
        let count = own.count;
        if own.without_default {
            return Self::compile(&own, format!("{count} of its own"));
        }
        let mut all = Lines::of(DEFAULT)?;
        all.extend(own);
        let label = format!("default {DEFAULT_VERSION} and {count} of its own");
        Self::compile(&all, label)
    }

    /// The rules that a user names: `default`, `none`, or a file.
    ///
    /// # Errors
    /// What is wrong with the file, naming it.
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "default" => return Ok(Self::builtin()),
            "none" => return Ok(Self::none()),
            _ => {}
        }
        let read = || {
            let mut text = String::new();
            let file = std::fs::File::open(name)?;
            file.take(MAX_RULES_BYTES + 1).read_to_string(&mut text)?;
            Ok(text)
        };
        let text = read().map_err(|e: std::io::Error| {
            format!("failed to read rules from {name}: {e}; give default, none, or a file")
        })?;
        if text.len() as u64 > MAX_RULES_BYTES {
            return Err(format!("{name} is larger than 1 MiB"));
        }
        Self::parse(&text).map_err(|e| format!("{name}: {e}"))
    }

    /// Which rules these are, for a reader of what they were applied to.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    fn compile(lines: &Lines, label: String) -> Result<Self, RuleError> {
        let mut options: HashMap<Vec<u8>, Vec<OptionRule>> = HashMap::new();
        for (program, rule) in &lines.options {
            let of_program = options.entry(program.clone().into_bytes()).or_default();
            of_program.push(rule.clone());
        }
        let programs = lines.options.iter().map(|(program, _)| program.clone());
        let hints: Vec<String> = lines
            .names
            .iter()
            .flat_map(|word| ["", "-", "_", "."].map(|between| word.replace('-', between)))
            .chain(lines.parts.iter().cloned())
            .chain(programs)
            .collect();
        let words = |words: Vec<String>| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .kind(Some(kind_for(&words)))
                .build(words)
                .map_err(|e| RuleError::of_all(&e))
        };
        Ok(Self {
            label,
            hints: words(hints)?,
            names: Names::new(&lines.names, &lines.parts, &lines.before, &lines.after)?,
            options,
            marks: words(lines.marks.iter().map(|(mark, _)| mark.clone()).collect())?,
            pattern_of_mark: lines.marks.iter().map(|(_, pattern)| *pattern).collect(),
            patterns: expressions(&lines.patterns)?,
            keep: expressions(&lines.keep)?,
            random: lines.random,
        })
    }

    /// Whether anything could be found; cheap, and never wrong about "no".
    pub(super) fn may_match(&self, bytes: &[u8]) -> bool {
        self.hints.is_match(bytes)
            || self.marks.is_match(bytes)
            || (self.random && random::may_match(bytes))
    }

    pub(super) fn hints(&self) -> &AhoCorasick {
        &self.hints
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// The options of a program, by its file name.
    pub(super) fn options(&self, program: &[u8]) -> Option<&[OptionRule]> {
        self.options.get(program).map(Vec::as_slice)
    }

    /// The patterns that could match somewhere.
    pub(super) fn patterns(&self, bytes: &[u8]) -> impl Iterator<Item = &Regex> {
        let mut numbers: Vec<usize> = Vec::new();
        for found in self.marks.find_overlapping_iter(bytes) {
            let number = self.pattern_of_mark[found.pattern().as_usize()];
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        numbers.into_iter().map(|number| &self.patterns[number])
    }

    pub(super) fn keep(&self) -> &[Regex] {
        &self.keep
    }

    pub(super) fn random(&self) -> bool {
        self.random
    }
}

/// How words are searched for: by a table of transitions, unless they are many or long.
pub(super) fn kind_for(words: &[String]) -> AhoCorasickKind {
    match words.iter().map(String::len).sum::<usize>() {
        0..=MAX_TABLE_BYTES => AhoCorasickKind::DFA,
        _ => AhoCorasickKind::ContiguousNFA,
    }
}

fn expressions(patterns: &[(usize, String)]) -> Result<Vec<Regex>, RuleError> {
    let bytes = MAX_REGEX_BYTES.min(MAX_REGEXES_BYTES / patterns.len().max(1));
    let compile = |(line, pattern): &(usize, String)| {
        RegexBuilder::new(pattern)
            .unicode(false)
            .size_limit(bytes)
            .dfa_size_limit(bytes)
            .build()
            .map_err(|e| {
                let text = e.to_string();
                let last = text.lines().last().unwrap_or_default().trim();
                RuleError::at(*line, last.strip_prefix("error: ").unwrap_or(last))
            })
    };
    patterns.iter().map(compile).collect()
}

impl Lines {
    fn of(text: &str) -> Result<Self, RuleError> {
        let mut this = Self::default();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                this.add(i + 1, line)?;
                this.count += 1;
            }
        }
        Ok(this)
    }

    fn add(&mut self, number: usize, line: &str) -> Result<(), RuleError> {
        let (kind, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        if rest.is_empty() {
            return Err(RuleError::at(number, format!("{kind:?} says nothing")));
        }
        let words = || rest.split_whitespace().map(str::to_ascii_lowercase);
        match kind {
            "name" => self.names.extend(words()),
            "part" => self.parts.extend(words()),
            "except" => words().try_for_each(|word| self.except(number, &word))?,
            "option" => {
                let rule = option(rest).ok_or_else(|| {
                    let shape = "an option is PROGRAM [SUBCOMMAND…] OPTION[*] [after C | never]";
                    RuleError::at(number, shape)
                })?;
                self.options.push(rule);
            }
            "pattern" => {
                let (marks, pattern) = rest
                    .split_once(char::is_whitespace)
                    .ok_or_else(|| RuleError::at(number, "a pattern is TEXT[|TEXT…] EXPRESSION"))?;
                let marks = marks.split('|').filter(|mark| !mark.is_empty());
                let of = self.patterns.len();
                self.marks.extend(marks.map(|mark| (mark.into(), of)));
                self.patterns.push((number, pattern.trim().into()));
            }
            "keep" => self.keep.push((number, rest.into())),
            "random" => self.random = switch(number, rest)?,
            "default" => self.without_default = !switch(number, rest)?,
            _ => {
                let known = "name, part, except, option, pattern, keep, random or default";
                let reason = format!("{kind:?} is no rule; begin with {known}");
                return Err(RuleError::at(number, reason));
            }
        }
        Ok(())
    }

    fn except(&mut self, number: usize, word: &str) -> Result<(), RuleError> {
        match (word.strip_suffix("-*"), word.strip_prefix("*-")) {
            (Some(before), None) => self.before.push(before.into()),
            (None, Some(after)) => self.after.push(after.into()),
            _ => {
                let reason = format!("{word:?} is neither WORD-* nor *-WORD");
                return Err(RuleError::at(number, reason));
            }
        }
        Ok(())
    }

    fn extend(&mut self, own: Self) {
        // Patterns that follow tell their line in the file of their own; those
        // before are right.
        self.names.extend(own.names);
        self.parts.extend(own.parts);
        self.before.extend(own.before);
        self.after.extend(own.after);
        self.options.extend(own.options);
        let before = self.patterns.len();
        let marks = own.marks.into_iter();
        self.marks
            .extend(marks.map(|(mark, of)| (mark, before + of)));
        self.patterns.extend(own.patterns);
        self.keep.extend(own.keep);
        self.random = own.random || self.random;
    }
}

fn switch(number: usize, text: &str) -> Result<bool, RuleError> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(RuleError::at(
            number,
            format!("{text:?} is neither on nor off"),
        )),
    }
}

fn option(text: &str) -> Option<(String, OptionRule)> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let value = match words.as_slice() {
        [.., "after", c] if c.len() == 1 => Some((ValueOf::After(c.as_bytes()[0]), 2)),
        [.., "never"] => Some((ValueOf::Never, 1)),
        _ => None,
    };
    let (mut value, taken) = value.unwrap_or((ValueOf::Next, 0));
    words.truncate(words.len() - taken);
    let mut option = words.pop()?;
    if let Some(attached) = option.strip_suffix('*').filter(|o| !o.is_empty()) {
        option = attached;
        value = ValueOf::Attached;
    }
    let (program, subcommands) = words.split_first()?;
    let rule = OptionRule {
        subcommands: subcommands.iter().map(|s| s.as_bytes().to_vec()).collect(),
        option: option.as_bytes().to_vec(),
        value,
    };
    Some(((*program).to_owned(), rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_compile() {
        let lines = Lines::of(DEFAULT).unwrap();
        Rules::compile(&lines, "x".into()).unwrap();
        assert_ne!(Rules::builtin().label(), Rules::none().label());
    }

    /// A file of rules may have a mebibyte; to use it takes no thousand of them.
    #[test]
    fn many_words_and_patterns_work_as_few_do() {
        let marks: Vec<String> = (0..20_000).map(|n| format!("mark{n:05}")).collect();
        let text = format!("default off\npattern {} mark\\d+\n", marks.join("|"));
        let rules = Rules::parse(&text).unwrap();
        assert!(rules.may_match(b"a MARK19999 b") && !rules.may_match(b"a mark b"));
        assert_eq!(rules.patterns(b"mark00000 mark19999").count(), 1);
    }

    #[test]
    fn a_rule_that_cannot_be_understood_is_named_by_its_line() {
        for (text, expected) in [
            ("# fine\n\npattern x (", "line 3: "),
            ("pattern x", "line 1: a pattern is"),
            ("forbid x", "line 1: \"forbid\" is no rule"),
            ("name", "line 1: \"name\" says nothing"),
            ("option mysql", "line 1: an option is"),
            ("except file", "line 1: \"file\" is neither"),
            ("random maybe", "line 1: \"maybe\" is neither"),
            ("pattern x \\w{1000}{1000}", "line 1: "),
        ] {
            let said = Rules::parse(text).unwrap_err().to_string();
            assert!(said.starts_with(expected), "{text}: {said}");
        }
    }
}
