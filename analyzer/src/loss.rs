//! What an answer cannot know: events that were lost, recordings that were cut
//! off, segments that are damaged. Every answer prints this, above it for
//! people, on the standard error beside it for machines.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use whence_schemas::line::time_of_day;
use whence_schemas::lock::Lock;
use whence_schemas::loss;
use whence_schemas::quote::printable;
use whence_schemas::read::Batches;

use crate::recording::{Recording, Recordings};

/// Kinds of loss that are named one by one.
const NAMED: usize = 6;

/// Events of one stream lost for one cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub count: i64,
    /// When the first interval began, microseconds since 1970.
    pub from_us: i64,
    /// When the last interval ended.
    pub to_us: i64,
}

/// Everything that an answer from these recordings must say of itself.
#[derive(Clone, Debug, Default)]
pub struct Completeness {
    /// By stream and cause.
    pub lost: BTreeMap<(String, String), Lost>,
    /// Warnings, one a line.
    pub warnings: Vec<String>,
}

impl Completeness {
    /// Reads it from the recordings.
    #[must_use]
    pub fn of(recordings: &Recordings) -> Self {
        let mut this = Self::default();
        for reason in recordings.unreadable.iter() {
            this.warnings.push(format!(
                "damaged: {}; all of this recording is missing",
                printable(reason)
            ));
        }
        for recording in recordings.all.iter() {
            this.add(recording);
        }
        this
    }

    fn add(&mut self, recording: &Recording) {
        let name = recording.name();
        if recording.cut_off() {
            let name = printable(&name);
            self.warnings.push(match Lock::is_held(&recording.dir) {
                true => format!(
                    "still recording: {name}; events after the last segment are missing as yet"
                ),
                false => format!(
                    "cut off: {name} was not finished: its recorder was killed; events after \
                     the last segment are missing; `whence recover` makes it whole"
                ),
            });
        }
        for gap in &recording.manifest.gaps {
            let clock = recording.manifest.clock;
            let time = |ns| time_of_day(clock.wall_us(ns));
            self.warnings.push(format!(
                "missing: all events between {} and {}: {}",
                time(gap.from_ns),
                time(gap.to_ns),
                printable(&gap.reason)
            ));
        }
        for missing in &recording.manifest.missing {
            self.warnings
                .push(format!("missing: {}", printable(missing)));
        }
        if let Some(bundle) = &recording.manifest.bundle {
            for sentence in &bundle.left_out {
                self.warnings.push(format!(
                    "left out of {}: {}",
                    printable(&name),
                    printable(sentence)
                ));
            }
        }
        for finding in &recording.findings {
            self.warnings.push(format!(
                "damaged: {}; its rows are missing",
                printable(&finding.to_string())
            ));
        }
        for segment in recording.segments_of(&loss::DEF) {
            let columns = ["stream", "cause", "t0_ns", "t1_ns", "count"];
            let rows = Batches::open(&segment.file.path, &loss::DEF, &columns)
                .and_then(|batches| batches.collect::<Result<Vec<_>, _>>());
            match rows {
                Ok(batches) => {
                    for batch in &batches {
                        self.add_rows(recording, batch);
                    }
                }
                Err(e) => self.warnings.push(format!(
                    "damaged: {}; what was lost is not known",
                    printable(&e.to_string())
                )),
            }
        }
    }

    fn add_rows(&mut self, recording: &Recording, batch: &RecordBatch) {
        let text = |i: usize| batch.column(i).as_string::<i32>();
        let int = |i: usize| batch.column(i).as_primitive::<Int64Type>();
        let clock = recording.manifest.clock;
        for row in 0..batch.num_rows() {
            let count = int(4).value(row);
            if count <= 0 || text(0).is_null(row) {
                continue;
            }
            let key = (text(0).value(row).to_owned(), text(1).value(row).to_owned());
            let from_us = clock.wall_us(int(2).value(row));
            let to_us = clock.wall_us(int(3).value(row));
            let lost = self.lost.entry(key).or_insert(Lost {
                count: 0,
                from_us,
                to_us,
            });
            lost.count = lost.count.saturating_add(count);
            lost.from_us = lost.from_us.min(from_us);
            lost.to_us = lost.to_us.max(to_us);
        }
    }

    /// Whether nothing is known to be missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty() && self.warnings.is_empty()
    }

    /// One line for each thing that is missing, or one that says that nothing
    /// is.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        if self.is_complete() {
            return vec!["complete: nothing was lost".into()];
        }
        let mut kinds: Vec<_> = self.lost.iter().collect();
        kinds.sort_by_key(|(key, lost)| (std::cmp::Reverse(lost.count), (*key).clone()));
        let mut lines = self.warnings.clone();
        for ((stream, cause), lost) in kinds.iter().take(NAMED) {
            let (from, to) = (time_of_day(lost.from_us), time_of_day(lost.to_us));
            let when = match from == to {
                true => format!("at {from}"),
                false => format!("between {from} and {to}"),
            };
            let effect = match cause.as_str() {
                "cpu limit" => "others have their weight",
                _ => "their rows are missing",
            };
            lines.push(format!(
                "lost: {} {} events {when} ({}): {effect}",
                crate::render::text::count(lost.count),
                printable(stream),
                printable(cause),
            ));
        }
        if kinds.len() > NAMED {
            lines.push(format!(
                "lost: {} more kinds of events; `whence query loss` lists them",
                kinds.len() - NAMED
            ));
        }
        lines
    }
}
