//! `whence flame`: the call paths of an event as an SVG that a browser zooms
//! and searches.

use std::collections::HashMap;

use whence_schemas::quote::printable;

use super::top::chosen;
use super::{negative, no_samples, say_completeness, session};
use crate::cli::Flame;
use crate::loss::Completeness;
use crate::paths::samples::{Filter, Samples, Weighted, aggregate};
use crate::paths::select::{short, unit, whole};
use crate::paths::trie::Trie;
use crate::recording::Recordings;
use crate::render::flame::{Frame, Graph, Kind};
use crate::render::{file, text};
use crate::stacks::Stacks;
use crate::{Error, Result};

/// Share of the whole below which nothing is drawn: a third of a pixel.
const LEAST_SHARE: i64 = 4_000;

/// Draws and writes.
///
/// # Errors
/// [`Error::Usage`] if there is no such event.
pub async fn run(args: &Flame) -> Result<()> {
    let session = session(&args.source, false)?;
    let recordings = &session.recordings;
    let filter = Filter {
        pid: args.pid,
        through: None,
    };
    let weighted = aggregate(&session.state(), recordings, &filter).await?;
    let event = match (args.pid, weighted.is_empty()) {
        (Some(pid), true) => Err(no_samples(&session, pid).await?),
        _ => chosen(&weighted, args.event.as_deref(), args.pid),
    };
    let event = event.map_err(|e| negative(recordings, e))?;
    let mut stacks = Stacks::load(recordings)?;
    let merged = Merged::of(&weighted, &mut stacks, &event);
    if merged.trie.weight() == 0 {
        let error = Error::Nothing(format!("all stacks of {event} are of the idle task"));
        return Err(negative(recordings, error));
    }
    let mut notes = Completeness::of(recordings).lines();
    let (frames, left_out) = merged.layout();
    if left_out > 0 {
        notes.push(format!(
            "{} frames are too small to be drawn",
            text::count(left_out)
        ));
    }
    let graph = Graph {
        title: title(recordings, &event, args.pid),
        notes,
        unit: unit(&event),
        whole: merged.trie.weight(),
        frames,
    };
    file::write(&args.output, graph.svg().as_bytes(), recordings)?;
    say_completeness(recordings);
    Ok(())
}

fn title(recordings: &Recordings, event: &str, pid: Option<i32>) -> String {
    let mut hosts: Vec<String> = recordings.boots().into_iter().map(|b| b.host).collect();
    hosts.dedup();
    let of = pid.map_or(String::new(), |pid| format!(" of pid {pid}"));
    printable(&format!("{event}{of} on {}", hosts.join(", "))).into_owned()
}

/// All paths, merged from their root: the name of the thread, or the context of
/// an interrupt, whose thread is no cause of it.
#[derive(Default)]
struct Merged {
    trie: Trie,
    frames: Vec<(Kind, String)>,
    numbers: HashMap<(Kind, String), u32>,
}

impl Merged {
    fn of(rows: &Samples, stacks: &mut Stacks, event: &str) -> Self {
        let mut this = Self::default();
        let probe = (unit(event) == "hits").then(|| stacks.intern(short(event)));
        let busy = |row: &Weighted<'_>| row.event == event && row.context != "idle";
        for row in rows.iter().filter(busy) {
            let path = whole(stacks, &row, probe);
            let mut frames = vec![match row.context {
                "task" => this.number(Kind::Mark, row.comm),
                context => this.number(Kind::Mark, &format!("[{context}]")),
            }];
            if path.truncated {
                frames.push(this.number(Kind::Mark, "[truncated]"));
            }
            for (i, function) in path.functions.iter().enumerate() {
                let kind = match (stacks.is_unresolved(*function), i < path.kernel_at) {
                    (true, _) => Kind::Unnamed,
                    (false, true) => Kind::Program,
                    (false, false) => Kind::Kernel,
                };
                frames.push(this.number(kind, stacks.name(*function)));
            }
            this.trie.add(&frames, row.weight.max(0), row.samples);
        }
        let frames = &this.frames;
        this.trie.sort(|number| &frames[number as usize].1);
        this
    }

    fn number(&mut self, kind: Kind, name: &str) -> u32 {
        let frame = (kind, printable(name).into_owned());
        *self.numbers.entry(frame.clone()).or_insert_with(|| {
            self.frames.push(frame);
            self.frames.len() as u32 - 1
        })
    }

    /// Where each frame is drawn, and how many are too small for that.
    fn layout(&self) -> (Vec<Frame<'_>>, i64) {
        let least = self.trie.weight() / LEAST_SHARE;
        let (mut frames, mut left_out) = (Vec::new(), 0);
        let mut stack: Vec<(u32, i64, usize)> = Vec::new();
        let push = |stack: &mut Vec<_>, nodes: &[u32], mut at: i64, depth| {
            for node in nodes {
                stack.push((*node, at, depth));
                at = at.saturating_add(self.trie.node(*node).weight);
            }
        };
        push(&mut stack, self.trie.roots(), 0, 0);
        while let Some((number, at, depth)) = stack.pop() {
            let node = self.trie.node(number);
            if node.weight <= least {
                left_out += 1;
                continue;
            }
            let (kind, name) = &self.frames[node.function as usize];
            frames.push(Frame {
                name,
                kind: *kind,
                at,
                weight: node.weight,
                depth,
            });
            push(&mut stack, &node.children, at, depth + 1);
        }
        (frames, left_out)
    }
}
