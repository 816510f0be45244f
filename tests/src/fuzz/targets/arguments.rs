//! Arguments of a program, with a NUL after each, as the kernel hands them out:
//! what the recorder looks at for secrets before anything is written.

use whence_schemas::quote::{command_line, printable};
use whence_schemas::redact::{Redactor, Rules};

use super::BROKEN;
use crate::worker::{Bench, obeyed};

pub(super) fn run(_: &Bench, input: &[u8]) -> Result<(), String> {
    let mut redactor = Redactor::new(Rules::builtin());
    let replaced = redactor.argv(input).unwrap_or_else(|| input.to_vec());
    let arguments = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == 0).count();
    if arguments(&replaced) != arguments(input) {
        return Err(format!("{BROKEN}redaction changed the number of arguments"));
    }
    // Once more, as a bundle does.
    let last = redactor.report().secrets;
    let mut again = Redactor::after(Rules::builtin(), last);
    again.argv(&replaced);
    again.text(&String::from_utf8_lossy(&replaced));
    let line = command_line(replaced.split(|byte| *byte == 0));
    match obeyed(printable(&line).as_bytes()) {
        Some(line) => Err(format!("{BROKEN}a terminal would obey {line}")),
        None => Ok(()),
    }
}
