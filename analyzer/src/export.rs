//! Writes recordings in the formats of viewers that people already use.
//!
//! Two kinds of them: sums by call path (`folded`, `speedscope`,
//! `pprof`), whose size depends on how many different paths there are, and
//! time lines (`perfetto`, `firefox`), which are written as the events are
//! read. Names in them are those that every answer prints ([`frames`]), made
//! printable: a viewer is no place for control characters either.
//!
//! The idle task is left out, as in `whence top`: it is no use of a CPU.

mod events;
mod filter;
mod firefox;
mod folded;
pub mod frames;
mod perfetto;
mod pprof;
mod speedscope;

use std::io::Write;

use clap::ValueEnum;

use crate::loss::Completeness;
use crate::paths;
use crate::recording::{Boot, Recordings};
use crate::session::Session;
use crate::{Error, Result};
pub use filter::{Filter, Span};
use frames::Frames;

/// Where bytes go.
pub type Out<'a> = &'a mut (dyn Write + Send);

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// A trace for ui.perfetto.dev: processes, programs, samples of all events, loss
    Perfetto,
    /// A profile for `pprof`, gzipped
    Pprof,
    /// JSON for speedscope.app
    Speedscope,
    /// JSON for profiler.firefox.com
    Firefox,
    /// Lines `process;function;function weight`, as flame graph tools read them
    Folded,
}

impl Target {
    /// Whether a terminal cannot show it.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Perfetto | Self::Pprof)
    }

    /// Whether it is made of one kind of event.
    #[must_use]
    pub fn needs_event(self) -> bool {
        self != Self::Perfetto
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Stack events.
    pub samples: i64,
    /// Processes, where the format has them.
    pub processes: Option<i64>,
}

/// Writes what the filter lets through.
///
/// # Errors
/// [`Error::Usage`] for a time line of several boots; [`Error::Write`]; what
/// reading gives.
pub async fn write(
    session: &Session,
    target: Target,
    filter: &Filter,
    out: Out<'_>,
) -> Result<Written> {
    let frames = Frames::load(session).await?;
    match target {
        Target::Perfetto => {
            let boot = one_boot(&session.recordings)?;
            return perfetto::write(session, &boot, filter, &frames, out).await;
        }
        Target::Firefox => {
            let boot = one_boot(&session.recordings)?;
            return firefox::write(session, &boot, filter, &frames, out).await;
        }
        Target::Pprof | Target::Speedscope | Target::Folded => {}
    }
    let rows = events::added_up(session, filter).await?;
    let about = About::of(session, filter);
    match target {
        Target::Pprof => pprof::write(&rows, &frames, &about, out)?,
        Target::Speedscope => speedscope::write(&rows, &frames, &about, out)?,
        _ => folded::write(&rows, &frames, out)?,
    }
    Ok(Written {
        samples: paths::add_up(rows.iter().map(|row| row.samples)),
        processes: None,
    })
}

/// What a profile says of itself.
struct About {
    /// The kind of event.
    event: String,
    /// Names of the hosts.
    hosts: String,
    /// Begin of the first recording, nanoseconds since 1970.
    begin_ns: i64,
    /// How long was recorded, all recordings together.
    duration_ns: i64,
    /// What was lost, one thing a line.
    losses: Vec<String>,
}

impl About {
    fn of(session: &Session, filter: &Filter) -> Self {
        let recordings = &session.recordings;
        let mut hosts: Vec<String> = recordings.boots().into_iter().map(|b| b.host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let begins = recordings.all.iter().map(|r| r.manifest.clock.real_ns);
        let ranges = recordings.all.iter().map(|r| r.range_ns());
        Self {
            event: filter.event.clone().unwrap_or_default(),
            hosts: hosts.join(", "),
            begin_ns: begins.min().unwrap_or(0),
            duration_ns: ranges
                .map(|(from, to)| to.saturating_sub(from))
                .fold(0, i64::saturating_add),
            losses: Completeness::of(recordings).lines(),
        }
    }

    /// Unit of the weights of the event.
    fn unit(&self) -> &'static str {
        match self.event.as_str() {
            "cpu-clock" => "nanoseconds",
            _ => "count",
        }
    }
}

/// The boot of a time line. Pids and times of another would fall on the same
/// places.
fn one_boot(recordings: &Recordings) -> Result<Boot> {
    let mut boots = recordings.boots();
    match (boots.pop(), boots.len()) {
        (Some(boot), 0) => Ok(boot),
        (_, others) => Err(Error::Usage(format!(
            "a time line is of one boot of one host, and these recordings are of {}; \
             name one with -i",
            others + 1
        ))),
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::Write {
        object: "the export".into(),
        source,
    }
}

fn failed_json(e: serde_json::Error) -> Error {
    failed(e.into())
}
