//! Buckets of time, and one clock told in the other.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use datafusion::common::cast::as_string_array;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{Signature, TypeSignature, Volatility};
use whence_schemas::manifest::Clock;

use crate::functions::Shared;

/// Wall-clock times as tables have them.
pub(super) fn wall_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

pub(super) fn bucket_signature() -> Signature {
    let exact = |of| TypeSignature::Exact(vec![DataType::Utf8, of]);
    Signature::one_of(
        vec![exact(wall_type()), exact(DataType::Int64)],
        Volatility::Stable,
    )
}

pub(super) fn bucket_type(types: &[DataType]) -> DataType {
    types.get(1).cloned().unwrap_or(DataType::Int64)
}

pub(super) fn boot_ns_signature() -> Signature {
    let time = || wall_type();
    let of = vec![
        TypeSignature::Exact(vec![time()]),
        TypeSignature::Exact(vec![time(), DataType::Utf8]),
    ];
    Signature::one_of(of, Volatility::Stable)
}

/// `time_bucket(width, time)`: begin of the bucket that a time is in. The width
/// is a text such as `10s`; the time is a timestamp, or nanoseconds.
pub(super) fn time_bucket(_: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    let widths = as_string_array(&args[0])?;
    let mut known: HashMap<&str, i64> = HashMap::new();
    let mut width_ns = |row: usize| {
        let text = widths.value(row);
        if let Some(ns) = known.get(text) {
            return Ok(*ns);
        }
        let Some(ns) = parse_width(text) else {
            return exec_err!(
                "{text:?} is no width of time; give one such as 500ms, 10s, 5m or 1h"
            );
        };
        known.insert(text, ns);
        Ok(ns)
    };
    let is_time = matches!(args[1].data_type(), DataType::Timestamp(..));
    let times = cast(&args[1], &DataType::Int64)?;
    let times = times.as_primitive::<Int64Type>();
    let mut begins = Vec::with_capacity(times.len());
    for row in 0..times.len() {
        if times.is_null(row) || widths.is_null(row) {
            begins.push(None);
            continue;
        }
        let width = match is_time {
            true => (width_ns(row)? / 1_000).max(1),
            false => width_ns(row)?,
        };
        let time = times.value(row);
        begins.push(time.checked_sub(time.rem_euclid(width)));
    }
    let begins = Int64Array::from(begins);
    Ok(cast(&begins, args[1].data_type())?)
}

/// Nanoseconds of a text such as `10s`; `None` if it is none.
fn parse_width(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: i64 = match text[digits.len()..].trim() {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" | "sec" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        _ => return None,
    };
    let number: i64 = digits.parse().ok()?;
    number.checked_mul(unit).filter(|ns| *ns > 0)
}

/// `wall_time(boot_id, ts_ns)`: the wall-clock time of an instant of
/// CLOCK_BOOTTIME; NULL for a boot of which there is no recording.
pub(super) fn wall_time(shared: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    let clocks = clocks(shared);
    let boots = as_string_array(&args[0])?;
    let times = args[1].as_primitive::<Int64Type>();
    let rows = boots.iter().zip(times.iter());
    let walls: TimestampMicrosecondArray = rows
        .map(|(boot, ts_ns)| Some(clocks.get(boot?)?.wall_us(ts_ns?)))
        .collect();
    Ok(Arc::new(walls.with_timezone("UTC")))
}

/// `boot_ns(time [, boot_id])`: the instant of CLOCK_BOOTTIME at a wall-clock
/// time. The boot may be left out where the recordings are of one.
pub(super) fn boot_ns(shared: &Shared, args: &[ArrayRef]) -> Result<ArrayRef> {
    let clocks = clocks(shared);
    let times = args[0].as_primitive::<TimestampMicrosecondType>();
    let instant = |clock: &Clock, wall_us: i64| {
        let since = wall_us.checked_mul(1_000)?.checked_sub(clock.real_ns)?;
        since.checked_add(clock.boot_ns)
    };
    let instants: Int64Array = match args.get(1) {
        Some(boots) => {
            let rows = as_string_array(boots)?.iter().zip(times.iter());
            rows.map(|(boot, time)| instant(clocks.get(boot?)?, time?))
                .collect()
        }
        None => {
            let mut all = clocks.values();
            let (Some(clock), None) = (all.next(), all.next()) else {
                return exec_err!(
                    "boot_ns(time) needs to know which boot: the recordings are of {}; \
                     give boot_ns(time, boot_id)",
                    clocks.len()
                );
            };
            times.iter().map(|time| instant(clock, time?)).collect()
        }
    };
    Ok(Arc::new(instants))
}

/// The clock of each boot.
fn clocks(shared: &Shared) -> HashMap<String, Clock> {
    let boots = shared.recordings.boots().into_iter();
    boots.map(|boot| (boot.boot_id, boot.clock)).collect()
}

#[cfg(test)]
mod tests {
    use super::parse_width;

    #[test]
    fn widths_are_read_as_people_write_them() {
        for (text, ns) in [
            ("500ms", Some(500_000_000)),
            ("10 s", Some(10_000_000_000)),
            ("1h", Some(3_600_000_000_000)),
            ("0s", None),
            ("-1s", None),
            ("s", None),
            ("1.5s", None),
            ("9999999999999d", None),
            ("10 parsecs", None),
        ] {
            assert_eq!(parse_width(text), ns, "{text}");
        }
    }
}
