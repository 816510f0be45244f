//! Makes a part small enough: fewer samples first, since those that are left
//! can stand for the others; then fewer old events, which nothing stands for.

use whence_schemas::{frame, mapping, sample, stack, symbol};

use super::copy::{Part, Plan};
use crate::render::text;
use crate::{Error, Result};

/// Beyond this, samples tell nothing any more and old events are cut.
const MAX_ONE_SAMPLE_OF: u64 = 1000;
/// How a sentence about events that were cut ends.
const TO_KEEP: &str = ", to keep to the size";

/// A plan for less, since `part` takes more than `max_bytes` with the
/// `other_bytes` that do not depend on it.
///
/// # Errors
/// [`Error::Limit`] if nothing is left to leave out.
pub fn smaller(plan: &Plan, part: &Part, other_bytes: u64, max_bytes: u64) -> Result<Plan> {
    let budget = max_bytes.saturating_sub(other_bytes);
    let of_samples = part.bytes_of(&[
        &sample::DEF,
        &stack::DEF,
        &frame::DEF,
        &symbol::DEF,
        &mapping::DEF,
    ]);
    let rest = part.bytes().saturating_sub(of_samples);
    let room = (budget / 10 * 9).saturating_sub(rest);
    let mut plan = plan.clone();
    if room > 0 && plan.one_sample_of < MAX_ONE_SAMPLE_OF {
        let factor = (of_samples / room + 1).max(2);
        plan.one_sample_of = plan
            .one_sample_of
            .saturating_mul(factor)
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
    let mut times = part.times.clone();
    times.sort_unstable();
    let share = budget as f64 * 0.9 / part.bytes().max(1) as f64;
    let kept = (times.len() as f64 * share) as usize;
    let first = times.len().saturating_sub(kept.max(1));
    let since_ns = *times.get(first).ok_or_else(too_large)?;
    let selection = &mut plan.selection;
    if since_ns <= selection.since_ns || times.first().is_some_and(|t| *t == since_ns) {
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
