//! The readers, each with words that mean something to it.

mod arguments;
mod commands;
mod recording;
mod rows;
mod rules;
mod selftest;
mod symbols;

use std::fs;
use std::path::Path;

use whence_schemas::TABLES;
use whence_schemas::layout;
use whence_schemas::manifest::Manifest;
use whence_schemas::place::Place;

use crate::worker::Bench;

/// How a complaint begins that is about a broken promise. Every other error is
/// what a reader says of hostile input, and as it should be.
pub(crate) const BROKEN: &str = "broken promise: ";

/// A reader.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: &'static str,
    /// Words that mutations put in.
    pub(crate) words: &'static [&'static [u8]],
    /// Reads an input.
    pub(crate) run: fn(&Bench, &[u8]) -> Result<(), String>,
}

/// Text that does harm where it is taken for more than text.
const HOSTILE: &[&[u8]] = &[
    b"../",
    b"/etc/passwd",
    b"\x1b[2J\x1b]0;x\x07",
    b"</script><script>alert(1)</script>",
    "\u{202e}gpj.exe".as_bytes(),
    b"\0",
    b"\xff\xfe",
    b"%n%s",
    b"=1+1",
    b"999999999999999999999999",
    b"-9223372036854775808",
];
const ZIP: &[&[u8]] = &[
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"\x01\x00\x1c\x00",
    b"../",
    b"/etc/",
    b"recording.json",
    b"exec/000001.parquet",
    b"\xff\xff\xff\xff",
    b"\x00\x00\xff\xa1",
];
const JSON: &[&[u8]] = &[
    b"null",
    b"{}",
    b"[]",
    b"[[[[",
    b"1e999",
    b"-9223372036854775808",
    b"9223372036854775807",
    b"18446744073709551615",
    b"\"../../x\"",
    b"\"exec/000001.parquet\"",
    b"\"recording\"",
    b"\"\\u001b[2J\\u202e</script>\"",
];
const PARQUET: &[&[u8]] = &[
    b"PAR1",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x08",
    b"ARROW:schema",
    b"\x28\xb5\x2f\xfd",
    b"boot_id",
];
const RULES: &[&[u8]] = &[
    b"name ",
    b"part ",
    b"except *",
    b"option ",
    b"pattern ",
    b"keep ",
    b"default off\n",
    b"random on\n",
    b"(?<secret>",
    b"(a*)*",
    b"{1000}{1000}",
    b"\\p{L}",
    b"(((((",
    b"|",
    b"\xc3",
];
const ARGUMENTS: &[&[u8]] = &[
    b"\0",
    b"\0-p\0",
    b"--password=",
    b"Authorization: Bearer ",
    b"https://u:p@h/",
    b"-----BEGIN RSA PRIVATE KEY-----",
    b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.",
    b"mysql\0-p",
    b"sh\0-c\0",
    b"'",
    b"\"",
    b"$(",
    b"[secret:1]",
    b"\xf0\x9f\x98",
    b"AKIAIOSFODNN7EXAMPLE",
];
const ELF: &[&[u8]] = &[
    b"\x7fELF",
    b".debug_info",
    b".debug_line",
    b".symtab",
    b".eh_frame",
    b"ZLIB",
    b"_ZN",
    b"_RNv",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
];

const TARGETS: &[Target] = &[
    Target {
        name: "bundle",
        words: ZIP,
        run: recording::bundle,
    },
    Target {
        name: "manifest",
        words: JSON,
        run: recording::manifest,
    },
    Target {
        name: "segment",
        words: PARQUET,
        run: recording::segment,
    },
    Target {
        name: "rows",
        words: HOSTILE,
        run: rows::run,
    },
    Target {
        name: "rules",
        words: RULES,
        run: rules::run,
    },
    Target {
        name: "arguments",
        words: ARGUMENTS,
        run: arguments::run,
    },
    Target {
        name: "symbols",
        words: ELF,
        run: symbols::run,
    },
    // Breaks the promise that its input names, to see that it is noticed.
    Target {
        name: "selftest",
        words: &[],
        run: selftest::run,
    },
];

/// The target of that name.
///
/// # Errors
/// With the names that there are, if there is none.
pub(crate) fn named(name: &str) -> Result<&'static Target, String> {
    let names = || TARGETS.iter().map(|t| t.name).collect::<Vec<_>>();
    let found = TARGETS.iter().find(|target| target.name == name);
    found.ok_or_else(|| {
        format!(
            "there is no target {name:?}; there are {}",
            names().join(", ")
        )
    })
}

/// Unpacks a bundle as a recording.
pub(crate) fn unpack(zip: &Path, to: &Path) -> Result<(), String> {
    let text = |e: &dyn std::fmt::Display| format!("{}: {e}", zip.display());
    let place = Place::open(zip).map_err(|e| text(&e))?;
    let manifest = Manifest::read_at(&place).map_err(|e| text(&e))?;
    for def in TABLES {
        fs::create_dir_all(to.join(def.name)).map_err(|e| text(&e))?;
        for name in place.segments_of(def.name).map_err(|e| text(&e))? {
            let (location, bytes) = place.find(def.name, &name).map_err(|e| text(&e))?;
            let content = location
                .open()
                .and_then(|file| file.read_at(0, bytes as usize));
            let written = content.and_then(|c| fs::write(to.join(def.name).join(&name), c));
            written.map_err(|e| text(&e))?;
        }
    }
    let content = serde_json::to_vec_pretty(&manifest).map_err(|e| text(&e))?;
    fs::write(to.join(layout::MANIFEST), content).map_err(|e| text(&e))
}
