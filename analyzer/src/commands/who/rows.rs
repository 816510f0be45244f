//! Chains as rows, with column names that scripts can rely on.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};

use super::chains::{Chain, Form, Link};
use super::find::Found;
use super::show::more;
use crate::Result;
use crate::forest::Forest;
use crate::stacks::Stacks;

/// One row for each of these chains, the number of the first being given:
///
/// `host, boot_id, chain` (its number), `program, runs, running_before,
/// failed_attempts` (of all chains together), `period_ns, period_spread_ns,
/// runs_at_once, first_time, last_time, parent_upid, parent_pid, parent_comm,
/// parent_cmdline` (of the nearest ancestor with a program of its own; pid and
/// upid only if it is one process), `ancestors` (from the root, separated by
/// ` > `; of a long chain those of both ends, and how many are between them), `cmdline` (the most frequent), `cmdline_runs, cmdlines` (how many
/// different ones), `stack` (the most frequent, root first, separated by `;`),
/// `stack_runs, stack_of` (`fork` or `exec`).
pub(super) fn batch(
    forests: &[Forest],
    found: &Found,
    stacks: &Stacks,
    chains: &[Chain],
    first: usize,
) -> Result<RecordBatch> {
    let rows = Rows {
        forests,
        stacks,
        chains,
        fields: Vec::new(),
        columns: Vec::new(),
    };
    rows.build(found, first)
}

struct Rows<'a> {
    forests: &'a [Forest],
    stacks: &'a Stacks,
    chains: &'a [Chain],
    fields: Vec<Field>,
    columns: Vec<ArrayRef>,
}

impl Rows<'_> {
    fn build(mut self, found: &Found, first: usize) -> Result<RecordBatch> {
        let forests = self.forests;
        let stacks = self.stacks;
        let boot = |c: &Chain| &forests[c.forest].boot;
        let wall = |c: &Chain, ns: i64| Some(boot(c).clock.wall_us(ns));
        let int = |n: usize| i64::try_from(n).ok();
        self.text("host", |c| Some(boot(c).host.clone()));
        self.text("boot_id", |c| Some(boot(c).boot_id.clone()));
        let numbers = (first..).take(self.chains.len());
        let numbers = Int64Array::from_iter_values(numbers.map(|number| number as i64));
        self.push("chain", Arc::new(numbers));
        self.text("program", |c| Some(c.comms.first()?.0.clone()));
        self.int("runs", |c| int(c.runs));
        self.int("running_before", |c| int(c.before));
        self.int("failed_attempts", |_| int(found.failed));
        self.int("period_ns", |c| Some(c.period?.every_ns));
        self.int("period_spread_ns", |c| Some(c.period?.spread_ns));
        self.int("runs_at_once", |c| int(c.period?.at_once));
        self.time("first_time", |c| wall(c, c.first_ns));
        self.time("last_time", |c| wall(c, c.last_ns));
        self.int("parent_upid", |c| {
            Some(forests[c.forest].upid(parent(c)?.only()?))
        });
        let pids = self.chains.iter().map(|c| {
            let node = parent(c)?.only()?;
            Some(forests[c.forest].pid(node))
        });
        let pids = Int32Array::from_iter(pids);
        self.push("parent_pid", Arc::new(pids));
        self.text("parent_comm", |c| Some(parent(c)?.comm.clone()));
        self.text("parent_cmdline", |c| parent(c)?.cmdline.clone());
        self.text("ancestors", |c| {
            let names = c.links.iter().map(|link| link.comm.clone());
            let mut names: Vec<String> = names.collect();
            if c.left_out > 0 {
                names.insert(c.first, more(c.left_out));
            }
            Some(names.join(" > "))
        });
        self.text("cmdline", |c| Some(c.examples.first()?.cmdline.clone()));
        self.int("cmdline_runs", |c| int(c.examples.first()?.runs));
        self.int("cmdlines", |c| int(c.examples.len()));
        self.text("stack", |c| stacks.text(c.callers.first()?.0.stack_id));
        self.int("stack_runs", |c| int(c.callers.first()?.1));
        self.text("stack_of", |c| {
            let forked = c.callers.first()?.0.forked;
            Some(if forked { "fork" } else { "exec" }.to_owned())
        });
        let schema = Arc::new(Schema::new(self.fields));
        Ok(RecordBatch::try_new(schema, self.columns)?)
    }

    fn push(&mut self, name: &str, column: ArrayRef) {
        let field = Field::new(name, column.data_type().clone(), true);
        self.fields.push(field);
        self.columns.push(column);
    }

    fn text(&mut self, name: &str, of: impl Fn(&Chain) -> Option<String>) {
        let column = StringArray::from_iter(self.chains.iter().map(of));
        self.push(name, Arc::new(column));
    }

    fn int(&mut self, name: &str, of: impl Fn(&Chain) -> Option<i64>) {
        let column = Int64Array::from_iter(self.chains.iter().map(of));
        self.push(name, Arc::new(column));
    }

    fn time(&mut self, name: &str, of: impl Fn(&Chain) -> Option<i64>) {
        let column = TimestampMicrosecondArray::from_iter(self.chains.iter().map(of));
        let column = column.with_timezone("UTC");
        self.push(name, Arc::new(column));
    }
}

/// The nearest ancestor with a program of its own.
fn parent(chain: &Chain) -> Option<&Link> {
    chain.links.iter().rev().find(|l| l.form == Form::Process)
}
