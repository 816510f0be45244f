//! In which order rows lie within a batch.
//!
//! Rows come as they happened, those of all CPUs and programs in turn. Neighbours
//! then have little in common. Within a batch, rows of one CPU, or the children of
//! one parent, are put together: their times are nearly a period apart, their ids
//! grow, their texts are alike, and all that packs better. Batches follow each other
//! in time, and each group is in the order in which its rows came.

use std::borrow::Cow;

use arrow::array::{Array, AsArray as _, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Int32Type, Int64Type};

use crate::{Error, Result, TableDef};

/// The rows of a batch with those together that its table wants together.
///
/// # Errors
/// [`Error::Table`] if Arrow cannot move rows.
pub fn grouped<'a>(def: &'static TableDef, batch: &'a RecordBatch) -> Result<Cow<'a, RecordBatch>> {
    let key = def.grouped_by.and_then(|name| batch.column_by_name(name));
    let Some(key) = key else {
        return Ok(Cow::Borrowed(batch));
    };
    let error = |cause| Error::Table {
        table: def.name,
        cause,
    };
    let groups = groups(key);
    let group = |row: &u32| groups.get(*row as usize);
    let mut order: Vec<u32> = (0..batch.num_rows() as u32).collect();
    if order.is_sorted_by_key(group) {
        return Ok(Cow::Borrowed(batch));
    }
    order.sort_by_key(group);
    let batch = take_record_batch(batch, &UInt32Array::from(order)).map_err(error)?;
    Ok(Cow::Owned(batch))
}

/// The group of each row. By hand: Arrow's conversion brings megabytes of code for
/// all types into the recorder.
fn groups(key: &dyn Array) -> Vec<Option<i64>> {
    if let Some(key) = key.as_primitive_opt::<Int64Type>() {
        return key.iter().collect();
    }
    let key = key.as_primitive_opt::<Int32Type>();
    key.map_or_else(Vec::new, |key| {
        key.iter().map(|k| k.map(i64::from)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{exit, fork};

    #[test]
    fn children_of_one_parent_lie_together_as_they_came() {
        let mut rows = exit::Builder::default();
        for (ts_ns, reaper_upid) in [(1, Some(7)), (2, None), (3, Some(5)), (4, Some(7))] {
            rows.push(exit::Row {
                ts_ns,
                reaper_upid,
                ..exit::Row::default()
            });
        }
        let batch = rows.finish("boot").unwrap();
        let batch = grouped(&exit::DEF, &batch).unwrap();
        let times = batch.column_by_name("ts_ns").unwrap();
        assert_eq!(times.as_primitive::<Int64Type>().values(), &[2, 3, 1, 4]);
    }

    #[test]
    fn a_table_without_groups_stays_as_it_came() {
        let mut rows = fork::Builder::default();
        rows.push(fork::Row::default());
        let batch = rows.finish("boot").unwrap();
        assert!(matches!(grouped(&fork::DEF, &batch), Ok(Cow::Borrowed(_))));
    }
}
