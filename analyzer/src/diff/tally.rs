//! Counts what one side of a comparison has.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt as _;

use crate::Result;
use crate::forest::Forest;
use crate::paths::samples::{Filter, aggregate};
use crate::session::Session;
use crate::stacks::{Function, Stacks};

/// How often each name was seen.
pub(super) type Counts = BTreeMap<String, i64>;

/// One side.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) seconds: f64,
    /// Successful execs by program.
    pub(super) commands: Counts,
    /// Successful execs by chain of ancestors, root first.
    pub(super) chains: Counts,
    /// Ends by program and status.
    pub(super) exits: BTreeMap<(String, String), i64>,
    /// Ends by program.
    pub(super) ends: Counts,
    /// Kinds of stack events that were asked for or seen.
    pub(super) recorded: BTreeSet<String>,
    /// Those that were seen, outside the idle task.
    pub(super) events: BTreeMap<String, EventTally>,
}

/// The stack events of one kind.
#[derive(Debug, Default)]
pub(super) struct EventTally {
    pub(super) samples: i64,
    /// Events with the function on their path.
    pub(super) functions: Counts,
    /// Events by path.
    pub(super) paths: Counts,
}

/// Counts a side.
pub(super) async fn of(session: &Session) -> Result<Tally> {
    let mut tally = Tally::default();
    for recording in session.recordings.all.iter() {
        let (from, to) = recording.range_ns();
        tally.seconds += to.saturating_sub(from) as f64 / 1e9;
        let asked = recording.manifest.events.iter();
        tally.recorded.extend(asked.map(|e| e.event.clone()));
    }
    execs(session, &mut tally).await?;
    exits(session, &mut tally).await?;
    stacks(session, &mut tally).await?;
    Ok(tally)
}

async fn execs(session: &Session, tally: &mut Tally) -> Result<()> {
    let forests = Forest::load_all(&session.recordings)?;
    let mut chains = Chains::default();
    let sql = "SELECT boot_id, parent_upid, parent_comm, comm, count(*) FROM exec \
               WHERE errno = 0 GROUP BY boot_id, parent_upid, parent_comm, comm";
    each(session, sql, |batch| {
        for row in 0..batch.num_rows() {
            let count = int(batch, 4, row).unwrap_or(0);
            let comm = text(batch, 3, row);
            *tally.commands.entry(comm.to_owned()).or_default() += count;
            let parent = int(batch, 1, row);
            let above = chains.above(&forests, text(batch, 0, row), parent);
            let chain = joined(&joined(above, text(batch, 2, row)), comm);
            *tally.chains.entry(chain).or_default() += count;
        }
    })
    .await
}

/// Names of ancestors, by process. Each process is looked at once.
#[derive(Default)]
struct Chains {
    of: HashMap<(usize, u32), String>,
}

impl Chains {
    /// The ancestors of a process, root first, without itself.
    fn above<'a>(&'a mut self, forests: &[Forest], boot_id: &str, upid: Option<i64>) -> &'a str {
        let of_boot = |forest: &Forest| forest.boot.boot_id == boot_id;
        let Some(at) = forests.iter().position(of_boot) else {
            return "";
        };
        let forest = &forests[at];
        let Some(parent) = upid
            .and_then(|upid| forest.node_of(upid))
            .and_then(|node| forest.parent(node))
        else {
            return "";
        };
        let todo: Vec<u32> = std::iter::once(parent)
            .chain(forest.ancestors(parent))
            .take_while(|node| !self.of.contains_key(&(at, *node)))
            .collect();
        for node in todo.into_iter().rev() {
            let above = forest.parent(node).and_then(|p| self.of.get(&(at, p)));
            let chain = joined(above.map_or("", String::as_str), forest.comm(node));
            self.of.insert((at, node), chain);
        }
        self.of.get(&(at, parent)).map_or("", String::as_str)
    }
}

