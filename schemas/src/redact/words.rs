//! The words of a text that a shell would run, as ranges of bytes in it.
//!
//! Not a shell: nothing is expanded, and what is broken is split as well as it
//! can be. It only has to know where an argument begins and ends.

use std::ops::Range;

/// The words of `text`, without their quotes.
pub(super) fn words(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if is_space(text[at]) {
            at += 1;
            continue;
        }
        let end = end_of_word(text, at);
        found.push(unquoted(text, at..end));
        at = end;
    }
    found
}

/// Whether a text has more than one word.
pub(super) fn has_spaces(text: &[u8]) -> bool {
    text.iter().copied().any(is_space)
}

/// A range without the quotes around it.
pub(super) fn unquoted(text: &[u8], range: Range<usize>) -> Range<usize> {
    match &text[range.clone()] {
        [open @ (b'"' | b'\''), .., close] if open == close => range.start + 1..range.end - 1,
        [b'\\', b'"', .., b'\\', b'"'] if range.len() >= 4 => range.start + 2..range.end - 2,
        _ => range,
    }
}

/// End of the word that begins at `start`. Separators of commands end it too.
fn end_of_word(text: &[u8], start: usize) -> usize {
    let mut quote = None;
    let mut at = start;
    while at < text.len() {
        let byte = text[at];
        match quote {
            Some(open) if byte == open => quote = None,
            Some(b'\'') => {}
            _ if byte == b'\\' => at += 1,
            Some(_) => {}
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None if is_space(byte) => return at,
            None if matches!(byte, b';' | b'|') => return at.max(start + 1),
            None => {}
        }
        at += 1;
    }
    text.len()
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        words(text.as_bytes())
            .into_iter()
            .map(|r| &text[r])
            .collect()
    }

    #[test]
    fn words_end_where_a_shell_ends_them() {
        assert_eq!(split("a  'b c' \"d e\""), ["a", "b c", "d e"]);
        assert_eq!(split("mysql -px;true"), ["mysql", "-px", ";", "true"]);
        assert_eq!(split(r"a\ b c"), [r"a\ b", "c"]);
    }

    #[test]
    fn an_open_quote_or_a_lone_backslash_is_no_panic() {
        assert_eq!(split("a 'b c"), ["a", "'b c"]);
        assert_eq!(split("a \\"), ["a", "\\"]);
        assert_eq!(split("\""), ["\""]);
    }
}
