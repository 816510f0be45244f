//! Quotes arguments as a shell would need them, and makes any text safe to
//! print.
//!
//! What comes from a recording can hold anything, escape sequences for a
//! terminal included. Everything that is quoted here is printable: bytes that
//! are not UTF-8, control characters and characters that reorder text are
//! written as escapes inside `$'…'`, which bash, ksh and zsh read back to the
//! same bytes.

use std::fmt::Write as _;

/// One argument, quoted if a shell would not read it back as it is.
///
/// ```
/// use whence_schemas::quote::argument;
/// assert_eq!(argument(b"/proc/meminfo"), "/proc/meminfo");
/// assert_eq!(argument(b"it's"), r#"'it'\''s'"#);
/// assert_eq!(argument(b""), "''");
/// assert_eq!(argument(b"a\tb\xff"), r"$'a\tb\xff'");
/// ```
#[must_use]
pub fn argument(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    push_argument(&mut quoted, bytes);
    quoted
}

/// A whole command line: each argument quoted, separated by spaces.
///
/// ```
/// let line = whence_schemas::quote::command_line([b"awk".as_slice(), b"{print $2}"]);
/// assert_eq!(line, "awk '{print $2}'");
/// ```
#[must_use]
pub fn command_line<'a>(argv: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut line = String::new();
    for (i, arg) in argv.into_iter().enumerate() {
        if i > 0 {
            line.push(' ');
        }
        push_argument(&mut line, arg);
    }
    line
}

/// Text as it can be shown anywhere: control and reordering characters become
/// visible escapes, everything else stays.
///
/// ```
/// use whence_schemas::quote::printable;
/// assert_eq!(printable("caf\u{e9}"), "caf\u{e9}");
/// assert_eq!(printable("\u{1b}[31mred"), r"\x1b[31mred");
/// ```
#[must_use]
pub fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.chars().any(unprintable) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if unprintable(c) {
            push_escape(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

fn push_argument(out: &mut String, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok("") => out.push_str("''"),
        Ok(text) if text.bytes().all(plain) => out.push_str(text),
        Ok(text) if !text.chars().any(unprintable) => {
            out.push('\'');
            for part in text.split_inclusive('\'') {
                match part.strip_suffix('\'') {
                    Some(part) => {
                        out.push_str(part);
                        out.push_str("'\\''");
                    }
                    None => out.push_str(part),
                }
            }
            out.push('\'');
        }
        _ => push_escaped(out, bytes),
    }
}

/// Characters that no shell treats specially anywhere in a word.
fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./:=,@%+".contains(&byte)
}

/// Characters that act on a terminal or hide themselves, others and their
/// order, rather than show something.
fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn push_escaped(out: &mut String, bytes: &[u8]) {
    out.push_str("$'");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => {
                    out.push('\\');
                    out.push(c);
                }
                c if unprintable(c) => push_escape(out, c),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('\'');
}

fn push_escape(out: &mut String, c: char) {
    let _ = match c {
        '\n' => write!(out, "\\n"),
        '\t' => write!(out, "\\t"),
        '\r' => write!(out, "\\r"),
        c if (c as u32) < 0x80 => write!(out, "\\x{:02x}", c as u32),
        c if (c as u32) < 0x1_0000 => write!(out, "\\u{:04x}", c as u32),
        c => write!(out, "\\U{:08x}", c as u32),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_quoted_acts_on_a_terminal() {
        for text in [
            "\u{1b}]0;title\u{7}",
            "a\u{202e}b",
            "\u{9b}31m",
            "x\ny",
            "\r",
        ] {
            let line = command_line([text.as_bytes()]);
            assert!(!line.chars().any(unprintable), "{line:?}");
            assert!(!printable(text).chars().any(unprintable));
        }
    }

    /// Quoting is only exact if a real shell gives the same bytes back.
    #[test]
    fn bash_reads_back_the_same_bytes() {
        let args: [&[u8]; 9] = [
            b"plain",
            b"",
            b"two words",
            b"it's",
            b"$HOME `id` \\ \"x\"",
            b"new\nline\ttab",
            b"\xff\xfe",
            "\u{202e}caf\u{e9}\u{1b}[0m".as_bytes(),
            b"-n",
        ];
        let line = command_line(args);
        let Ok(output) = std::process::Command::new("bash")
            .arg("-c")
            .env("LC_ALL", "C.UTF-8")
            .arg(format!("printf '%s\\0' {line}"))
            .output()
        else {
            eprintln!("skipped: bash is not installed");
            return;
        };
        let expected: Vec<u8> = args
            .iter()
            .flat_map(|a| [a, b"\0".as_slice()].concat())
            .collect();
        assert_eq!(output.stdout, expected);
    }
}
