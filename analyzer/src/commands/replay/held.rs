//! Events that wait for a moment. Of a recording in progress, a search along
//! `PATH` may have begun before a rotation and end after it: a failed exec, and
//! all that comes after it, waits until it is known whether it was a step.

use std::collections::VecDeque;

use arrow::array::RecordBatch;

use super::event::Event;
use crate::commands::steps::{Exec, Steps};

/// Microseconds after which a search has ended.
const SEARCH_US: i64 = 200_000;

/// Events that wait, in order.
#[derive(Default)]
pub(super) struct Held {
    /// Whether anything is to come that could tell.
    is_open: bool,
    events: VecDeque<(RecordBatch, usize)>,
}

impl Held {
    /// For a recording of which more is to come.
    pub(super) fn open() -> Self {
        Self {
            is_open: true,
            ..Self::default()
        }
    }

    /// Nothing more is to come than is there now.
    pub(super) fn close(&mut self) {
        self.is_open = false;
    }

    /// Takes an event that has to wait, or stands behind one that has to.
    pub(super) fn keep(&mut self, event: &Event<'_>) -> bool {
        let waits = !self.events.is_empty() || (self.is_open && event.is_missing());
        if waits {
            self.events.push_back((event.batch.clone(), event.row));
        }
        waits
    }

    /// The first event, if it needs not wait any more when it is that time:
    /// the search has ended, or it was none.
    pub(super) fn release(&mut self, wall_us: i64) -> Option<(RecordBatch, usize)> {
        let (batch, row) = self.events.front()?;
        let event = Event { batch, row: *row };
        let age_us = wall_us.saturating_sub(event.wall_us());
        let waits = self.is_open && event.is_missing() && age_us < SEARCH_US;
        if waits { None } else { self.events.pop_front() }
    }

    /// Those that failed.
    pub(super) fn failed(&self) -> Vec<Exec> {
        let events = self.events.iter();
        let events = events.map(|(batch, row)| Event { batch, row: *row });
        events
            .filter(Event::is_missing)
            .filter_map(|event| event.exec())
            .collect()
    }

    /// Forgets those that turned out to be steps, and gives the others.
    pub(super) fn decided(&mut self, steps: &Steps) -> VecDeque<(RecordBatch, usize)> {
        let is_other = |(batch, row): &(RecordBatch, usize)| {
            let event = Event { batch, row: *row };
            !event.is_step(steps)
        };
        let mut events = std::mem::take(&mut self.events);
        events.retain(is_other);
        events
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    /// Execs by their time and status.
    fn execs(rows: &[(i64, i32)]) -> RecordBatch {
        let times = rows.iter().map(|(time, _)| *time);
        let status = rows.iter().map(|(_, errno)| *errno);
        let columns: [(&str, ArrayRef); 3] = [
            (
                "event",
                Arc::new(StringArray::from(vec!["exec"; rows.len()])),
            ),
            (
                "time",
                Arc::new(TimestampMicrosecondArray::from_iter_values(times)),
            ),
            ("errno", Arc::new(Int32Array::from_iter_values(status))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn kept(mut held: Held, batch: &RecordBatch) -> Vec<bool> {
        let rows = (0..batch.num_rows()).map(|row| Event { batch, row });
        rows.map(|event| held.keep(&event)).collect()
    }

    #[test]
    fn what_was_not_found_waits_with_all_after_it() {
        let batch = execs(&[(0, 0), (1, libc::ENOENT), (2, 0), (3, libc::EACCES)]);
        assert_eq!(kept(Held::open(), &batch), [false, true, true, true]);
        assert_eq!(kept(Held::default(), &batch), [false; 4]);
    }

    #[test]
    fn it_waits_no_longer_than_a_search_takes() {
        let batch = execs(&[(1, libc::ENOENT), (2, 0)]);
        let mut held = Held::open();
        for row in 0..2 {
            assert!(held.keep(&Event { batch: &batch, row }));
        }
        assert!(held.release(SEARCH_US).is_none());
        let mut released = || held.release(SEARCH_US + 1).map(|(_, row)| row);
        assert_eq!(
            [released(), released(), released()],
            [Some(0), Some(1), None]
        );
    }
}
