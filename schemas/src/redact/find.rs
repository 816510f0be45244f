//! Finds the secrets in arguments by the rules, as ranges of their bytes.
//!
//! Options and the arguments that follow them are looked at word by word;
//! assignments, patterns and random strings wherever they are in a text.

use std::ops::Range;

use super::names::{can_be_secret, can_be_secret_of, is_name_byte};
use super::rules::{OptionRule, Rules, ValueOf};
use super::{random, words};

/// How deep a text in quotes within a text in quotes is split.
const MAX_DEPTH: usize = 3;
/// How many arguments before a bare name may say that it is set.
const SETTERS_BEFORE: usize = 3;

/// A secret: bytes of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) arg: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The secrets in an argument vector, in order and apart from each other.
pub(super) fn in_arguments(rules: &Rules, args: &[&[u8]]) -> Vec<Span> {
    let mut finder = Finder::new(rules, args);
    let whole: Vec<Span> = (0..args.len()).map(|arg| finder.whole(arg)).collect();
    finder.command(&whole, 0);
    for (arg, text) in args.iter().enumerate() {
        finder.text(arg);
        if rules.random() {
            let found = random::find(text);
            finder.add(arg, found);
        }
    }
    finder.finish()
}

/// The secrets in a single text, such as a path.
pub(super) fn in_text(rules: &Rules, text: &[u8]) -> Vec<Span> {
    let args = [text];
    let mut finder = Finder::new(rules, &args);
    finder.text(0);
    finder.finish()
}

struct Finder<'a> {
    rules: &'a Rules,
    args: &'a [&'a [u8]],
    found: Vec<Span>,
}

impl<'a> Finder<'a> {
    fn new(rules: &'a Rules, args: &'a [&'a [u8]]) -> Self {
        Self {
            rules,
            args,
            found: Vec::new(),
        }
    }

    fn whole(&self, arg: usize) -> Span {
        Span {
            arg,
            start: 0,
            end: self.args[arg].len(),
        }
    }

    fn bytes(&self, span: Span) -> &'a [u8] {
        &self.args[span.arg][span.start..span.end]
    }

    fn add(&mut self, arg: usize, ranges: impl IntoIterator<Item = Range<usize>>) {
        let spans = ranges.into_iter().map(|range| Span {
            arg,
            start: range.start,
            end: range.end,
        });
        self.found
            .extend(spans.filter(|span| span.start < span.end));
    }

    /// The words of one command line: a vector, or a text that a shell splits.
    fn command(&mut self, line: &[Span], depth: usize) {
        let mut program: Option<(usize, &[OptionRule])> = None;
        for (i, word) in line.iter().enumerate() {
            let text = self.bytes(*word);
            let next = line.get(i + 1).copied();
            let known = program.is_some_and(|(at, options)| {
                let before = &line[at + 1..i];
                self.option(options, before, *word, next)
            });
            if !known {
                self.named(&line[..i], *word, next);
            }
            let name = text.rsplit(|b| b"/=".contains(b)).next().unwrap_or(text);
            if let Some(options) = self.rules.options(name) {
                program = Some((i, options));
            }
            if depth < MAX_DEPTH && words::has_spaces(text) {
                let inner: Vec<Span> = words::words(text)
                    .into_iter()
                    .map(|range| Span {
                        arg: word.arg,
                        start: word.start + range.start,
                        end: word.start + range.end,
                    })
                    .collect();
                // One word that is the whole text again is no progress.
                if inner.as_slice() != [*word] {
                    self.command(&inner, depth + 1);
                }
            }
        }
    }

    /// An option that a rule names; whether it was one.
    fn option(
        &mut self,
        options: &[OptionRule],
        before: &[Span],
        word: Span,
        next: Option<Span>,
    ) -> bool {
        let text = self.bytes(word);
        for rule in options {
            let said = |sub: &Vec<u8>| before.iter().any(|w| self.bytes(*w) == sub.as_slice());
            if !rule.subcommands.iter().all(said) {
                continue;
            }
            let Some(value) = value_of(rule, text, word, next) else {
                continue;
            };
            let Some(mut value) = value else {
                return true;
            };
            if let ValueOf::After(mark) = rule.value {
                let after = self.bytes(value).iter().position(|b| *b == mark);
                let Some(after) = after else { return true };
                value.start += after + 1;
            }
            let inner = words::unquoted(self.args[value.arg], value.start..value.end);
            (value.start, value.end) = (inner.start, inner.end);
            let secret = self.bytes(value);
            if can_be_secret(secret) || secret.starts_with(b"/") {
                self.found.push(value);
            }
            return true;
        }
        false
    }

