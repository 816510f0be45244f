//! Chains as people read them at night: first how often, then the way down
//! from the root, then what was run and by which code.

use whence_schemas::quote::printable;

use super::chains::{Chain, Form, Link};
use super::find::Found;
use crate::forest::Forest;
use crate::render::{Screen, text};
use crate::stacks::Stacks;

/// Command lines that are shown of a chain.
const EXAMPLES: usize = 3;
/// Links that are shown of a long chain: at its root, and at its end.
const ROOT_LINKS: usize = 2;
/// See [`ROOT_LINKS`].
const END_LINKS: usize = 8;
/// Lines for a call path.
const STACK_LINES: usize = 3;
/// Columns that a command line keeps however deep it is indented.
const LEAST_CMDLINE: usize = 24;
/// Columns of the first part of a link, for the second to be aligned.
const NAME_COLUMNS: usize = 30;

/// Shells, whose copies are called subshells.
const SHELLS: &[&str] = &["ash", "bash", "busybox", "dash", "fish", "ksh", "sh", "zsh"];

pub(super) struct View<'a> {
    pub(super) forests: &'a [Forest],
    pub(super) found: &'a Found,
    pub(super) stacks: &'a Stacks,
    pub(super) screen: Screen,
    /// Whether command lines are shown whole.
    pub(super) wide: bool,
}