/// A chain with one more name. A copy of a process, such as a subshell, is no
/// link of its own. The names above the last few are left out: they are the same
/// for all of a host, and a chain may be deep without bound.
fn joined(chain: &str, name: &str) -> String {
    const BYTES: usize = 1 << 10;
    let last = chain.rsplit_once(" > ").map_or(chain, |(_, last)| last);
    match chain {
        "" => name.to_owned(),
        _ if last == name => chain.to_owned(),
        _ if chain.len() > BYTES => {
            let cut = chain.floor_char_boundary(BYTES / 2);
            let kept = chain[cut..].split_once(" > ").map_or("", |(_, kept)| kept);
            format!("… > {kept} > {name}")
        }
        _ => format!("{chain} > {name}"),
    }
}

async fn exits(session: &Session, tally: &mut Tally) -> Result<()> {
    let sql = "SELECT comm, exit_code, exit_signal, count(*) FROM exit \
               GROUP BY comm, exit_code, exit_signal";
    each(session, sql, |batch| {
        for row in 0..batch.num_rows() {
            let number = |column: usize| {
                let column = batch.column(column).as_primitive::<Int32Type>();
                column.is_valid(row).then(|| column.value(row))
            };
            let status = match (number(1), number(2)) {
                (_, Some(signal)) => format!("signal {signal}"),
                (Some(code), None) => format!("exit status {code}"),
                (None, None) => "not known".into(),
            };
            let comm = text(batch, 0, row).to_owned();
            let count = int(batch, 3, row).unwrap_or(0);
            *tally.ends.entry(comm.clone()).or_default() += count;
            *tally.exits.entry((comm, status)).or_default() += count;
        }
    })
    .await
}

async fn stacks(session: &Session, tally: &mut Tally) -> Result<()> {
    let filter = Filter::default();
    let rows = aggregate(&session.state(), &session.recordings, &filter).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let stacks = Stacks::load(&session.recordings)?;
    for row in rows.iter() {
        tally.recorded.insert(row.event.to_string());
        if row.context == "idle" {
            continue;
        }
        let part = |id: Option<i64>| id.map_or(&[][..], |id| stacks.functions(id));
        let path: Vec<Function> = [part(row.user), part(row.kernel)].concat();
        let names: Vec<&str> = path.iter().map(|f| stacks.name(*f)).collect();
        let event = tally.events.entry(row.event.to_string()).or_default();
        event.samples = event.samples.saturating_add(row.samples);
        // A function that recurses is on the path once.
        for function in path.iter().collect::<HashSet<_>>() {
            let name = stacks.name(*function).to_owned();
            *event.functions.entry(name).or_default() += row.samples;
        }
        let text = match names.is_empty() {
            true => "[no call path]".into(),
            false => names.join(";"),
        };
        *event.paths.entry(text).or_default() += row.samples;
    }
    Ok(())
}

async fn each(session: &Session, sql: &str, mut visit: impl FnMut(&RecordBatch)) -> Result<()> {
    let mut batches = session.frame(sql, vec![]).await?.execute_stream().await?;
    while let Some(batch) = batches.try_next().await? {
        visit(&batch);
    }
    Ok(())
}

fn text(batch: &RecordBatch, column: usize, row: usize) -> &str {
    let column = batch.column(column).as_string::<i32>();
    if column.is_valid(row) {
        column.value(row)
    } else {
        ""
    }
}

fn int(batch: &RecordBatch, column: usize, row: usize) -> Option<i64> {
    let column = batch.column(column).as_primitive::<Int64Type>();
    column.is_valid(row).then(|| column.value(row))
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_copy_of_a_process_is_no_link_and_depth_is_bounded() {
        assert_eq!(joined(&joined("init", "bash"), "bash"), "init > bash");
        let mut chain = String::new();
        for i in 0..10_000 {
            chain = joined(&chain, &format!("é{i}"));
        }
        assert!(chain.len() < 2_000, "{}", chain.len());
        assert!(chain.starts_with("… > é"), "{chain}");
        assert!(chain.ends_with(" > é9998 > é9999"), "{chain}");
    }
}