    /// An option, or a name that is set, by what it is called: `--password X`,
    /// `config set requirepass X`.
    fn named(&mut self, before: &[Span], word: Span, next: Option<Span>) {
        let text = self.bytes(word);
        let name = &text[text.iter().take_while(|b| **b == b'-').count()..];
        let dashed = name.len() < text.len();
        let set = || {
            let near = before.iter().rev().take(SETTERS_BEFORE);
            near.map(|w| self.bytes(*w))
                .any(|w| w.eq_ignore_ascii_case(b"set") || w.eq_ignore_ascii_case(b"config"))
        };
        let Some(next) = next else { return };
        let value = self.bytes(next);
        let is_name = name.iter().all(|b| is_name_byte(*b) || b"/:".contains(b));
        let of_secret = is_name && (dashed || set()) && {
            let last = name.rsplit(|b| b"/:".contains(b)).next().unwrap_or(name);
            self.rules.names().is_secret(last)
        };
        if of_secret && can_be_secret_of(name, value) && !value.starts_with(b"-") {
            self.found.push(next);
        }
    }

    /// Assignments and patterns anywhere in an argument.
    fn text(&mut self, arg: usize) {
        let text = self.args[arg];
        let mut after = 0;
        let rules = self.rules;
        for hint in rules.hints().find_iter(text) {
            if hint.start() < after {
                continue;
            }
            let name = name_around(text, hint.range());
            after = name.end;
            if !rules.names().is_secret(&text[name.clone()]) {
                continue;
            }
            let Some(value) = assigned(text, &name) else {
                continue;
            };
            let given = &text[value.clone()];
            let option = name.start == 0 && text.starts_with(b"-");
            let harmless =
                !can_be_secret_of(&text[name.clone()], given) || (!option && is_expression(given));
            if !harmless {
                after = value.end;
                self.add(arg, [value]);
            }
        }
        for pattern in rules.patterns(text) {
            for found in pattern.captures_iter(text) {
                let secret = found.name("secret").or_else(|| found.get(0));
                let secret = secret.map(|m| m.range());
                self.add(
                    arg,
                    secret.filter(|s| {
                        let value = &text[s.clone()];
                        can_be_secret(value) || value.starts_with(b"/")
                    }),
                );
            }
        }
    }

    /// In order, merged where they overlap, without what is to be kept.
    fn finish(mut self) -> Vec<Span> {
        let args = self.args;
        self.found
            .retain(|span| !is_of_placeholder(args[span.arg], span.start..span.end));
        self.found.sort_unstable();
        let mut merged: Vec<Span> = Vec::with_capacity(self.found.len());
        for span in self.found {
            match merged.last_mut() {
                Some(last) if last.arg == span.arg && span.start < last.end => {
                    last.end = last.end.max(span.end);
                }
                _ => merged.push(span),
            }
        }
        let rules = self.rules;
        let kept = |span: &Span| {
            rules.keep().iter().any(|keep| {
                let mut found = keep.find_iter(args[span.arg]);
                found.any(|m| m.start() <= span.start && span.end <= m.end())
            })
        };
        merged.retain(|span| !kept(span));
        merged
    }
}

/// Whether a range lies within a placeholder, `[secret:12]`: a bundle looks once
/// more at what the recorder has replaced, and `secret:` is a name with a value.
fn is_of_placeholder(text: &[u8], range: Range<usize>) -> bool {
    const BEGIN: &[u8] = b"[secret:";
    let until = text.len().min(range.start + BEGIN.len());
    let begin = text[..until].windows(BEGIN.len()).rposition(|w| w == BEGIN);
    let Some(begin) = begin else {
        return false;
    };
    let rest = &text[begin + BEGIN.len()..];
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let end = begin + BEGIN.len() + digits + 1;
    digits > 0 && rest.get(digits) == Some(&b']') && begin <= range.start && range.end <= end
}

