//! Holds back the bulky streams, samples, probes and waits, while there is no room
//! for them: process life goes on. What is held back is counted as lost, with the
//! cause.

use std::collections::BTreeMap;

use crate::loss::STREAMS;

/// Cause of what is held back for lack of memory.
pub const MEMORY: &str = "memory limit";
/// Streams that are held back when room is scarce.
const BULKY: [&str; 3] = ["sample", "probe", "off-cpu"];

/// Lets events through, or counts them.
#[derive(Debug, Default)]
pub struct Valve {
    cause: Option<&'static str>,
    withheld: BTreeMap<(usize, &'static str), u64>,
    totals: [u64; STREAMS.len()],
}

impl Valve {
    /// Holds back the bulky streams, for this cause.
    pub fn close(&mut self, cause: &'static str) {
        self.cause = Some(cause);
    }

    /// Lets everything through again.
    pub fn open(&mut self) {
        self.cause = None;
    }

    /// Why they are held back, if they are.
    #[must_use]
    pub fn cause(&self) -> Option<&'static str> {
        self.cause
    }

    /// Whether an event of that stream is held back; it is counted then.
    pub fn withholds(&mut self, stream: usize) -> bool {
        let Some(cause) = self.cause else {
            return false;
        };
        let bulky = BULKY.contains(&STREAMS[stream].1);
        if bulky {
            self.withhold(stream, cause, 1);
        }
        bulky
    }

    /// Counts events of a stream that are not kept.
    pub fn withhold(&mut self, stream: usize, cause: &'static str, count: u64) {
        *self.withheld.entry((stream, cause)).or_default() += count;
        self.totals[stream] += count;
    }

    /// Number of the stream, cause and count of what was held back since this
    /// was asked last.
    pub fn take(&mut self) -> impl Iterator<Item = (usize, &'static str, u64)> {
        std::mem::take(&mut self.withheld)
            .into_iter()
            .map(|((stream, cause), count)| (stream, cause, count))
    }

    /// What was ever held back, by stream.
    #[must_use]
    pub fn totals(&self) -> [u64; STREAMS.len()] {
        self.totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_life_passes_and_the_rest_is_counted() {
        let index = |name| STREAMS.iter().position(|(_, n)| *n == name).unwrap();
        let (exec, sample) = (index("exec"), index("sample"));
        let mut valve = Valve::default();
        assert!(!valve.withholds(sample));
        valve.close("disk full");
        assert!(valve.withholds(sample) && valve.withholds(sample));
        assert!(!valve.withholds(exec));
        assert_eq!(valve.take().collect::<Vec<_>>(), [(sample, "disk full", 2)]);
        assert_eq!(valve.take().count(), 0);
        assert_eq!(valve.totals()[sample], 2);
        valve.open();
        assert!(!valve.withholds(sample));
    }
}
