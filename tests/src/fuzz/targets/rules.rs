//! A file of redaction rules: read, and applied to some arguments.

use std::fs;

use whence_schemas::redact::{Redactor, Rules};

use crate::worker::Bench;

/// Arguments with something for each kind of rule.
const ARGV: &[&[u8]] = &[
    b"backupctl",
    b"login",
    b"-k",
    b"s3cret",
    b"--password=hunter2",
    b"https://user:pass@host/path",
    b"sh -c 'mysql -phunter2; echo corp_ABCDEFGHIJKLMNOPQRSTUVWX badge=1234'",
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    b"\xff\xfe",
    b"",
];

pub(super) fn run(bench: &Bench, input: &[u8]) -> Result<(), String> {
    let path = bench.work.join("own.rules");
    fs::write(&path, input).map_err(|e| e.to_string())?;
    let name = path.to_str().ok_or("the folder has an odd name")?;
    let rules = Rules::named(name).map_err(|e| e.to_string())?;
    let mut redactor = Redactor::new(rules);
    for argv in [ARGV, &[input]] {
        redactor.args(argv);
    }
    Ok(())
}
