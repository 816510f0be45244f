//! Makes a part small enough: fewer samples first, since those that are left
//! can stand for the others; then fewer old events, which nothing stands for.

use whence_schemas::manifest::Clock;
use whence_schemas::read::Batches;
use whence_schemas::{TABLES, TableDef, exec, exit, fork, frame, sample, stack, symbol};

use super::columns::Ints;
use super::copy::{Part, Plan};
use super::select::Selection;
use crate::recording::Recording;
use crate::render::text;
use crate::{Error, Result};

/// Beyond this, samples tell nothing any more and old events are cut.
const MAX_ONE_SAMPLE_OF: u64 = 1000;
/// How a sentence about events that were cut ends.
const TO_KEEP: &str = ", to keep to the size";

/// Times that are remembered, at most.
const MAX_TIMES: usize = 1 << 20;

/// When events were, in no order; of very many, every second, fourth and so on.
#[derive(Clone, Debug)]
pub struct Times {
    kept: Vec<i64>,
    one_of: u64,
    seen: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            one_of: 1,
            seen: 0,
        }
    }
}

impl Times {
    /// Adds the time of an event.
    pub fn add(&mut self, ts_ns: i64) {
        if self.seen.is_multiple_of(self.one_of) {
            if self.kept.len() == MAX_TIMES {
                let mut number = 0_u32;
                self.kept.retain(|_| {
                    number += 1;
                    !number.is_multiple_of(2)
                });
                self.one_of *= 2;
            }
            self.kept.push(ts_ns);
        }
        self.seen += 1;
    }

    /// The time after which this share of the events was, if any were.
    fn of_newest(&self, share: f64) -> Option<i64> {
        let mut times = self.kept.clone();
        times.sort_unstable();
        let newest = (times.len() as f64 * share) as usize;
        let first = times.len().saturating_sub(newest.max(1));
        times.get(first).copied()
    }

    /// The first of them, or nearly.
    fn first(&self) -> Option<i64> {
        self.kept.iter().min().copied()
    }
}

/// What a part takes, by what can be left out of it.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// Bytes of samples and of what names them.
    samples: u64,
    /// Bytes of all else.
    rest: u64,
    /// When its events were.
    times: Times,
}

/// Tables that samples are made of.
const OF_SAMPLES: [&TableDef; 4] = [&sample::DEF, &stack::DEF, &frame::DEF, &symbol::DEF];
/// Tables of events, each with the columns of their processes.
const EVENTS: [(&TableDef, &[&str]); 4] = [
    (&exec::DEF, &["ts_ns", "upid"]),
    (&fork::DEF, &["ts_ns", "parent_upid", "child_upid"]),
    (&exit::DEF, &["ts_ns", "upid"]),
    (&sample::DEF, &["ts_ns", "upid"]),
];

impl Sizes {
    /// Of a part that has been made.
    #[must_use]
    pub fn of(part: &Part) -> Self {
        let samples = part.bytes_of(&OF_SAMPLES);
        Self {
            samples,
            rest: part.bytes().saturating_sub(samples),
            times: part.times.clone(),
        }
    }

    /// Of one that has not, about: as many bytes of each table as there are rows
    /// to take of it, and of tables without events as of those with them.
    ///
    /// # Errors
    /// If a segment cannot be opened.
    pub fn expected(recording: &Recording, selection: &Selection) -> Result<Self> {
        let mut sizes = Self::default();
        let (mut rows, mut taken) = (0_u64, 0_u64);
        for (def, columns) in EVENTS {
            let (mut of_table, mut taken_of_table) = (0_u64, 0_u64);
            let mut bytes = 0;
            for segment in recording.segments_of(def) {
                bytes += segment.file.bytes;
                // What is damaged is told when it is copied.
                let batches = Batches::open(&segment.file.path, def, columns)?;
                for batch in batches.map_while(std::result::Result::ok) {
                    let times = Ints::of(&batch, "ts_ns");
                    let processes: Vec<Ints<'_>> = columns[1..]
                        .iter()
                        .map(|name| Ints::of(&batch, name))
                        .collect();
                    let is_taken = |ts_ns: i64, row: usize| {
                        selection.has_time(ts_ns)
                            && processes.iter().any(|of| selection.has_process(of.at(row)))
                    };
                    of_table += batch.num_rows() as u64;
                    for row in 0..batch.num_rows() {
                        if let Some(ts_ns) = times.at(row).filter(|ts_ns| is_taken(*ts_ns, row)) {
                            taken_of_table += 1;
                            sizes.times.add(ts_ns);
                        }
                    }
                }
            }
            let bytes = share(bytes, taken_of_table, of_table);
            match def.name == sample::DEF.name {
                true => sizes.samples += bytes,
                false => sizes.rest += bytes,
            }
            rows += of_table;
            taken += taken_of_table;
        }
        for def in TABLES {
            if EVENTS.iter().any(|(of, _)| of.name == def.name) {
                continue;
            }
            let bytes = recording.segments_of(def).map(|s| s.file.bytes).sum();
            let bytes = share(bytes, taken, rows);
            match OF_SAMPLES.iter().any(|of| of.name == def.name) {
                true => sizes.samples += bytes,
                false => sizes.rest += bytes,
            }
        }
        Ok(sizes)
    }

