//! Times as people give them.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::recording::{Boot, Recordings};
use crate::{Error, Result};

/// A time that the user gave, in nanoseconds of CLOCK_BOOTTIME. A time of day is
/// that of the day on which the recording began.
///
/// # Errors
/// [`Error::Usage`] if it is none.
pub fn instant(text: &str, recordings: &Recordings, boot: &Boot) -> Result<i64> {
    let first = boot.recordings.first().map(|at| &recordings.all[*at]);
    let clock = first.map_or(boot.clock, |recording| recording.manifest.clock);
    let bad = || {
        Error::Usage(format!(
            "{text:?} is no time; give HH:MM:SS or 2026-01-31T13:16:29Z"
        ))
    };
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => {
            let time: Time = text.parse().map_err(|_| bad())?;
            let day = Timestamp::from_nanosecond(i128::from(clock.real_ns)).map_err(|_| bad())?;
            let day = day.to_zoned(TimeZone::UTC).date();
            let zoned = day.to_datetime(time).to_zoned(TimeZone::UTC);
            zoned.map_err(|_| bad())?.timestamp()
        }
    };
    let ns = time.as_nanosecond() - i128::from(clock.real_ns) + i128::from(clock.boot_ns);
    i64::try_from(ns).map_err(|_| bad())
}
