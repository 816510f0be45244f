//! Fewer samples, with the weight of all.
//!
//! Of each event's samples in a row, one stands for the others. Which one is
//! drawn, by weight: one at regular places would prefer a CPU or a phase. The
//! weights of what is kept add up to those of all, exactly.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::{interleave_record_batch, take_record_batch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

/// Events that are thinned beside each other, at most: each holds a batch.
const MAX_EVENTS: usize = 1 << 10;

/// Keeps one of some samples of each event.
#[derive(Debug)]
pub(super) struct Thinner {
    one_of: u64,
    groups: HashMap<i64, Group>,
    random: u64,
}

/// Samples of one event of which one is kept.
#[derive(Debug)]
struct Group {
    seen: u64,
    weight: i64,
    kept: Kept,
}

/// The sample that is kept.
#[derive(Debug)]
enum Kept {
    /// Of an earlier batch, as a batch of one row.
    Alone(RecordBatch),
    /// This row of the batch that is looked at.
    Here(usize),
}

impl Thinner {
    pub(super) fn new(one_of: u64) -> Self {
        Self {
            one_of,
            groups: HashMap::new(),
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// What is kept of a batch of table `sample`.
    pub(super) fn thin(&mut self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.one_of <= 1 {
            return Ok(batch);
        }
        let schema = batch.schema();
        let column = |name: &str| -> Result<Int64Array, ArrowError> {
            Ok(batch
                .column(schema.index_of(name)?)
                .as_primitive::<Int64Type>()
                .clone())
        };
        let (events, weights) = (column("event_id")?, column("weight")?);
        let mut full = Vec::new();
        for row in 0..batch.num_rows() {
            let (event, weight) = (events.value(row), weights.value(row));
            let draw = self.draw();
            let group = self.groups.entry(event).or_insert_with(|| Group {
                seen: 0,
                weight: 0,
                kept: Kept::Here(row),
            });
            group.seen += 1;
            group.weight = group.weight.saturating_add(weight);
            let (all, this) = (group.weight.max(1) as u64, weight.max(1) as u64);
            if draw % all < this {
                group.kept = Kept::Here(row);
            }
            if group.seen == self.one_of {
                full.extend(self.groups.remove(&event));
            }
            if self.groups.len() > MAX_EVENTS {
                full.extend(self.groups.drain().map(|(_, group)| group));
            }
        }
        let kept = together(&batch, full)?;
        // The batch goes; what may be kept of it stays.
        for group in self.groups.values_mut() {
            if let Kept::Here(row) = group.kept {
                group.kept = Kept::Alone(take_record_batch(&batch, &one(row))?);
            }
        }
        Ok(kept)
    }

    /// What stands for the last samples of each event, which are fewer.
    pub(super) fn rest(
        &mut self,
        schema: &arrow::datatypes::SchemaRef,
    ) -> Result<RecordBatch, ArrowError> {
        let mut rest: Vec<(i64, Group)> = self.groups.drain().collect();
        rest.sort_by_key(|(event, _)| *event);
        let rest = rest.into_iter().map(|(_, group)| group).collect();
        together(&RecordBatch::new_empty(Arc::clone(schema)), rest)
    }

    /// The next of a fixed sequence of random numbers (xorshift64).
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn one(row: usize) -> UInt64Array {
    UInt64Array::from(vec![row as u64])
}

/// The kept rows as one batch, each with the weight of its group. Those that are
/// not alone are of `batch`.
fn together(batch: &RecordBatch, groups: Vec<Group>) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    if groups.is_empty() {
        return Ok(RecordBatch::new_empty(schema));
    }
    let mut batches = vec![batch];
    let mut places = Vec::with_capacity(groups.len());
    for group in &groups {
        places.push(match &group.kept {
            Kept::Here(row) => (0, *row),
            Kept::Alone(row) => {
                batches.push(row);
                (batches.len() - 1, 0)
            }
        });
    }
    let kept = interleave_record_batch(&batches, &places)?;
    let mut columns = kept.columns().to_vec();
    let weights = groups.iter().map(|group| group.weight);
    let weights: ArrayRef = Arc::new(Int64Array::from_iter_values(weights));
    columns[schema.index_of("weight")?] = weights;
    RecordBatch::try_new(schema, columns)
}

#[cfg(test)]
mod tests {
    use whence_schemas::sample;

    use super::*;

    fn samples(first: i64, count: i64) -> RecordBatch {
        let mut rows = sample::Builder::default();
        for i in first..first + count {
            rows.push(sample::Row {
                ts_ns: i,
                event_id: i % 2,
                cpu: (i / 2 % 2) as i32,
                weight: 10 + i % 3,
                ..sample::Row::default()
            });
        }
        rows.finish("boot").unwrap()
    }

    fn sum(batches: &[RecordBatch], event: Option<i64>) -> i64 {
        let column = |batch: &RecordBatch, name: &str| {
            batch
                .column_by_name(name)
                .unwrap()
                .as_primitive::<Int64Type>()
                .clone()
        };
        let of = |batch: &RecordBatch| -> i64 {
            let (events, weights) = (column(batch, "event_id"), column(batch, "weight"));
            let rows = 0..batch.num_rows();
            let rows = rows.filter(|row| event.is_none_or(|event| events.value(*row) == event));
            rows.map(|row| weights.value(row)).sum()
        };
        batches.iter().map(of).sum()
    }

    #[test]
    fn weights_add_up_to_those_of_all_for_each_event() {
        let all = [samples(0, 1000), samples(1000, 777)];
        let mut thinner = Thinner::new(7);
        let mut kept: Vec<_> = all
            .iter()
            .map(|b| thinner.thin(b.clone()).unwrap())
            .collect();
        kept.push(thinner.rest(&all[0].schema()).unwrap());
        let rows: usize = kept.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 2 * (1777_usize / 2).div_ceil(7));
        for event in [None, Some(0), Some(1)] {
            assert_eq!(sum(&kept, event), sum(&all, event));
        }
    }

    #[test]
    fn no_cpu_is_preferred_where_they_take_turns() {
        let mut thinner = Thinner::new(4);
        let kept = thinner.thin(samples(0, 8000)).unwrap();
        let cpus = kept.column_by_name("cpu").unwrap();
        let cpus = cpus.as_primitive::<arrow::datatypes::Int32Type>();
        let first = cpus.values().iter().filter(|cpu| **cpu == 0).count();
        assert!(
            (kept.num_rows() * 2 / 5..=kept.num_rows() * 3 / 5).contains(&first),
            "{first}"
        );
    }
}
