//! `whence bundle`: a part of a recording in one zip, without its secrets.

use std::io::IsTerminal as _;
use std::path::Path;

use whence_schemas::quote::printable;

use super::{Answer, open, regex};
use crate::bundle::fit::{Sizes, smaller};
use crate::bundle::inspect::{Inventory, KINDS};
use crate::bundle::pack::{REPORT, other_bytes, pack};
use crate::bundle::select::{Selection, Wanted, first};
use crate::bundle::{Part, Plan};
use crate::cli::Bundle;
use crate::forest::Forest;
use crate::recording::{Boot, Recording, Recordings};
use crate::render::text;
use crate::scratch::Folder;
use crate::session::{Limits, Session};
use crate::time::instant;
use crate::{Error, Result, report};

/// Times the size that a part may have, from which on it is far too large.
const FAR: u64 = 2;
/// How often a part is made anew to get it small enough.
const ROUNDS: usize = 12;
/// Processes that the page for a browser shows, at most.
const MAX_PROCESSES: usize = 10_000;
/// Values of a kind that are shown to people.
const SHOWN: usize = 10;

/// Makes the bundle, or says what would be in it.
///
/// # Errors
/// [`Error::Usage`] for what cannot be chosen, [`Error::Nothing`] where nothing
/// is left, [`Error::Limit`] where it does not get small enough.
pub async fn run(args: &Bundle) -> Result<()> {
    let recordings = open(&args.source)?;
    let target = match (&args.zip, args.inspect) {
        (Some(zip), _) => zip.as_path(),
        (None, _) => Path::new("bundle.zip"),
    };
    if !args.inspect && target.symlink_metadata().is_ok() {
        return Err(Error::Usage(format!(
            "{} exists; choose another name with -o",
            target.display()
        )));
    }
    let [recording] = recordings.all.as_slice() else {
        return Err(Error::Usage(format!(
            "a bundle is made of one recording, and these are {}; name one with -i",
            recordings.all.len()
        )));
    };
    let boots = recordings.boots();
    let forests = Forest::load_all(&recordings)?;
    let (Some(boot), Some(forest)) = (boots.first(), forests.first()) else {
        return Err(Error::Nothing("nothing was recorded".into()));
    };
    let wanted = wanted(args, &recordings, boot, recording)?;
    let limits = Limits {
        max_memory: args.source.max_memory,
        ..Limits::default()
    };
    let session = Session::new(recordings.clone(), &limits)?;
    let plan = Plan {
        selection: Selection::of(&wanted, recording, forest)?,
        one_sample_of: 1,
        rules: args.redact.clone(),
        note: args.note.clone(),
    };
    let name = target
        .file_name()
        .unwrap_or(target.as_os_str())
        .to_string_lossy();
    let place = match args.inspect {
        true => std::env::temp_dir().join("bundle.zip"),
        false => target.to_path_buf(),
    };
    let scratch = Folder::beside(&place)?;
    let source = (&session, recording, forest);
    let mut part = fitting(args, source, plan, &name, scratch.path()).await?;
    if args.inspect {
        return show(args, &recordings, &part);
    }
    let unfinished = scratch.path().join("bundle.zip");
    let bytes = pack(&mut part, &name, &unfinished)?;
    std::fs::rename(&unfinished, target).map_err(|source| Error::Write {
        object: target.display().to_string(),
        source,
    })?;
    if let Some(parent) = target.parent() {
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        whence_schemas::segment::sync_dir(parent)?;
    }
    say(target, bytes, &part)
}

/// Copies, less each time, until it is small enough.
async fn fitting(
    args: &Bundle,
    (session, recording, forest): (&Session, &Recording, &Forest),
    mut plan: Plan,
    name: &str,
    scratch: &Path,
) -> Result<Part> {
    let shown = std::io::stderr().is_terminal();
    let clock = &recording.manifest.clock;
    // One that is far too large need not be made to know it. That nothing is left to
    // leave out is only said of one that was made.
    let expected = Sizes::expected(recording, &plan.selection)?;
    if expected.bytes() > args.max_size.saturating_mul(FAR)
        && let Ok(less) = smaller(&plan, &expected, 0, args.max_size, clock)
    {
        plan = less;
    }
    // What the page takes, once it has been made of a part that leaves it room.
    let mut page_bytes = 0;
    for round in 0..ROUNDS {
        let at = |table: &str| {
            if shown {
                let again = if round > 0 { ", smaller" } else { "" };
                eprint!("\r\x1b[Kbundling {table}{again}");
            }
        };
        let dir = scratch.join(format!("{round}"));
        let part = Part::copy(session, recording, forest, &plan, &dir, &at).await;
        if shown {
            eprint!("\r\x1b[K");
        }
        let part = part?;
        let tables = part.bytes() + other_bytes(&part, name);
        // A page is made only where it may be kept: of a large part it takes long.
        if tables + page_bytes <= args.max_size {
            page_bytes = page(args, &part).await?;
            if tables + page_bytes <= args.max_size {
                return Ok(part);
            }
        }
        let other = tables - part.bytes() + page_bytes;
        plan = smaller(&plan, &Sizes::of(&part), other, args.max_size, clock)?;
        let _ = std::fs::remove_dir_all(&part.dir);
    }
    Err(Error::Limit(format!(
        "the bundle is larger than {} after {ROUNDS} attempts; raise --max-size, or choose less \
         with --since, --until, --pid or --match",
        text::bytes(args.max_size)
    )))
}

