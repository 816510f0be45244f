//! Writes the zip: an ordinary one, with nothing compressed, since segments are
//! and are to be read in place.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use rawzip::path::EntryPath;
use rawzip::time::UtcDateTime;
use rawzip::{ZipArchiveWriter, ZipEntryWriter};
use whence_schemas::layout;
use whence_schemas::manifest::{BundleFile, Manifest};
use whence_schemas::quote::printable;
use whence_schemas::segment::sha256;

use super::Part;
use crate::render::text;
use crate::{Error, Result};

/// Name of the text for whoever opens the zip.
pub const README: &str = "README.md";
/// Name of the page for a browser.
pub const REPORT: &str = "report.html";

/// Bytes of a zip's own beside each file and at its end, at most; its names come
/// on top, twice each.
const ENTRY_BYTES: u64 = 192;
/// What the manifest says of a file that is no segment, at most.
const LISTED_BYTES: u64 = 256;

/// What a zip called `name` takes beside the segments of a part and its page.
#[must_use]
pub fn other_bytes(part: &Part, name: &str) -> u64 {
    let manifest = serde_json::to_vec_pretty(&part.manifest).map_or(0, |text| text.len());
    let readme = readme(&part.manifest, name, true).len();
    let folder = folder(name).len() as u64 + 1;
    let entry = |file: &str| ENTRY_BYTES + 2 * (folder + file.len() as u64);
    let segments = part.manifest.segments.iter().map(|s| s.file.as_str());
    let entries: u64 = segments
        .chain([README, REPORT, layout::MANIFEST, ""])
        .map(entry)
        .sum();
    manifest as u64 + readme as u64 + 2 * LISTED_BYTES + entries
}

/// Writes a part as the zip `path`, which must not be the final name yet.
/// Returns its size.
///
/// # Errors
/// If files cannot be read or written.
pub fn pack(part: &mut Part, name: &str, path: &Path) -> Result<u64> {
    let failed = |source: io::Error| Error::Write {
        object: path.display().to_string(),
        source,
    };
    let readme = readme(&part.manifest, name, part.dir.join(REPORT).exists());
    fs::write(part.dir.join(README), readme).map_err(failed)?;
    let mut files = Vec::new();
    for file in [README, REPORT] {
        let path = part.dir.join(file);
        if path.exists() {
            let (bytes, sha256) = File::open(&path).and_then(sha256).map_err(failed)?;
            files.push(BundleFile {
                file: file.into(),
                bytes,
                sha256,
            });
        }
    }
    let segments = part.manifest.segments.iter().map(|s| s.file.clone());
    let names: Vec<String> = files
        .iter()
        .map(|f| f.file.clone())
        .chain([layout::MANIFEST.to_owned()])
        .chain(segments)
        .collect();
    if let Some(bundle) = &mut part.manifest.bundle {
        bundle.files = files;
    }
    part.manifest.write(&part.dir)?;
    let folder = folder(name);
    let write = || -> io::Result<u64> {
        let file = File::create_new(path)?;
        let mut zip = ZipArchiveWriter::new(BufWriter::new(file));
        for name in &names {
            add(&mut zip, &format!("{folder}/{name}"), &part.dir.join(name))?;
        }
        let file = zip.finish().map_err(io::Error::other)?.into_inner()?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    };
    write().map_err(failed)
}

/// The folder in the zip, so that unpacking it makes one thing, and that a
/// recording.
fn folder(name: &str) -> String {
    let stem = name.strip_suffix(".zip").unwrap_or(name);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let stem: String = stem
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let stem = stem.trim_start_matches('.');
    let stem = if stem.is_empty() { "bundle" } else { stem };
    match stem.ends_with(&format!(".{}", layout::EXTENSION)) {
        true => stem.to_owned(),
        false => format!("{stem}.{}", layout::EXTENSION),
    }
}

fn add<W: io::Write>(zip: &mut ZipArchiveWriter<W>, name: &str, path: &Path) -> io::Result<()> {
    let now = jiff::Timestamp::now().as_second();
    let (mut entry, config): (ZipEntryWriter<'_, W>, _) = zip
        .new_file(EntryPath::conformant(name))
        .unix_permissions(0o644)
        .last_modified(UtcDateTime::from_unix(now))
        .start()
        .map_err(io::Error::other)?;
    let mut data = config.wrap(&mut entry);
    io::copy(&mut File::open(path)?, &mut data)?;
    data.flush()?;
    let (_, end) = data.finish().map_err(io::Error::other)?;
    entry.finish(end).map_err(io::Error::other)?;
    Ok(())
}

/// What the zip is, for somebody who was sent it.
fn readme(manifest: &Manifest, name: &str, has_report: bool) -> String {
    let host = &manifest.host;
    let start = manifest.clock.wall_us(manifest.clock.boot_ns);
    let end = manifest.end_ns.map(|end| manifest.clock.wall_us(end));
    let mut out = String::from("# A recording of a Linux host\n\n");
    let mut line = |text: String| {
        let _ = writeln!(out, "{}", printable(&text));
    };
    if let Some(note) = manifest.bundle.as_ref().and_then(|b| b.note.as_ref()) {
        for part in note.lines() {
            line(format!("> {part}"));
        }
        line(String::new());
    }
    line(format!(
        "`{}`, {}, Linux {}, recorded {} to {} UTC by whence {}.",
        host.hostname,
        host.os,
        manifest.kernel.release,
        text::time(start),
        end.map_or_else(|| "?".into(), text::time),
        manifest.recorder_version,
    ));
    line(String::new());
    if has_report {
        line(format!(
            "Unpack it and open `{REPORT}` in a browser to look at it."
        ));
    }
    line("To ask it, leave it packed and give it to `whence`:".into());
    line(String::new());
    for command in [
        "info",
        "tree",
        "who PROGRAM",
        "why FUNCTION",
        "query SQL",
        "verify",
    ] {
        line(format!("    whence {command} -i {name}"));
    }
    line(String::new());
    line("Or unpack it and read `*/*.parquet` with any engine, a folder for each table.".into());
    line(String::new());
    line("## What is not in it".into());
    line(String::new());
    let left_out = manifest.bundle.iter().flat_map(|b| &b.left_out);
    let mut count = 0;
    for sentence in left_out {
        count += 1;
        line(format!("- {sentence}"));
    }
    for (stream, lost) in &manifest.lost {
        count += 1;
        line(format!(
            "- {lost} {stream} events, which were lost while it was recorded"
        ));
    }
    if count == 0 {
        line("Nothing was left out, and nothing was lost.".into());
    }
    if let Some(redaction) = &manifest.redaction {
        line(String::new());
        line(format!(
            "{} secrets were replaced in {} places, by the rules {}. `[secret:N]` stands for the \
             same secret everywhere in it, and nothing tells which.",
            redaction.secrets, redaction.replaced, redaction.rules
        ));
    }
    out
}
