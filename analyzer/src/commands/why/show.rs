//! Call paths as people read them: from the entry down, heaviest first. Calls
//! that part nowhere stand on one line, joined by arrows.

use whence_schemas::quote::printable;

use crate::paths::add_up;
use crate::paths::select::{CPU_EVENTS, Context, Selection};
use crate::paths::trie::Trie;
use crate::render::{Screen, text};
use crate::stacks::{Function, Stacks};

const ARROW: &str = " → ";
/// Threads that are named for each context.
const NAMED_COMMS: usize = 5;
/// Columns of a share: "100.0%".
const SHARE: usize = 6;
/// Columns that a chain keeps however deep it is indented.
const LEAST_CHAIN: usize = 30;

/// The whole answer.
pub(super) fn lines(
    selection: &Selection,
    stacks: &Stacks,
    function: &str,
    least_percent: f64,
    screen: Screen,
) -> Vec<String> {
    let mut lines = vec![String::new(), screen.bold(&title(selection, function))];
    for (event, samples) in &selection.others {
        lines.push(screen.dim(&format!(
            "also reached in {} of {}; see it with --event {}",
            text::counted(*samples, "event", "events"),
            printable(event),
            printable(event),
        )));
    }
    let least = (selection.weight as f64 * least_percent / 100.0).ceil() as i64;
    for context in &selection.contexts {
        lines.push(String::new());
        lines.push(head(selection, context, screen));
        let mut tree = Tree {
            trie: &context.trie,
            stacks,
            whole: selection.weight,
            least,
            screen,
            lines: &mut lines,
        };
        tree.draw();
    }
    lines
}

fn title(selection: &Selection, function: &str) -> String {
    let paths: usize = selection.contexts.iter().map(|c| c.trie.ends().len()).sum();
    let paths = text::counted(paths as i64, "call path", "call paths");
    let event = printable(&selection.event);
    let function = printable(function);
    let samples = selection.samples;
    if CPU_EVENTS.contains(&selection.event.as_str()) {
        let share = text::share(selection.weight, selection.total);
        let samples = text::counted(samples, "sample", "samples");
        format!("{function}: {share} of {event}, {samples}, {paths}")
    } else if selection.is_event {
        let hits = text::counted(samples, "hit", "hits");
        format!("{function}: {hits} of {event}, {paths}")
    } else {
        let share = text::share(selection.weight, selection.total);
        let hits = text::counted(samples, "hit", "hits");
        format!("{function}: {share} of {event}, {hits}, {paths}")
    }
}

/// Context, its share, and who ran there.
fn head(selection: &Selection, context: &Context, screen: Screen) -> String {
    let name = screen.bold(&printable(&context.name));
    let share = text::share(context.weight, selection.weight);
    let mut comms: Vec<String> = context
        .comms
        .iter()
        .take(NAMED_COMMS)
        .map(|(comm, weight)| {
            format!(
                "{} {}",
                printable(comm),
                text::share(*weight, context.weight)
            )
        })
        .collect();
    if context.comms.len() > NAMED_COMMS {
        comms.push(format!("{} more", context.comms.len() - NAMED_COMMS));
    }
    // In an interrupt, the thread is only where it happened to strike.
    let role = match context.name.as_str() {
        "task" => "in",
        _ => "interrupting",
    };
    let who = screen.dim(&format!("{role} {}", comms.join(", ")));
    format!("{name} {share}  {who}")
}

struct Tree<'a> {
    trie: &'a Trie,
    stacks: &'a Stacks,
    whole: i64,
    least: i64,
    screen: Screen,
    lines: &'a mut Vec<String>,
}

/// A subtree to draw, with what stands before its lines.
struct Branch {
    nodes: Nodes,
    prefix: String,
    is_last: bool,
    is_root: bool,
}

enum Nodes {
    /// A chain that starts here.
    One(u32),
    /// Paths that end at their caller, too.
    Here(i64),
    /// Too little each to be drawn.
    Folded(usize, i64),
}

impl Tree<'_> {
    fn draw(&mut self) {
        let mut stack = self.branches(self.trie.roots(), 0, "", true);
        stack.reverse();
        while let Some(branch) = stack.pop() {
            let (first, rest) = match (branch.is_root, branch.is_last) {
                (true, _) => ("", ""),
                (false, false) => ("├─ ", "│  "),
                (false, true) => ("└─ ", "   "),
            };
            let first = format!("{}{first}", branch.prefix);
            let rest = format!("{}{rest}", branch.prefix);
            match branch.nodes {
                Nodes::One(node) => {
                    let (chain, end) = self.trie.chain(node);
                    let weight = self.trie.node(node).weight;
                    let below = self.trie.node(end);
                    self.chain(&chain, weight, &first, &rest);
                    let mut below = self.branches(&below.children, below.own, &rest, false);
                    below.reverse();
                    stack.append(&mut below);
                }
                Nodes::Here(weight) => {
                    self.push(weight, &first, &self.screen.dim("(ends here)"));
                }
                Nodes::Folded(paths, weight) => {
                    let paths = text::counted(paths as i64, "smaller path", "smaller paths");
                    self.push(weight, &first, &self.screen.dim(&paths));
                }
            }
        }
    }

    /// What is drawn below a place, in order.
    fn branches(&self, nodes: &[u32], own: i64, prefix: &str, is_root: bool) -> Vec<Branch> {
        let weight = |node: &u32| self.trie.node(*node).weight;
        let drawn = nodes.partition_point(|node| weight(node) >= self.least);
        // One path alone is never folded: its line is as long as the fold's.
        let drawn = if nodes.len() == drawn + 1 {
            nodes.len()
        } else {
            drawn
        };
        let folded = add_up(nodes[drawn..].iter().map(weight));
        let mut below: Vec<Nodes> = nodes[..drawn].iter().map(|n| Nodes::One(*n)).collect();
        if own > 0 && !nodes.is_empty() {
            below.push(Nodes::Here(own));
        }
        if drawn < nodes.len() {
            below.push(Nodes::Folded(nodes.len() - drawn, folded));
        }
        let last = below.len().saturating_sub(1);
        let branch = |(i, nodes)| Branch {
            nodes,
            prefix: prefix.to_owned(),
            is_last: i == last,
            is_root,
        };
        below.into_iter().enumerate().map(branch).collect()
    }

    fn chain(&mut self, chain: &[Function], weight: i64, first: &str, rest: &str) {
        let names: Vec<String> = chain
            .iter()
            .map(|function| printable(self.stacks.name(*function)).into_owned())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let used = 2 + text::width(first) + SHARE + 2;
        let columns = self.screen.width.saturating_sub(used).max(LEAST_CHAIN);
        let flowed = text::flow(&names, ARROW, columns);
        for (i, line) in flowed.iter().enumerate() {
            if i == 0 {
                self.push(weight, first, line);
            } else {
                let blank = " ".repeat(SHARE + 2);
                self.lines.push(format!("  {rest}{blank}{line}"));
            }
        }
    }

    fn push(&mut self, weight: i64, before: &str, what: &str) {
        let share = text::share(weight, self.whole);
        self.lines
            .push(format!("  {before}{share:>SHARE$}  {what}"));
    }
}