impl View<'_> {
    pub(super) fn lines(&self, pattern: &str, chains: &[Chain], shown: usize) -> Vec<String> {
        let mut lines = vec![
            String::new(),
            self.screen.bold(&self.title(pattern, chains)),
        ];
        if self.found.failed > 0 {
            let attempts = text::counted(self.found.failed as i64, "attempt", "attempts");
            lines.push(format!("{attempts} to execute it failed"));
        }
        for (i, chain) in chains.iter().take(shown).enumerate() {
            lines.push(String::new());
            self.chain(i + 1, chain, &mut lines);
        }
        if chains.len() > shown {
            lines.push(String::new());
            let more = chains.len() - shown;
            let runs: usize = chains[shown..].iter().map(|c| c.runs + c.before).sum();
            lines.push(format!(
                "{} with {} not shown; --all shows them",
                text::counted(more as i64, "more chain", "more chains"),
                text::counted(runs as i64, "run", "runs")
            ));
        }
        lines
    }

    fn title(&self, pattern: &str, chains: &[Chain]) -> String {
        let runs: usize = chains.iter().map(|c| c.runs).sum();
        let before: usize = chains.iter().map(|c| c.before).sum();
        let mut parts = Vec::new();
        if runs > 0 || before == 0 {
            parts.push(text::counted(runs as i64, "run", "runs"));
        }
        if before > 0 {
            parts.push(format!("{} running before", text::count(before as i64)));
        }
        if chains.len() > 1 {
            parts.push(format!("{} chains", text::count(chains.len() as i64)));
        }
        format!("{}: {}", printable(pattern), parts.join(", "))
    }

    fn chain(&self, number: usize, chain: &Chain, lines: &mut Vec<String>) {
        let forest = &self.forests[chain.forest];
        lines.push(format!(
            "{} {}",
            self.screen.bold(&format!("{number}.")),
            self.head(chain, forest)
        ));
        self.tree(chain, forest, lines);
        self.examples(chain, lines);
        self.parent(chain, forest, lines);
        self.caller(chain, lines);
    }

    /// How often, how regularly, when.
    fn head(&self, chain: &Chain, forest: &Forest) -> String {
        let clock = forest.boot.clock;
        let mut parts = Vec::new();
        if chain.runs > 0 {
            parts.push(text::counted(chain.runs as i64, "run", "runs"));
        }
        if chain.before > 0 {
            let before = text::count(chain.before as i64);
            parts.push(format!("{before} running before the recording"));
        }
        if let Some(period) = chain.period {
            let at_once = match period.at_once {
                0 | 1 => String::new(),
                n => format!(", {n} at a time"),
            };
            let spread = match period.spread_ns {
                0 => String::new(),
                ns => format!(" (±{})", text::duration(ns)),
            };
            let every = text::duration(period.every_ns);
            parts.push(format!("every {every}{spread}{at_once}"));
        }
        let (first, last) = (clock.wall_us(chain.first_ns), clock.wall_us(chain.last_ns));
        if chain.runs > 1 {
            let begin = text::time(first);
            let date = begin.split(' ').next().unwrap_or_default();
            let (first, last) = text::span_near(first, last, first);
            parts.push(format!("{date} {first} to {last} UTC"));
        } else {
            let since = if chain.runs == 0 { "since " } else { "" };
            parts.push(format!("{since}{} UTC", text::time(last)));
        }
        let host = printable(&forest.boot.host).into_owned();
        if self.forests.len() > 1 {
            parts.push(format!("on {host}"));
        }
        parts.join(", ")
    }

    fn tree(&self, chain: &Chain, forest: &Forest, lines: &mut Vec<String>) {
        let links = &chain.links;
        // Where the first process comes from is only known of the first of all,
        // and of kernel threads.
        if forest.pid(chain.root) > 2 {
            let unknown = "(what started this is not known: it had gone, or its events were lost)";
            lines.push(format!("   {}", self.screen.warning(unknown)));
        }
        let all = links.len() + chain.left_out;
        let skipped = all.saturating_sub(ROOT_LINKS + END_LINKS);
        let mut depth = 0;
        for (i, link) in links.iter().enumerate() {
            if skipped > 0 && i == ROOT_LINKS {
                let more = more(skipped);
                lines.push(format!("   {}{}", branch(depth), self.screen.dim(&more)));
                depth += 1;
            }
            if skipped > 0 && (ROOT_LINKS..links.len() - END_LINKS).contains(&i) {
                continue;
            }
            lines.push(self.link(chain, forest, link, depth));
            depth += 1;
        }
        lines.push(self.leaf(chain, forest, depth));
    }

    fn link(&self, chain: &Chain, forest: &Forest, link: &Link, depth: usize) -> String {
        let name = if link.comm.is_empty() {
            "(unknown)".into()
        } else {
            printable(&link.comm).into_owned()
        };
        let who = match link.form {
            Form::Copy if is_shell(link) => format!("{name} (subshell)"),
            Form::Copy => format!("{name} (copy)"),
            Form::Process | Form::Before => name,
        };
        let number = match (link.form, link.processes) {
            (Form::Before, _) => "then exec".to_owned(),
            (_, n) if n == link.nodes.len() => {
                let pids: Vec<String> = link
                    .nodes
                    .iter()
                    .map(|node| forest.pid(*node).to_string())
                    .collect();
                pids.join(", ")
            }
            (_, n) => format!("×{}", text::count(n as i64)),
        };
        let cmdline = match link.form {
            Form::Copy => String::new(),
            Form::Process | Form::Before => link
                .cmdline
                .as_deref()
                .map(|line| printable(line).into_owned())
                .unwrap_or_default(),
        };
        let since = match (link.form, link.only()) {
            (Form::Process, Some(node)) => self.since(chain, forest, node),
            _ => String::new(),
        };
        self.row(depth, &format!("{who} {number}"), &cmdline, &since)
    }

    /// The program itself.
    fn leaf(&self, chain: &Chain, forest: &Forest, depth: usize) -> String {
        let comms: Vec<String> = chain
            .comms
            .iter()
            .take(EXAMPLES)
            .map(
                |(comm, n)| match (chain.runs + chain.before, chain.comms.len()) {
                    (1, _) => format!("{} {}", printable(comm), forest.pid(chain.node)),
                    (_, 1) => format!("{} ×{}", printable(comm), text::count(*n as i64)),
                    _ => format!("{} ×{}", printable(comm), text::count(*n as i64)),
                },
            )
            .collect();
        let more = match chain.comms.len().saturating_sub(EXAMPLES) {
            0 => String::new(),
            n => format!(", {n} more"),
        };
        let name = format!("{}{more}", comms.join(", "));
        format!("   {}{}", branch(depth), self.screen.bold(&name))
    }

    fn row(&self, depth: usize, name: &str, cmdline: &str, since: &str) -> String {
        let before = format!("   {}{name}", branch(depth));
        let gap = NAME_COLUMNS.saturating_sub(text::width(&before)).max(2);
        let used = text::width(&before) + gap + text::width(since) + 2;
        let columns = match self.wide {
            true => usize::MAX,
            false => self.screen.width.saturating_sub(used).max(LEAST_CMDLINE),
        };
        let cmdline = text::fit(cmdline, columns);
        let blank = " ".repeat(gap);
        if cmdline.is_empty() && since.is_empty() {
            return before;
        }
        if cmdline.is_empty() {
            return format!("{before}{blank}{}", self.screen.dim(since));
        }
        format!("{before}{blank}{cmdline}  {}", self.screen.dim(since))
    }

    /// Since when a process ran, where that was before the recording.
    fn since(&self, chain: &Chain, forest: &Forest, node: u32) -> String {
        let start_us = forest.start_us(node);
        let first_us = forest.boot.clock.wall_us(chain.first_ns);
        if forest.start_ns(node) < forest.boot.clock.boot_ns {
            format!(
                "since {}, before the recording",
                text::time_near(start_us, first_us)
            )
        } else {
            format!("since {}", text::time_near(start_us, first_us))
        }
    }

    fn examples(&self, chain: &Chain, lines: &mut Vec<String>) {
        let widest = chain
            .examples
            .first()
            .map_or(1, |e| text::count(e.runs as i64).len());
        for example in chain.examples.iter().take(EXAMPLES) {
            let count = text::count(example.runs as i64);
            let before = format!("   {count:>widest$}× ");
            let cmdline = self.rest(&before, &example.cmdline);
            lines.push(format!("{before}{cmdline}"));
        }
        let more = chain.examples.len().saturating_sub(EXAMPLES);
        if more > 0 {
            let more = text::counted(more as i64, "other command line", "other command lines");
            lines.push(format!("   {}", self.screen.dim(&format!("and {more}"))));
        }
    }

    /// A command line that ends a line which begins like that.
    fn rest(&self, before: &str, cmdline: &str) -> String {
        let columns = self.screen.line(self.wide);
        let columns = columns.saturating_sub(text::width(before));
        text::fit(&printable(cmdline), columns.max(LEAST_CMDLINE))
    }

    fn parent(&self, chain: &Chain, forest: &Forest, lines: &mut Vec<String>) {
        let own = chain.links.iter().rev().find(|l| l.form == Form::Process);
        let Some(link) = own else { return };
        let pid = match link.only() {
            Some(node) => format!("pid {}", forest.pid(node)),
            None => format!("{} processes", text::count(link.processes as i64)),
        };
        let cmdline = link.cmdline.as_deref().unwrap_or(&link.comm);
        let who = format!("{}, {pid}: ", printable(&link.comm));
        let cmdline = self.rest(&format!("   from {who}"), cmdline);
        lines.push(format!("   {} {who}{cmdline}", self.screen.bold("from")));
    }

    fn caller(&self, chain: &Chain, lines: &mut Vec<String>) {
        let Some((caller, runs)) = chain.callers.first() else {
            return;
        };
        let functions = self.stacks.functions(caller.stack_id);
        let names: Vec<String> = functions
            .iter()
            .map(|function| printable(self.stacks.name(*function)).into_owned())
            .collect();
        if names.is_empty() {
            return;
        }
        let verb = if caller.forked {
            "forked by"
        } else {
            "executed by"
        };
        let share = match chain.callers.len() {
            1 => String::new(),
            n => format!(
                " ({} of the runs, {} other call paths)",
                text::share(*runs as i64, chain.runs as i64),
                n - 1
            ),
        };
        lines.push(format!("   {}{share}", self.screen.bold(verb)));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let columns = self.screen.width.saturating_sub(5);
        let flowed = text::flow(&names, " → ", columns);
        // The leaf is what matters: where a path is long, its root goes.
        let skipped = flowed.len().saturating_sub(STACK_LINES);
        for (i, line) in flowed.iter().skip(skipped).enumerate() {
            let dots = if i == 0 && skipped > 0 { "… " } else { "" };
            lines.push(format!("     {dots}{line}"));
        }
    }
}

/// What stands for links that are not shown.
pub(super) fn more(links: usize) -> String {
    format!("… {} more …", text::count(links as i64))
}

/// Whether a shell runs there, be it one that runs a script and has its name.
fn is_shell(link: &Link) -> bool {
    let program = link.cmdline.as_deref().unwrap_or(&link.comm);
    let program = program.split(' ').next().unwrap_or(program);
    let name = program.rsplit('/').next().unwrap_or(program);
    SHELLS.contains(&name.trim_start_matches('-'))
}

fn branch(depth: usize) -> String {
    match depth {
        0 => String::new(),
        n => format!("{}└─ ", "   ".repeat(n - 1)),
    }
}