    /// Bytes of all tables.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.samples + self.rest
    }
}

fn share(bytes: u64, part: u64, whole: u64) -> u64 {
    (bytes as f64 * part as f64 / whole.max(1) as f64) as u64
}

/// A plan for less, since a part of these sizes takes more than `max_bytes` with
/// the `other_bytes` beside its tables. `clock` is that of the recording.
///
/// # Errors
/// [`Error::Limit`] if nothing is left to leave out.
pub fn smaller(
    plan: &Plan,
    sizes: &Sizes,
    other_bytes: u64,
    max_bytes: u64,
    clock: &Clock,
) -> Result<Plan> {
    let budget = max_bytes.saturating_sub(other_bytes) / 10 * 9;
    // What other events leave; a tenth, however many they are.
    let room = budget.saturating_sub(sizes.rest).max(budget / 10);
    // Of what other events have to leave, if they do not fit either.
    let kept = (budget - room) as f64 / sizes.rest.max(1) as f64;
    let samples = (sizes.samples as f64 * kept.min(1.0)) as u64;
    let mut smaller = plan.clone();
    let mut left = sizes.samples;
    if room > 0 && samples > room && plan.one_sample_of < MAX_ONE_SAMPLE_OF {
        let times = (samples / room + 1).max(2);
        smaller.one_sample_of = plan
            .one_sample_of
            .saturating_mul(times)
            .min(MAX_ONE_SAMPLE_OF);
        left /= smaller.one_sample_of / plan.one_sample_of;
        if sizes.rest + left <= budget {
            return Ok(smaller);
        }
    }
    let share = budget as f64 / (sizes.rest + left).max(1) as f64;
    match cut(&mut smaller, sizes, share, clock) {
        Err(_) if smaller.one_sample_of > plan.one_sample_of => Ok(smaller),
        cut => cut.map(|()| smaller),
    }
}

/// Keeps this share of the events, the newest.
fn cut(plan: &mut Plan, sizes: &Sizes, share: f64, clock: &Clock) -> Result<()> {
    let too_large = || {
        Error::Limit(
            "the bundle does not get small enough; raise --max-size, or choose less with \
             --since, --until, --pid or --match"
                .into(),
        )
    };
    let since_ns = sizes.times.of_newest(share).ok_or_else(too_large)?;
    let selection = &mut plan.selection;
    if since_ns <= selection.since_ns || sizes.times.first() == Some(since_ns) {
        return Err(too_large());
    }
    selection.since_ns = since_ns;
    let wall = text::time(clock.wall_us(since_ns));
    selection
        .left_out
        .retain(|sentence| !sentence.ends_with(TO_KEEP));
    selection
        .left_out
        .push(format!("events before {wall} UTC{TO_KEEP}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use whence_schemas::redact::Rules;

    use super::*;

    const MB: u64 = 1 << 20;

    fn plan() -> Plan {
        Plan {
            selection: Selection {
                since_ns: i64::MIN,
                until_ns: i64::MAX,
                chosen: None,
                left_out: Vec::new(),
            },
            one_sample_of: 1,
            rules: Rules::builtin(),
            note: None,
        }
    }

    fn of(samples: u64, rest: u64, plan: &Plan) -> Result<Plan> {
        let mut times = Times::default();
        (0..100_000).for_each(|ts_ns| times.add(ts_ns));
        let sizes = Sizes {
            samples,
            rest,
            times,
        };
        smaller(plan, &sizes, 0, 10 * MB, &Clock::default())
    }

    #[test]
    fn samples_are_thinned_to_what_other_events_leave() {
        let plan = of(45 * MB, 4 * MB, &plan()).unwrap();
        assert_eq!(
            (plan.one_sample_of, plan.selection.since_ns),
            (10, i64::MIN)
        );
        assert!(plan.selection.left_out.is_empty());
    }

    #[test]
    fn where_nothing_fits_old_events_go_and_samples_keep_a_tenth() {
        let plan = of(90 * MB, 90 * MB, &plan()).unwrap();
        // 8.1 MB of 90 MB are left of other events, and of samples as many before
        // they are thinned to 0.9 MB.
        assert_eq!(plan.one_sample_of, 10);
        let kept = 100_000 - plan.selection.since_ns;
        assert!((8_000..10_000).contains(&kept), "{kept}");
        assert_eq!(plan.selection.left_out.len(), 1);
    }

    #[test]
    fn what_cannot_get_smaller_says_so() {
        let mut all_gone = plan();
        all_gone.one_sample_of = MAX_ONE_SAMPLE_OF;
        all_gone.selection.since_ns = 99_999;
        assert!(of(MB, 90 * MB, &all_gone).is_err());
    }
}
