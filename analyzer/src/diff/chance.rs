//! Tells a difference from chance.

/// Standard errors beyond which a difference is not taken for chance. Among a
/// thousand values that did not change, about three are beyond it.
const DEVIATIONS: f64 = 3.0;
/// A rate must grow or fall by this factor to matter.
const FACTOR: f64 = 1.25;
/// A share must grow or fall by this much of the whole to matter.
const POINTS: f64 = 0.005;

/// How often something was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// How often.
    pub count: i64,
    /// Of how many, or in how many seconds.
    pub of: f64,
    is_share: bool,
}

impl Seen {
    /// A count in a time.
    #[must_use]
    pub const fn rate(count: i64, seconds: f64) -> Self {
        Self {
            count,
            of: seconds,
            is_share: false,
        }
    }

    /// A count among others.
    #[must_use]
    pub const fn share(count: i64, of: i64) -> Self {
        Self {
            count,
            of: of as f64,
            is_share: true,
        }
    }

    /// Events per second, or the part of the whole, from 0 to 1.
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.of > 0.0 {
            self.count as f64 / self.of
        } else {
            0.0
        }
    }
}

/// How many standard errors two values are apart, as if nothing had changed.
///
/// Counts in a time are taken for those of independent events: of all that both
/// saw, the second one's part would be its part of the time. Shares are compared
/// as two proportions.
#[must_use]
pub fn deviation([a, b]: [Seen; 2]) -> f64 {
    if a.of <= 0.0 || b.of <= 0.0 {
        return 0.0;
    }
    let all = (a.count.saturating_add(b.count)) as f64;
    let (difference, variance) = if a.is_share {
        let p = all / (a.of + b.of);
        let variance = p * (1.0 - p) * (1.0 / a.of + 1.0 / b.of);
        (b.value() - a.value(), variance)
    } else {
        let p = b.of / (a.of + b.of);
        (b.count as f64 - all * p, all * p * (1.0 - p))
    };
    if variance > 0.0 {
        difference / variance.sqrt()
    } else {
        0.0
    }
}

/// Whether a difference is more than chance, and large enough to matter.
#[must_use]
pub fn is_notable([a, b]: [Seen; 2], deviation: f64) -> bool {
    let (x, y) = (a.value(), b.value());
    let matters = match a.is_share {
        true => (x - y).abs() >= POINTS,
        false => x.max(y) >= x.min(y) * FACTOR,
    };
    matters && deviation.abs() >= DEVIATIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notable(seen: [Seen; 2]) -> bool {
        is_notable(seen, deviation(seen))
    }

    #[test]
    fn a_longer_recording_is_no_higher_rate() {
        let same = [Seen::rate(60, 60.0), Seen::rate(600, 600.0)];
        assert!(deviation(same).abs() < 1e-9);
        let doubled = [Seen::rate(60, 60.0), Seen::rate(1_200, 600.0)];
        assert!(deviation(doubled) > 3.0);
        assert!(notable(doubled));
    }

    #[test]
    fn small_numbers_tell_nothing() {
        assert!(!notable([Seen::rate(1, 10.0), Seen::rate(4, 10.0)]));
        assert!(!notable([Seen::rate(0, 10.0), Seen::rate(2, 10.0)]));
        assert!(notable([Seen::rate(0, 10.0), Seen::rate(20, 10.0)]));
    }

    #[test]
    fn a_difference_that_is_certain_but_tiny_is_left_out() {
        let tiny = [
            Seen::share(500_000, 1_000_000),
            Seen::share(503_000, 1_000_000),
        ];
        assert!(deviation(tiny) > 3.0);
        assert!(!notable(tiny));
        let large = [
            Seen::share(500_000, 1_000_000),
            Seen::share(400_000, 1_000_000),
        ];
        assert!(deviation(large) < -3.0);
        assert!(notable(large));
    }

    #[test]
    fn what_was_never_or_always_there_is_no_difference() {
        for share in [[0, 0], [7, 7]] {
            let seen = share.map(|count| Seen::share(count, 7));
            assert!(deviation(seen).abs() < 1e-9);
        }
        assert!(deviation([Seen::rate(3, 0.0), Seen::rate(3, 1.0)]).abs() < 1e-9);
    }
}
