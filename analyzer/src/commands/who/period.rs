//! How regularly something happens.
//!
//! A job often runs a program several times at once and then not for a while.
//! The median of all intervals would then be that within a burst, which is
//! nobody's period. So where intervals fall into short and long ones far apart,
//! runs with short intervals between them count as one.

/// How much longer than short intervals long ones must be.
const FAR_APART: i64 = 10;
/// Runs that make a period.
const LEAST_RUNS: usize = 3;

/// The rhythm of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    /// Median time from one burst to the next, nanoseconds.
    pub(super) every_ns: i64,
    /// Median distance of these times from it.
    pub(super) spread_ns: i64,
    /// Median number of runs in a burst.
    pub(super) at_once: usize,
}

/// The rhythm of runs at these times, in order; `None` for fewer than three
/// bursts.
pub(super) fn period(times: &[i64]) -> Option<Period> {
    let gaps: Vec<i64> = times
        .windows(2)
        .map(|w| w[1].saturating_sub(w[0]))
        .collect();
    let longest_short = split(&gaps);
    let mut starts = Vec::new();
    let mut sizes: Vec<i64> = Vec::new();
    for (i, time) in times.iter().enumerate() {
        let within = i > 0 && longest_short.is_some_and(|longest| gaps[i - 1] <= longest);
        match (within, sizes.last_mut()) {
            (true, Some(size)) => *size += 1,
            _ => {
                starts.push(*time);
                sizes.push(1);
            }
        }
    }
    if starts.len() < LEAST_RUNS {
        return None;
    }
    let mut between: Vec<i64> = starts
        .windows(2)
        .map(|w| w[1].saturating_sub(w[0]))
        .collect();
    let every_ns = median(&mut between);
    let mut apart: Vec<i64> = between
        .iter()
        .map(|gap| gap.saturating_sub(every_ns).saturating_abs())
        .collect();
    Some(Period {
        every_ns,
        spread_ns: median(&mut apart),
        at_once: usize::try_from(median(&mut sizes)).unwrap_or(1),
    })
}

/// The longest of the short intervals, if there are short and long ones.
fn split(gaps: &[i64]) -> Option<i64> {
    let mut sorted: Vec<i64> = gaps.iter().map(|gap| (*gap).max(1)).collect();
    sorted.sort_unstable();
    let (at, ratio) = sorted
        .windows(2)
        .enumerate()
        .map(|(i, w)| (i, w[1] / w[0]))
        .max_by_key(|(_, ratio)| *ratio)?;
    (ratio >= FAR_APART && sorted.len() - at > LEAST_RUNS - 1).then(|| sorted[at])
}

fn median(values: &mut [i64]) -> i64 {
    values.sort_unstable();
    match values.len() {
        0 => 0,
        n if n % 2 == 1 => values[n / 2],
        n => values[n / 2 - 1].midpoint(values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn a_regular_job_has_its_period_and_no_spread() {
        let period = period(&[0, S, 2 * S, 3 * S]).unwrap();
        assert_eq!(
            (period.every_ns, period.spread_ns, period.at_once),
            (S, 0, 1)
        );
    }

    #[test]
    fn two_runs_have_no_period() {
        assert_eq!(period(&[0, S]), None);
        assert_eq!(period(&[]), None);
    }

    /// Four programs in each round of a script are one job, not one every few
    /// milliseconds.
    #[test]
    fn runs_at_once_count_as_one() {
        let times: Vec<i64> = (0..5)
            .flat_map(|round| [0, 5, 9, 14].map(|ms| round * 60 * S + ms * 1_000_000))
            .collect();
        let period = period(&times).unwrap();
        assert_eq!(period.every_ns, 60 * S);
        assert_eq!(period.at_once, 4);
    }

    #[test]
    fn one_pause_in_a_steady_stream_is_not_a_period() {
        let mut times: Vec<i64> = (0..10).map(|i| i * S).collect();
        times.extend((0..10).map(|i| 1_000 * S + i * S));
        assert_eq!(period(&times).unwrap().every_ns, S);
    }
}
