//! Draws a part of a forest, one process a line. Siblings that are alike in
//! all that a line says but pid and times become one line with their number.

use std::collections::HashMap;

use whence_schemas::quote::printable;

use crate::Result;
use crate::forest::Forest;
use crate::render::{Screen, text};

/// Siblings that make a fold.
const FOLD: usize = 3;
/// Columns that a command line keeps however deep it is indented.
const LEAST_CMDLINE: usize = 30;
/// Levels that are indented; deeper ones say their depth.
const LEVELS: u32 = 24;

pub(super) struct Drawing<'a> {
    forest: &'a Forest,
    matched: Option<&'a [u32]>,
    screen: Screen,
    /// Whether command lines are shown whole.
    wide: bool,
    /// Children that are shown, by parent, folded ones together.
    groups: HashMap<Option<u32>, Vec<Vec<u32>>>,
}

/// A line to draw.
struct Line<'a> {
    group: &'a [u32],
    prefix: String,
    is_last: bool,
    depth: u32,
}

impl<'a> Drawing<'a> {
    /// A drawing of these nodes, which are in pre-order: all one by one, and
    /// with whole command lines, if that is wanted.
    pub(super) fn new(
        forest: &'a Forest,
        shown: &[u32],
        matched: Option<&'a [u32]>,
        (all, wide): (bool, bool),
        screen: Screen,
    ) -> Self {
        let mut children: HashMap<Option<u32>, Vec<u32>> = HashMap::new();
        for node in shown {
            children
                .entry(forest.parent(*node))
                .or_default()
                .push(*node);
        }
        let is_leaf = |node: u32| !children.contains_key(&Some(node));
        let fold = |nodes: &Vec<u32>| match all {
            true => nodes.iter().map(|node| vec![*node]).collect(),
            false => folded(forest, nodes, is_leaf),
        };
        let groups = children
            .iter()
            .map(|(parent, nodes)| (*parent, fold(nodes)))
            .collect();
        Self {
            forest,
            matched,
            screen,
            wide,
            groups,
        }
    }

    /// Calls `line` with each line.
    pub(super) fn each(&self, mut line: impl FnMut(String) -> Result<()>) -> Result<()> {
        let mut stack = self.below(None, "", 0);
        while let Some(next) = stack.pop() {
            let (first, rest) = match (next.depth, next.is_last) {
                (0, _) => ("", ""),
                (_, false) => ("├─ ", "│  "),
                (_, true) => ("└─ ", "   "),
            };
            let before = format!("{}{first}", next.prefix);
            line(self.line(&before, next.group))?;
            if let [node] = next.group {
                // However deep a chain is, its lines stay readable.
                let prefix = match next.depth < LEVELS {
                    true => format!("{}{rest}", next.prefix),
                    false => next.prefix,
                };
                stack.extend(self.below(Some(*node), &prefix, next.depth + 1));
            }
        }
        Ok(())
    }

    /// The lines below a node, the last first.
    fn below(&self, node: Option<u32>, prefix: &str, depth: u32) -> Vec<Line<'_>> {
        let Some(groups) = self.groups.get(&node) else {
            return Vec::new();
        };
        let last = groups.len() - 1;
        groups
            .iter()
            .enumerate()
            .rev()
            .map(|(i, group)| Line {
                group,
                prefix: prefix.to_owned(),
                is_last: i == last,
                depth,
            })
            .collect()
    }

    fn line(&self, before: &str, group: &[u32]) -> String {
        let forest = self.forest;
        let node = group[0];
        let matched = self
            .matched
            .is_none_or(|matched| group.iter().any(|n| matched.binary_search(n).is_ok()));
        let name = printable(forest.comm(node)).into_owned();
        let who = match group.len() {
            1 => format!("{} {name}", forest.pid(node)),
            n => format!("{name} ×{}", text::count(n as i64)),
        };
        let when = match group {
            [node] => self.life(*node),
            _ => self.lives(group),
        };
        let cmdline = forest.cmdline(node).map(printable).unwrap_or_default();
        let cmdline = if cmdline == name { "".into() } else { cmdline };
        let used = text::width(before) + text::width(&who) + text::width(&when) + 4;
        let columns = self.screen.line(self.wide).saturating_sub(used);
        let cmdline = text::fit(&cmdline, columns.max(LEAST_CMDLINE));
        let who = match matched && self.matched.is_some() {
            true => self.screen.bold(&who),
            false => who,
        };
        let gap = if cmdline.is_empty() { "" } else { "  " };
        format!("{before}{who}{gap}{cmdline}  {}", self.screen.dim(&when))
    }

    /// From when, for how long, and how it ended.
    fn life(&self, node: u32) -> String {
        let forest = self.forest;
        let clock = forest.boot.clock;
        let start = forest.start_us(node);
        let mut life = match forest.end_ns(node) {
            Some(end_ns) => {
                let began = text::fine_time_near(start, clock.wall_us(clock.boot_ns));
                let took = end_ns.saturating_sub(forest.start_ns(node));
                format!("{began} {}", text::duration(took))
            }
            None => format!(
                "since {}",
                text::time_near(start, clock.wall_us(clock.boot_ns))
            ),
        };
        if let Some(end) = ending(forest, node) {
            life.push_str(&format!(", {end}"));
        }
        if forest.source(node) == "inferred" {
            life.push_str(", not seen itself");
        }
        life
    }

    fn lives(&self, group: &[u32]) -> String {
        let forest = self.forest;
        let clock = forest.boot.clock;
        let near = clock.wall_us(clock.boot_ns);
        let first = group.iter().map(|n| forest.start_us(*n)).min().unwrap_or(0);
        let last = group
            .iter()
            .map(|n| clock.wall_us(forest.end_ns(*n).unwrap_or(forest.start_ns(*n))))
            .max()
            .unwrap_or(0);
        let (first, last) = text::span_near(first, last, near);
        let mut lives = format!("{first}–{last}");
        if let Some(end) = ending(forest, group[0]) {
            lives.push_str(&format!(", {end}"));
        }
        lives
    }
}

/// How it ended, where that was not well.
fn ending(forest: &Forest, node: u32) -> Option<String> {
    match (forest.exit_signal(node), forest.exit_code(node)) {
        (Some(signal), _) if signal != 0 => Some(format!("signal {signal}")),
        (_, Some(code)) if code != 0 => Some(format!("exit {code}")),
        _ => None,
    }
}

/// Siblings in groups: three or more childless ones with the same name, command
/// line and ending are one, at the place of the first.
fn folded(forest: &Forest, nodes: &[u32], is_leaf: impl Fn(u32) -> bool) -> Vec<Vec<u32>> {
    let key = |node: u32| {
        is_leaf(node).then(|| {
            (
                forest.comm(node),
                forest.cmdline(node),
                ending(forest, node),
                forest.end_ns(node).is_some(),
            )
        })
    };
    let mut alike: HashMap<_, Vec<u32>> = HashMap::new();
    for node in nodes {
        if let Some(key) = key(*node) {
            alike.entry(key).or_default().push(*node);
        }
    }
    let mut groups = Vec::new();
    for node in nodes {
        match key(*node).and_then(|key| alike.get(&key)) {
            Some(group) if group.len() >= FOLD => {
                if group[0] == *node {
                    groups.push(group.clone());
                }
            }
            _ => groups.push(vec![*node]),
        }
    }
    groups
}
