//! Makes a part small enough: fewer samples first, since those that are left
//! can stand for the others; then fewer old events, which nothing stands for.

use whence_schemas::{frame, sample, stack, symbol};

use super::copy::{Part, Plan};
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

/// A plan for less, since `part` takes more than `max_bytes` with the
/// `other_bytes` beside its tables.
///
/// # Errors
/// [`Error::Limit`] if nothing is left to leave out.
pub fn smaller(plan: &Plan, part: &Part, other_bytes: u64, max_bytes: u64) -> Result<Plan> {
    let budget = max_bytes.saturating_sub(other_bytes) / 10 * 9;
    let of_samples = part.bytes_of(&[&sample::DEF, &stack::DEF, &frame::DEF, &symbol::DEF]);
    let rest = part.bytes().saturating_sub(of_samples);
    // What other events leave; a tenth, however many they are.
    let room = budget.saturating_sub(rest).max(budget / 10);
    let mut plan = plan.clone();
    if room > 0 && of_samples > room && plan.one_sample_of < MAX_ONE_SAMPLE_OF {
        plan.one_sample_of = plan
            .one_sample_of
            .saturating_mul((of_samples / room + 1).max(2))
            .min(MAX_ONE_SAMPLE_OF);
        return Ok(plan);
    }
    cut(&mut plan, part, budget)?;
    Ok(plan)
}

/// Cuts the oldest events, by the share of bytes that is too much.
fn cut(plan: &mut Plan, part: &Part, budget: u64) -> Result<()> {
    let too_large = || {
        Error::Limit(
            "the bundle does not get small enough; raise --max-size, or choose less with \
             --since, --until, --pid or --match"
                .into(),
        )
    };
    let share = budget as f64 / part.bytes().max(1) as f64;
    let since_ns = part.times.of_newest(share).ok_or_else(too_large)?;
    let selection = &mut plan.selection;
    if since_ns <= selection.since_ns || part.times.first() == Some(since_ns) {
        return Err(too_large());
    }
    selection.since_ns = since_ns;
    let wall = text::time(part.manifest.clock.wall_us(since_ns));
    selection
        .left_out
        .retain(|sentence| !sentence.ends_with(TO_KEEP));
    selection
        .left_out
        .push(format!("events before {wall} UTC{TO_KEEP}"));
    Ok(())
}
