//! `whence report`: a recording as one page that needs nothing but a browser.
//!
//! The page asks no network and runs only the scripts and styles that it was
//! built with: its content security policy names them by their hash and forbids
//! to make markup of text. What comes from the recording goes in as data,
//! deflated, since ten thousand command lines and stacks would otherwise be
//! many megabytes; every browser since 2023 inflates it by itself. The script
//! shows it as text and as drawings, never as markup.
//!
//! The parts: `choose` says which processes are shown, `life`, `paths`
//! and `series` read them, `document` is what the page reads, `page` puts
//! it together with the sources in `analyzer/report/`.

mod against;
mod choose;
mod document;
mod ground;
mod life;
mod page;
mod paths;
mod series;
mod strings;

use std::io::Write;

use whence_schemas::{TableDef, exec, exit, fork, sample, stack};

use crate::Result;
use crate::forest::Forest;
use crate::loss::Completeness;
use crate::recording::Recordings;
use crate::render::Progress;
use crate::render::text;
use crate::session::Session;
use crate::stacks::Stacks;
pub use against::Against;
use document::{Counts, Document, Recording, Series};
use ground::Ground;
use life::Life;
use paths::{PathTree, Stacked};
use strings::Strings;

/// What a report holds.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Processes that it shows at most.
    pub max_processes: usize,
    /// Other recordings that it is compared with.
    pub against: Option<&'a Against>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            max_processes: 10_000,
            against: None,
        }
    }
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Processes that the page shows.
    pub processes: usize,
    /// Stack events that it shows.
    pub samples: u64,
    /// What the recording has and the page has not, a line each.
    pub left_out: Vec<String>,
}

/// Writes the page of a session's recordings.
///
/// # Errors
/// If a segment turns out to be damaged, or the page cannot be written.
pub async fn write(
    session: &Session,
    out: &mut dyn Write,
    options: &Options<'_>,
) -> Result<Written> {
    let mut progress = Progress::stderr();
    progress.step("reading processes");
    let forests = Forest::load_all(&session.recordings)?;
    let ground = Ground::new(session, &forests, options.max_processes);
    let mut strings = Strings::default();
    let life = Life::read(&ground, &mut strings).await?;
    progress.step("reading stacks");
    let mut stacks = Stacks::load(&session.recordings)?;
    let mut tree = PathTree::default();
    let stacked = Stacked::read(&ground, &mut stacks, &mut strings, &mut tree).await?;
    progress.step("reading what happened when");
    let series = Series::read(&ground, &stacked.names).await?;
    progress.step("writing the page");
    let mut document = Document {
        version: env!("CARGO_PKG_VERSION"),
        range_us: ground.range_us,
        counts: counts(&ground),
        losses: series::losses(&ground, &mut strings, series.step_us).await?,
        series,
        ..Document::default()
    };
    let rows = (life.process.up.len(), life.exec.process.len());
    let mut callers = |of: &life::Callers, rows| tree.callers(&mut stacks, &mut strings, of, rows);
    let forked_by = callers(&life.forked_by, rows.0);
    let executed_by = callers(&life.executed_by, rows.1);
    let left_out = left_out(&ground, &life, &stacked, &tree, &strings);
    describe(&mut document, &session.recordings, &left_out, &mut strings);
    let against = options.against;
    document.against = against.map(|against| against.document(&mut strings));
    document.boots = life.boots;
    document.process = life.process;
    document.process.caller = forked_by;
    document.exec = life.exec;
    document.exec.caller = executed_by;
    document.events = stacked.events;
    document.sample = stacked.samples;
    document.function = tree.functions;
    document.path = tree.paths;
    (document.strings, document.argvs) = strings.into_parts();
    page::write(&document, out)?;
    Ok(Written {
        processes: rows.0,
        samples: document.counts.sample,
        left_out,
    })
}

/// What the page says of the recordings as a whole.
fn describe(
    document: &mut Document,
    recordings: &Recordings,
    left_out: &[String],
    strings: &mut Strings,
) {
    let completeness = Completeness::of(recordings);
    document.complete = completeness.is_complete();
    let lines = completeness.lines();
    document.completeness = lines.iter().map(|line| strings.add(line)).collect();
    document.left_out = left_out.iter().map(|line| strings.add(line)).collect();
    for recording in recordings.all.iter() {
        let manifest = &recording.manifest;
        let (from, to) = recording.range_ns();
        let note = manifest.bundle.as_ref().and_then(|b| b.note.as_deref());
        document.recordings.push(Recording {
            name: strings.add(&recording.name()),
            host: strings.add(&manifest.host.hostname),
            os: strings.add(&manifest.host.os),
            machine: strings.add(&manifest.host.machine),
            cpus: manifest.host.cpus,
            kernel: strings.add(&manifest.kernel.release),
            recorder_version: strings.add(&manifest.recorder_version),
            boot_id: strings.add(&manifest.boot_id),
            range_us: (manifest.clock.wall_us(from), manifest.clock.wall_us(to)),
            said: note
                .iter()
                .flat_map(|n| n.lines())
                .map(|l| strings.add(l))
                .collect(),
            notes: manifest.notes.iter().map(|n| strings.add(n)).collect(),
        });
    }
}

fn counts(ground: &Ground<'_>) -> Counts {
    let rows = |def: &TableDef| {
        let all = ground.session.recordings.all.iter();
        let rows = all.flat_map(|r| r.segments_of(def).map(|s| s.rows));
        rows.fold(0_u64, u64::saturating_add)
    };
    Counts {
        process: ground.chosen.total,
        fork: rows(&fork::DEF),
        exec: rows(&exec::DEF),
        exit: rows(&exit::DEF),
        sample: rows(&sample::DEF),
        stack: rows(&stack::DEF),
    }
}

/// What the recording has and the page has not, a line each.
fn left_out(
    ground: &Ground<'_>,
    life: &Life,
    stacked: &Stacked,
    tree: &PathTree,
    strings: &Strings,
) -> Vec<String> {
    let count = |n: usize| text::count(i64::try_from(n).unwrap_or(i64::MAX));
    let mut lines = Vec::new();
    if ground.chosen.left_out() > 0 {
        lines.push(format!(
            "{} of {} processes are shown: the first runs of each chain of programs; \
             --max-processes shows more",
            count(ground.chosen.all.len()),
            count(ground.chosen.total)
        ));
    }
    if life.execs_left_out > 0 {
        let n = count(life.execs_left_out);
        lines.push(format!("{n} execs of these processes are not shown"));
    }
    if stacked.events_left_out > 0 {
        let n = count(stacked.events_left_out);
        lines.push(format!("{n} kinds of events with few stacks are not shown"));
    }
    if tree.cut > 0 {
        let n = count(tree.cut);
        lines.push(format!(
            "{n} rare call paths end early, at [smaller paths]; their weight is counted"
        ));
    }
    if stacked.anonymous > 0 {
        let n = count(stacked.anonymous);
        lines.push(format!(
            "{n} rare call paths are shown without the process that they are of"
        ));
    }
    if strings.cut > 0 {
        let n = count(strings.cut);
        lines.push(format!("{n} long texts are cut, and say so at their end"));
    }
    lines
}
