//! Strings of a report: each distinct one once, printable, and bounded, since a
//! single command line may have megabytes.

use std::collections::HashMap;

use whence_schemas::quote::printable;

/// Characters of a string that are kept.
const LONGEST: usize = 8_192;
/// Bytes of all strings after which only the begin of a string is kept.
const ROOM_BYTES: usize = 12 << 20;
/// Characters of that begin.
const BEGIN: usize = 160;
/// Arguments of a command line that are kept.
const MOST_ARGUMENTS: usize = 512;

/// Number of a string.
pub(super) type Text = u32;

/// Distinct strings and argument vectors, by number.
#[derive(Debug, Default)]
pub(super) struct Strings {
    by_text: HashMap<String, Text>,
    all: Vec<String>,
    argvs: Vec<Vec<u32>>,
    by_argv: HashMap<Vec<u32>, u32>,
    bytes: usize,
    /// How many were cut.
    pub(super) cut: usize,
}

impl Strings {
    /// The number of a string, made printable.
    pub(super) fn add(&mut self, text: &str) -> Text {
        let shown = printable(text);
        let longest = match self.bytes < ROOM_BYTES {
            true => LONGEST,
            false => BEGIN,
        };
        let shown = match shown.char_indices().nth(longest) {
            None => shown.into_owned(),
            Some((end, _)) => {
                self.cut += 1;
                format!("{}… ({} bytes in all)", &shown[..end], text.len())
            }
        };
        if let Some(known) = self.by_text.get(&shown) {
            return *known;
        }
        let number = self.all.len() as Text;
        self.bytes += shown.len();
        self.all.push(shown.clone());
        self.by_text.insert(shown, number);
        number
    }

    /// The number of an argument vector. It is kept as how many arguments there
    /// are and the numbers of the first ones.
    pub(super) fn add_argv<'a>(&mut self, argv: impl ExactSizeIterator<Item = &'a str>) -> u32 {
        let count = u32::try_from(argv.len()).unwrap_or(u32::MAX);
        let mut numbers = vec![count];
        if argv.len() > MOST_ARGUMENTS {
            self.cut += 1;
        }
        for argument in argv.take(MOST_ARGUMENTS) {
            numbers.push(self.add(argument));
        }
        if let Some(known) = self.by_argv.get(&numbers) {
            return *known;
        }
        let number = self.argvs.len() as u32;
        self.argvs.push(numbers.clone());
        self.by_argv.insert(numbers, number);
        number
    }

    /// All strings and argument vectors.
    pub(super) fn into_parts(self) -> (Vec<String>, Vec<Vec<u32>>) {
        (self.all, self.argvs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_kept_once_and_printable() {
        let mut strings = Strings::default();
        assert_eq!(strings.add("a\u{202e}b"), strings.add("a\u{202e}b"));
        let other = strings.add_argv(["x", "x"].into_iter());
        assert_eq!(strings.add_argv(["x", "x"].into_iter()), other);
        let (all, argvs) = strings.into_parts();
        assert_eq!(all, [r"a\u202eb", "x"]);
        assert_eq!(argvs, [[2, 1, 1]]);
    }

    #[test]
    fn what_is_cut_says_its_size_and_is_counted() {
        let mut strings = Strings::default();
        strings.add(&"é".repeat(LONGEST + 1));
        let many = vec!["x"; MOST_ARGUMENTS + 9];
        strings.add_argv(many.iter().copied());
        assert_eq!(strings.cut, 2);
        let (all, argvs) = strings.into_parts();
        assert!(all[0].ends_with("é… (16386 bytes in all)"), "{}", all[0]);
        assert_eq!(argvs[0][0] as usize, many.len());
        assert_eq!(argvs[0].len(), MOST_ARGUMENTS + 1);
    }

    #[test]
    fn all_strings_together_are_bounded() {
        let mut strings = Strings::default();
        for i in 0..4_000 {
            strings.add(&format!("{i}{}", "x".repeat(LONGEST - 8)));
        }
        let (all, _) = strings.into_parts();
        let bytes: usize = all.iter().map(String::len).sum();
        assert!(bytes < ROOM_BYTES + 4_000 * (BEGIN + 40), "{bytes}");
    }
}