/// Writes the page for a browser beside the tables and gives its size.
async fn page(args: &Bundle, part: &Part) -> Result<u64> {
    part.manifest.write(&part.dir)?;
    let limits = Limits {
        max_memory: args.source.max_memory,
        ..Limits::default()
    };
    let session = Session::new(Recordings::open(std::slice::from_ref(&part.dir))?, &limits)?;
    let options = report::Options {
        max_processes: MAX_PROCESSES,
        against: None,
    };
    let mut page = Vec::new();
    report::write(&session, &mut page, &options).await?;
    // Where there is little room, events come first.
    if page.len() as u64 > args.max_size / 4 {
        return Ok(0);
    }
    let path = part.dir.join(REPORT);
    std::fs::write(&path, &page).map_err(whence_schemas::Error::io("write", &path))?;
    Ok(page.len() as u64)
}

/// What is asked for, with times as the recording has them.
fn wanted(
    args: &Bundle,
    recordings: &Recordings,
    boot: &Boot,
    recording: &Recording,
) -> Result<Wanted> {
    let at = |text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| instant(text, recordings, boot)).transpose()
    };
    let (mut since_ns, mut until_ns) = (at(&args.since)?, at(&args.until)?);
    // A time that a person gives is a whole second, and all of it.
    until_ns = until_ns.map(|ns| ns.saturating_add(999_999_999));
    if let Some(event) = &args.around {
        let middle = match instant(event, recordings, boot) {
            Ok(ns) => ns,
            Err(_) => first(event, recording)?,
        };
        let window = i64::try_from(args.window.as_nanos()).unwrap_or(i64::MAX);
        since_ns = Some(middle.saturating_sub(window));
        until_ns = Some(middle.saturating_add(window));
    }
    Ok(Wanted {
        since_ns,
        until_ns,
        pid: args.pid,
        pattern: args.pattern.as_deref().map(regex).transpose()?,
    })
}

/// Says what was written and what was not.
fn say(target: &Path, bytes: u64, part: &Part) -> Result<()> {
    let rows = |table: &str| -> u64 { part.manifest.segments_of(table).map(|s| s.rows).sum() };
    let count = |n: u64| text::count(n.cast_signed());
    let mut lines = vec![format!(
        "{}: {}, {} processes, {} execs, {} samples",
        target.display(),
        text::bytes(bytes),
        count(rows("process")),
        count(rows("exec")),
        count(rows("sample")),
    )];
    if let Some(redaction) = &part.manifest.redaction {
        lines.push(format!(
            "  {} secrets in {} places are replaced; `whence bundle --inspect` shows what is left",
            redaction.secrets, redaction.replaced
        ));
    }
    for sentence in part.manifest.bundle.iter().flat_map(|b| &b.left_out) {
        lines.push(format!("  left out: {sentence}"));
    }
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{}", printable(&line)).map_err(Error::output)?;
    }
    Ok(())
}

/// Shows what would be in the bundle.
fn show(args: &Bundle, recordings: &Recordings, part: &Part) -> Result<()> {
    let inventory = Inventory::of(part)?;
    let mut answer = Answer::begin(args.output.format, recordings)?;
    if !args.output.format.is_human() {
        let rows = inventory.rows()?;
        answer.rows(&rows.schema(), &[rows])?;
        return answer.finish();
    }
    for sentence in part.manifest.bundle.iter().flat_map(|b| &b.left_out) {
        answer.line(&printable(&format!("left out: {sentence}")))?;
    }
    for kind in KINDS {
        let values = inventory.of_kind(kind);
        let title = match *kind {
            "suspicious" => "Strings that may be secrets and that no rule took",
            "secret" => "Secrets that are replaced",
            "host" => "Hosts",
            "user" => "Users, by processes",
            "command" => "Commands, by runs",
            _ => "Folders of programs, libraries and sources, working directories, cgroups",
        };
        answer.title(&format!("{title}: {}", text::count(values.len() as i64)))?;
        for (value, count) in values.iter().take(SHOWN) {
            let line = format!("{:>10}  {}", text::count(*count), printable(value));
            answer.line(&line)?;
        }
        if values.len() > SHOWN {
            let more = text::count((values.len() - SHOWN) as i64);
            answer.line(&format!("            {more} more; --format csv lists all"))?;
        }
    }
    answer.finish()
}
