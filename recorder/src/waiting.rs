//! Samples that wait until it is known which code their process had mapped.
//!
//! A process that lives a few milliseconds has gone when its samples are read.
//! It tells its mappings when it ends or executes another program, which comes
//! after the samples on the ring. They wait for that, as records, for a moment
//! at most.

use std::collections::VecDeque;

use hashbrown::HashMap;

/// How long a sample waits: beyond it, what it waits for was lost.
const MOST_NS: i64 = 1_000_000_000;
/// Bytes of all that wait, at most.
const MOST_BYTES: usize = 8 << 20;

/// Records that wait, by process.
#[derive(Debug, Default)]
pub struct Waiting {
    records: HashMap<i64, Vec<Vec<u8>>>,
    /// Processes with when the first record of each came, oldest first.
    since: VecDeque<(i64, i64)>,
    bytes: usize,
}

impl Waiting {
    /// Lets a record wait; `false` if there is no room.
    pub fn add(&mut self, upid: i64, ts_ns: i64, record: &[u8]) -> bool {
        if self.bytes + record.len() > MOST_BYTES {
            return false;
        }
        self.bytes += record.len();
        let records = self.records.entry(upid).or_insert_with(|| {
            self.since.push_back((ts_ns, upid));
            Vec::new()
        });
        records.push(record.to_vec());
        true
    }

    /// The records of a process, in their order.
    pub fn take(&mut self, upid: i64) -> Vec<Vec<u8>> {
        let records = self.records.remove(&upid).unwrap_or_default();
        self.bytes -= records.iter().map(Vec::len).sum::<usize>();
        records
    }

    /// A process that has waited for too long at this time.
    pub fn overdue(&mut self, now_ns: i64) -> Option<i64> {
        let (_, upid) = self.since.pop_front_if(|(at, _)| now_ns - *at > MOST_NS)?;
        Some(upid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_by_process_in_their_order() {
        let mut waiting = Waiting::default();
        for (upid, record) in [(1, b"a"), (2, b"b"), (1, b"c")] {
            assert!(waiting.add(upid, 0, record));
        }
        assert_eq!(waiting.take(1), [b"a", b"c"]);
        assert!(waiting.take(1).is_empty());
        assert_eq!(waiting.take(2), [b"b"]);
        assert_eq!(waiting.bytes, 0);
    }

    #[test]
    fn nothing_waits_for_ever_nor_without_bound() {
        let mut waiting = Waiting::default();
        assert!(waiting.add(1, 5, b"a"));
        assert_eq!(waiting.overdue(MOST_NS + 5), None);
        assert_eq!(waiting.overdue(MOST_NS + 6), Some(1));
        assert!(!waiting.add(1, 5, &vec![0; MOST_BYTES]));
    }
}
