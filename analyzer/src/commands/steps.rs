//! Steps of a search along `PATH`: execs that fail because there is no such
//! file, of a process that then executes the same arguments from another
//! folder. They are how a program is found, not attempts that failed.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt as _;

use crate::Result;
use crate::session::Session;

/// An exec: boot, process, time.
type Key = (String, i64, i64);
/// An exec with its command line.
pub(crate) type Exec = (Key, String);

/// The steps in recordings.
#[derive(Debug, Default)]
pub(crate) struct Steps(HashSet<Key>);

impl Steps {
    /// Finds them among the execs that failed in a session, or before it.
    pub(crate) async fn find(session: &Session, before: &[Exec]) -> Result<Self> {
        let hasher = RandomState::new();
        let select = "SELECT boot_id, upid, ts_ns, cmdline FROM exec WHERE errno";
        let mut failed: HashMap<(i64, u64), Vec<Key>> = HashMap::new();
        for (key, cmdline) in before {
            let of = (key.1, hasher.hash_one(cmdline));
            failed.entry(of).or_default().push(key.clone());
        }
        let sql = format!("{select} = 2");
        let mut batches = session.frame(&sql, vec![]).await?.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            for (key, cmdline) in execs(&batch) {
                let of = (key.1, hasher.hash_one(cmdline));
                failed.entry(of).or_default().push(key);
            }
        }
        let mut steps = HashSet::new();
        if failed.is_empty() {
            return Ok(Self(steps));
        }
        let sql = format!("{select} = 0");
        let mut batches = session.frame(&sql, vec![]).await?.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            for ((boot, upid, ts_ns), cmdline) in execs(&batch) {
                let of = (upid, hasher.hash_one(cmdline));
                let before = failed.get(&of).into_iter().flatten();
                steps.extend(before.filter(|k| k.0 == boot && k.2 < ts_ns).cloned());
            }
        }
        Ok(Self(steps))
    }

    /// Whether an exec that failed is one.
    pub(crate) fn contains(&self, boot_id: &str, upid: i64, ts_ns: i64) -> bool {
        !self.0.is_empty() && self.0.contains(&(boot_id.to_owned(), upid, ts_ns))
    }
}

/// The execs of a batch, with their command lines.
fn execs(batch: &RecordBatch) -> impl Iterator<Item = (Key, &str)> {
    let boot_id = batch.column(0).as_string::<i32>();
    let upid = batch.column(1).as_primitive::<Int64Type>();
    let ts_ns = batch.column(2).as_primitive::<Int64Type>();
    let cmdline = batch.column(3).as_string::<i32>();
    let is_known = move |row: &usize| {
        boot_id.is_valid(*row)
            && upid.is_valid(*row)
            && ts_ns.is_valid(*row)
            && cmdline.is_valid(*row)
    };
    (0..batch.num_rows()).filter(is_known).map(move |row| {
        let key = (
            boot_id.value(row).to_owned(),
            upid.value(row),
            ts_ns.value(row),
        );
        (key, cmdline.value(row))
    })
}
