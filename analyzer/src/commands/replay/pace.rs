//! Pauses between events.

use std::time::{Duration, Instant};

use crate::cli::Speed;

/// Pauses between events.
pub(super) struct Pace {
    speed: Speed,
    /// When the first event was printed, and when it happened.
    begin: Option<(Instant, i64)>,
}

impl Pace {
    pub(super) fn new(speed: Speed) -> Self {
        Self { speed, begin: None }
    }

    /// How long to wait for an event.
    pub(super) fn pause(&mut self, wall_us: i64) -> Option<Duration> {
        let Speed::Times(times) = self.speed else {
            return None;
        };
        let (started, first_us) = *self.begin.get_or_insert((Instant::now(), wall_us));
        let after = wall_us.saturating_sub(first_us).max(0) as f64 / 1e6 / times;
        let due = Duration::try_from_secs_f64(after).ok()?;
        due.checked_sub(started.elapsed()).filter(|p| !p.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_as_far_apart_as_the_speed_says() {
        let mut pace = Pace::new(Speed::Times(2.0));
        assert_eq!(pace.pause(1_000_000), None);
        let pause = pace.pause(61_000_000).unwrap();
        assert!(pause > Duration::from_secs(29) && pause <= Duration::from_secs(30));
        assert_eq!(Pace::new(Speed::Max).pause(5), None);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_pause() {
        let mut pace = Pace::new(Speed::Times(1.0));
        assert_eq!(pace.pause(i64::MAX), None);
        assert_eq!(pace.pause(i64::MIN), None);
    }
}
