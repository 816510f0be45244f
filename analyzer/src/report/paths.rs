//! The call paths of a report: those of stack events, added up by process, and
//! those of the code that forked or executed. They are one tree, merged from
//! the root, so that ten thousand stacks are little more than their leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use smol_str::SmolStr;

use super::document::{Event, Functions, Paths, Samples};
use super::ground::{Ground, Rows};
use super::strings::Strings;
use crate::Result;
use crate::paths::samples::Weighted;
use crate::paths::select::{Whole, short, unit, whole};
use crate::stacks::{Function, Stacks};

/// Places in the tree of paths.
const MOST_NODES: usize = 150_000;
/// Kinds of stack events.
const MOST_EVENTS: usize = 64;
/// Rows of stack events that say of which process they are.
const MOST_ROWS: usize = 100_000;

const PROGRAM: u8 = 0;
const KERNEL: u8 = 1;
const UNNAMED: u8 = 2;
const MARK: u8 = 3;

/// Ends a path whose rest is not shown.
const SMALLER: &str = "[smaller paths]";
/// Begins a path whose root was not recorded.
const TRUNCATED: &str = "[truncated]";

/// The tree of all paths, and the functions in it.
#[derive(Default)]
pub(super) struct PathTree {
    pub(super) paths: Paths,
    pub(super) functions: Functions,
    by_function: HashMap<(u8, Function), u32>,
    by_edge: HashMap<(u32, u32), u32>,
    /// How many paths were cut.
    pub(super) cut: usize,
}

/// No node.
const NONE: u32 = u32::MAX;

impl PathTree {
    /// The node where a path ends; `None` if it has no function.
    fn add(&mut self, stacks: &mut Stacks, strings: &mut Strings, path: &Whole) -> Option<u32> {
        let mut at = NONE;
        if path.truncated {
            let mark = stacks.intern(TRUNCATED);
            at = self.step(stacks, strings, at, (MARK, mark)).unwrap_or(at);
        }
        for (i, function) in path.functions.iter().enumerate() {
            let kind = match (stacks.is_unresolved(*function), i < path.kernel_at) {
                (true, _) => UNNAMED,
                (false, true) => PROGRAM,
                (false, false) => KERNEL,
            };
            match self.step(stacks, strings, at, (kind, *function)) {
                Some(next) => at = next,
                None => {
                    self.cut += 1;
                    let smaller = (MARK, stacks.intern(SMALLER));
                    return Some(self.force(stacks, strings, at, smaller));
                }
            }
        }
        (at != NONE).then_some(at)
    }

    /// Where a path goes on; `None` if the tree has no room for more.
    fn step(
        &mut self,
        stacks: &Stacks,
        strings: &mut Strings,
        at: u32,
        function: (u8, Function),
    ) -> Option<u32> {
        let is_known = self
            .by_function
            .get(&function)
            .is_some_and(|number| self.by_edge.contains_key(&(at, *number)));
        let has_room = self.paths.up.len() < MOST_NODES;
        (is_known || has_room).then(|| self.force(stacks, strings, at, function))
    }

    fn force(
        &mut self,
        stacks: &Stacks,
        strings: &mut Strings,
        at: u32,
        (kind, function): (u8, Function),
    ) -> u32 {
        let functions = &mut self.functions;
        let number = *self.by_function.entry((kind, function)).or_insert_with(|| {
            functions.name.push(strings.add(stacks.name(function)));
            functions.kind.push(kind);
            functions.name.len() as u32 - 1
        });
        let next = self.paths.up.len() as u32;
        let node = *self.by_edge.entry((at, number)).or_insert(next);
        if node == next {
            let up = if at == NONE { 0 } else { next - at };
            self.paths.up.push(up);
            self.paths.function.push(number);
        }
        node
    }

    /// The nodes of callers' stacks, in a column of so many rows.
    pub(super) fn callers(
        &mut self,
        stacks: &mut Stacks,
        strings: &mut Strings,
        callers: &[(usize, i64)],
        rows: usize,
    ) -> Vec<Option<u32>> {
        let mut column = vec![None; rows];
        let mut known: HashMap<i64, Option<u32>> = HashMap::new();
        for (row, stack) in callers {
            column[*row] = match known.get(stack) {
                Some(node) => *node,
                None => {
                    let functions = stacks.functions(*stack).to_vec();
                    let path = Whole {
                        kernel_at: functions.len(),
                        functions,
                        truncated: stacks.is_truncated(*stack),
                    };
                    let node = self.add(stacks, strings, &path);
                    known.insert(*stack, node);
                    node
                }
            };
        }
        column
    }
}

/// A stack event, added up, of a process.
struct Row {
    process: Option<u32>,
    event: SmolStr,
    context: SmolStr,
    comm: SmolStr,
    kernel: Option<i64>,
    user: Option<i64>,
    weight: i64,
    samples: i64,
}

impl Row {
    fn weighted(&self) -> Weighted<'_> {
        Weighted {
            event: &self.event,
            context: &self.context,
            comm: &self.comm,
            kernel: self.kernel,
            user: self.user,
            weight: self.weight,
            samples: self.samples,
        }
    }
}

