//! How much work the recorder makes for itself, against a budget of CPU time: CPU
//! samples and copies of stack memory come less often while it uses more than that,
//! or cannot keep up, and as often as they were asked for when it is calm again.
//!
//! Decides only. Process life and probes are not slowed down: they are exact.

/// What is done by how much less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The time between CPU samples is this many times what was asked for. Each has
    /// the weight of as many.
    pub factor: u64,
    /// Of eight pieces of stack memory that are allowed, so many are copied.
    pub eighths: u32,
}

/// The steps, from what was asked for to what is always left.
const STEPS: [Step; 6] = [
    step(1, 8),
    step(1, 2),
    step(2, 1),
    step(4, 0),
    step(8, 0),
    step(16, 0),
];
/// Intervals over the budget before a step down: a burst is none.
const OVER: u32 = 3;
/// Calm intervals before a step up.
const CALM: u32 = 10;
/// Below this share of the budget, in percent, it is calm.
const CALM_SHARE: u64 = 60;

const fn step(factor: u64, eighths: u32) -> Step {
    Step { factor, eighths }
}

/// What an interval has cost.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time of the recorder in nanoseconds.
    pub cpu_ns: u64,
    /// Length of the interval in nanoseconds.
    pub wall_ns: u64,
    /// Whether stacks were lost since the rings were not read fast enough.
    pub behind: bool,
}

/// Where the recorder stands.
#[derive(Debug)]
pub struct Pace {
    /// Most CPU time, in percent of one CPU.
    max_percent: u32,
    at: usize,
    over: u32,
    calm: u32,
}

impl Pace {
    /// At what was asked for. The budget is in percent of one CPU.
    #[must_use]
    pub fn new(max_percent: u32) -> Self {
        Self {
            max_percent,
            at: 0,
            over: 0,
            calm: 0,
        }
    }

    /// The present step.
    #[must_use]
    pub fn step(&self) -> Step {
        STEPS[self.at]
    }

    /// Takes an interval; gives the step that is to be taken now, if it is another.
    pub fn take(&mut self, usage: Usage) -> Option<Step> {
        let budget = usage.wall_ns.saturating_mul(self.max_percent.into()) / 100;
        let over = usage.behind || usage.cpu_ns > budget;
        let calm = !usage.behind && usage.cpu_ns < budget.saturating_mul(CALM_SHARE) / 100;
        self.over = if over { self.over + 1 } else { 0 };
        self.calm = if calm { self.calm + 1 } else { 0 };
        if self.over >= OVER && self.at + 1 < STEPS.len() {
            self.at += 1;
        } else if self.calm >= CALM && self.at > 0 {
            self.at -= 1;
        } else {
            return None;
        }
        (self.over, self.calm) = (0, 0);
        Some(self.step())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(pace: &mut Pace, percent: u64, behind: bool) -> Option<Step> {
        pace.take(Usage {
            cpu_ns: percent * 10_000_000,
            wall_ns: 1_000_000_000,
            behind,
        })
    }

    #[test]
    fn a_burst_changes_nothing_and_what_lasts_does() {
        let mut pace = Pace::new(50);
        assert_eq!(take(&mut pace, 90, false), None);
        assert_eq!(take(&mut pace, 90, false), None);
        assert_eq!(take(&mut pace, 10, false), None);
        assert_eq!(take(&mut pace, 90, false), None);
        assert_eq!(take(&mut pace, 90, false), None);
        assert_eq!(take(&mut pace, 90, false), Some(STEPS[1]));
    }

    #[test]
    fn who_cannot_keep_up_slows_down_whatever_it_uses() {
        let mut pace = Pace::new(50);
        for _ in 0..2 {
            assert_eq!(take(&mut pace, 1, true), None);
        }
        assert_eq!(take(&mut pace, 1, true), Some(STEPS[1]));
    }

    #[test]
    fn it_goes_to_the_last_step_and_all_the_way_back() {
        let mut pace = Pace::new(50);
        for _ in 0..100 {
            take(&mut pace, 90, false);
        }
        assert_eq!(pace.step(), STEPS[5]);
        // Neither over nor calm: it stays.
        for _ in 0..100 {
            assert_eq!(take(&mut pace, 40, false), None);
        }
        for _ in 0..100 {
            take(&mut pace, 10, false);
        }
        assert_eq!(pace.step(), STEPS[0]);
    }
}