/// The value of an option, if `word` is that option: outer `None` if it is not,
/// inner `None` if it has no value.
fn value_of(
    rule: &OptionRule,
    text: &[u8],
    word: Span,
    next: Option<Span>,
) -> Option<Option<Span>> {
    let option = rule.option.as_slice();
    let rest = |skip: usize| Span {
        start: word.start + skip,
        ..word
    };
    let short = option.len() == 2 && option[0] == b'-';
    // `-su` is `-s -u`.
    let bundled = short
        && (3..=5).contains(&text.len())
        && text[0] == b'-'
        && text[1..].iter().all(u8::is_ascii_alphabetic)
        && text.ends_with(&option[1..]);
    if bundled && rule.value != ValueOf::Attached {
        return Some(next);
    }
    let long = text.strip_prefix(option)?;
    let assigned = option.starts_with(b"--") && long.starts_with(b"=");
    match rule.value {
        ValueOf::Attached => (!long.is_empty()).then(|| Some(rest(option.len()))),
        ValueOf::Never => (long.is_empty() || assigned).then_some(None),
        _ if long.is_empty() => Some(next),
        _ if assigned => Some(Some(rest(option.len() + 1))),
        ValueOf::After(mark) if short && long.contains(&mark) => Some(Some(rest(2))),
        _ => None,
    }
}

/// The whole name that a hint is part of.
fn name_around(text: &[u8], hint: Range<usize>) -> Range<usize> {
    let left = text[..hint.start].iter().rev();
    let start = hint.start - left.take_while(|b| is_name_byte(**b)).count();
    let right = text[hint.end..].iter();
    let end = hint.end + right.take_while(|b| is_name_byte(**b)).count();
    start..end
}

/// The value that a name in a text is given: `name=value`, `"name": "value"`.
fn assigned(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    let mut at = name.end;
    let quoted = skip(text, &mut at, b"\\\"'") > 0;
    let spaced = skip(text, &mut at, b" \t") > 0;
    let mark = *text.get(at)?;
    let before = name.start.checked_sub(1).map(|i| text[i]);
    match (mark, text.get(at + 1)) {
        // A comparison, a path of names (a::b, arn:…:secret:x).
        (b'=', Some(b'=' | b'~')) | (b':', Some(b':')) => return None,
        (b':', _) if before == Some(b':') => return None,
        (b'=' | b':', _) => at += 1,
        _ => return None,
    }
    if mark == b':' && text.get(at) == Some(&b'=') || mark == b'=' && text.get(at) == Some(&b'>') {
        at += 1;
    }
    if mark == b':' || quoted || spaced {
        skip(text, &mut at, b" \t");
    }
    let dashes = text.iter().take_while(|b| **b == b'-').count();
    // `-Dname=value`, `-ename=value`: one letter may stand before the name.
    let whole = mark == b'=' && !quoted && name.start <= dashes;
    Some(value_at(text, at, whole))
}

/// The value that begins at `at`: to the end of its quotes, of the argument, or
/// to what separates it from the next.
fn value_at(text: &[u8], at: usize, whole: bool) -> Range<usize> {
    let open = text[at..].iter().take_while(|b| **b == b'\\').count();
    let begin = at + open;
    if let Some(quote @ (b'"' | b'\'')) = text.get(begin) {
        let inner = &text[begin + 1..];
        let close = memchr::memchr(*quote, inner).unwrap_or(inner.len());
        let end = begin + 1 + close;
        let escapes = text[begin + 1..end].iter().rev();
        let escapes = escapes.take_while(|b| **b == b'\\').count();
        return begin + 1..end - escapes.min(open);
    }
    if whole && !words::has_spaces(text) {
        return at..text.len();
    }
    let ends = |b: &u8| b.is_ascii_whitespace() || b",;&\"'|)}]>\\".contains(b);
    let length = text[at..].iter().position(ends);
    at..length.map_or(text.len(), |n| at + n)
}

/// Part of a regular expression, as in `grep 'password=.*'`.
fn is_expression(value: &[u8]) -> bool {
    matches!(value, [b'.' | b'[' | b'(' | b'\\' | b'^' | b'*' | b'%', ..])
}

fn skip(text: &[u8], at: &mut usize, what: &[u8]) -> usize {
    let rest = text.get(*at..).unwrap_or_default();
    let count = rest.iter().take_while(|b| what.contains(b)).count();
    *at += count;
    count
}