/// Stack events, added up by path.
#[derive(Default)]
pub(super) struct Stacked {
    pub(super) events: Vec<Event>,
    /// Names of the events as they were recorded.
    pub(super) names: Vec<String>,
    pub(super) samples: Samples,
    /// Rows that do not say of which process they are, for want of room.
    pub(super) anonymous: usize,
    /// Kinds of events that are not shown.
    pub(super) events_left_out: usize,
}

impl Stacked {
    /// Reads and merges them.
    pub(super) async fn read(
        ground: &Ground<'_>,
        stacks: &mut Stacks,
        strings: &mut Strings,
        tree: &mut PathTree,
    ) -> Result<Self> {
        let mut rows = read(ground).await?;
        // The heaviest first: they are those that find room.
        rows.sort_by(|a, b| {
            let key = |row: &Row| (row.process, row.kernel, row.user);
            (b.samples, &a.event, &a.context, &a.comm)
                .cmp(&(a.samples, &b.event, &b.context, &b.comm))
                .then_with(|| key(a).cmp(&key(b)))
        });
        let mut this = Self::default();
        let numbers = this.number_events(&rows, strings);
        let merged = this.merge(&rows, &numbers, (stacks, strings, tree));
        this.push(merged);
        Ok(this)
    }

    /// Numbers the kinds of events in order of their names.
    fn number_events(&mut self, rows: &[Row], strings: &mut Strings) -> BTreeMap<SmolStr, u32> {
        let mut numbers: BTreeMap<SmolStr, u32> = BTreeMap::new();
        let mut others: BTreeSet<&str> = BTreeSet::new();
        for row in rows {
            let name = &row.event;
            if numbers.len() < MOST_EVENTS {
                numbers.entry(name.clone()).or_default();
            } else if !numbers.contains_key(name) {
                others.insert(name);
            }
        }
        self.events_left_out = others.len();
        for (number, (name, slot)) in numbers.iter_mut().enumerate() {
            *slot = number as u32;
            self.names.push(name.to_string());
            self.events.push(Event {
                name: strings.add(name),
                unit: unit(name),
                idle: 0,
            });
        }
        numbers
    }

    fn merge(
        &mut self,
        rows: &[Row],
        numbers: &BTreeMap<SmolStr, u32>,
        (stacks, strings, tree): (&mut Stacks, &mut Strings, &mut PathTree),
    ) -> BTreeMap<Key, (i64, i64)> {
        let mut merged: BTreeMap<Key, (i64, i64)> = BTreeMap::new();
        for row in rows {
            let of = row.weighted();
            let Some(event) = numbers.get(of.event).copied() else {
                continue;
            };
            if of.context == "idle" {
                let idle = &mut self.events[event as usize].idle;
                *idle = idle.saturating_add(of.weight);
                continue;
            }
            let probe = (unit(of.event) == "hits").then(|| stacks.intern(short(of.event)));
            let path = whole(stacks, &of, probe);
            let node = tree.add(stacks, strings, &path);
            let comm = match of.context {
                "task" => strings.add(of.comm),
                context => strings.add(&format!("[{context}]")),
            };
            let has_room = merged.len() < MOST_ROWS;
            self.anonymous += usize::from(!has_room && row.process.is_some());
            let process = row.process.filter(|_| has_room);
            let sums = merged.entry((event, node, comm, process)).or_default();
            sums.0 = sums.0.saturating_add(of.weight);
            sums.1 = sums.1.saturating_add(of.samples);
        }
        merged
    }

    fn push(&mut self, merged: BTreeMap<Key, (i64, i64)>) {
        let of = &mut self.samples;
        for ((event, node, comm, process), (weight, count)) in merged {
            of.event.push(event);
            of.path.push(node);
            of.comm.push(comm);
            of.process.push(process);
            of.weight.push(weight);
            of.count.push(count);
        }
    }
}

/// Event, path, name, process.
type Key = (u32, Option<u32>, u32, Option<u32>);

async fn read(ground: &Ground<'_>) -> Result<Vec<Row>> {
    let sql = "SELECT boot_id, upid, event, context, comm, kernel_stack_id, user_stack_id, \
               sum(weight), count(*) FROM sample GROUP BY 1, 2, 3, 4, 5, 6, 7";
    let mut all = Vec::new();
    let visit = |rows: &Rows<'_>| {
        let text = |column, row| SmolStr::new(rows.text(column, row).unwrap_or_default());
        for row in 0..rows.len() {
            all.push(Row {
                process: ground.number(rows, row),
                event: text(2, row),
                context: text(3, row),
                comm: text(4, row),
                kernel: rows.long(5, row),
                user: rows.long(6, row),
                weight: rows.long(7, row).unwrap_or(0).max(0),
                samples: rows.long(8, row).unwrap_or(0).max(0),
            });
        }
    };
    ground.each(sql, vec![], visit).await?;
    Ok(all)
}
