//! What is new, gone or changed between two recordings.
//!
//! Each side is counted (`tally`): programs that ran, chains of ancestors
//! that ran them, how processes ended, stack events, and the functions and
//! call paths in them. Numbers become comparable as rates per second of
//! recording, or as shares of a whole, and differences that chance explains
//! are left out ([`chance`]).

pub mod chance;
mod tally;
pub mod words;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::Result;
use crate::session::Session;
use chance::Seen;
use tally::{Counts, Tally};

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Runs of a program, per second.
    Command,
    /// Runs of a program by one chain of ancestors, per second.
    Chain,
    /// Share of the ends of a program that had this exit status or signal.
    Exit,
    /// Stack events of a kind, per second.
    Event,
    /// Share of the stack events of a kind whose call path has this function.
    Function,
    /// Share of the stack events of a kind with exactly this call path.
    Path,
}

impl Kind {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 6] = [
        Self::Command,
        Self::Chain,
        Self::Exit,
        Self::Event,
        Self::Function,
        Self::Path,
    ];

    /// Its name in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Chain => "chain",
            Self::Exit => "exit",
            Self::Event => "event",
            Self::Function => "function",
            Self::Path => "path",
        }
    }

    /// Whether its values are shares of a whole; else they are per second.
    #[must_use]
    pub const fn is_share(self) -> bool {
        matches!(self, Self::Exit | Self::Function | Self::Path)
    }
}

/// How a value changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// Only in the second recording.
    New,
    /// Only in the first.
    Gone,
    /// In both, with other values.
    Changed,
    /// In both, with the same value.
    Same,
}

impl Novelty {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::Same => "same",
        }
    }
}

/// A difference.
#[derive(Clone, Debug)]
pub struct Change {
    /// What it is about.
    pub kind: Kind,
    /// Program, chain, program and status, event, function or call path.
    pub name: String,
    /// The kind of stack event, for those that are about one.
    pub event: Option<String>,
    /// What each recording has: how many, of how many or of how many seconds.
    pub seen: [Seen; 2],
    /// How many standard errors the values are apart; negative if it fell.
    pub deviation: f64,
    /// Whether it is more than chance and large enough to matter.
    pub notable: bool,
}

impl Change {
    /// New, gone, changed, or none of them.
    #[must_use]
    pub fn novelty(&self) -> Novelty {
        let [a, b] = self.seen;
        match (a.count > 0, b.count > 0) {
            _ if a.value().total_cmp(&b.value()).is_eq() => Novelty::Same,
            (false, _) => Novelty::New,
            (_, false) => Novelty::Gone,
            _ => Novelty::Changed,
        }
    }

    /// How many times as much the second has; `None` if the first has none.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let [a, b] = self.seen.map(|seen| seen.value());
        (a > 0.0).then(|| b / a)
    }
}

/// Two recordings compared.
#[derive(Debug)]
pub struct Diff {
    /// Seconds that each was recorded.
    pub seconds: [f64; 2],
    /// Differences by kind, the least likely by chance first.
    pub changes: Vec<Change>,
    /// Kinds of stack events that only one of them recorded, with which.
    pub one_sided: Vec<(String, usize)>,
}

/// Compares two recordings.
///
/// # Errors
/// What reading gives.
pub async fn compare(a: &Session, b: &Session) -> Result<Diff> {
    let sides = [tally::of(a).await?, tally::of(b).await?];
    let seconds = [sides[0].seconds, sides[1].seconds];
    let mut changes = Vec::new();
    let mut rates = |kind: Kind, of: fn(&Tally) -> &Counts| {
        let pairs = paired(of(&sides[0]), of(&sides[1]));
        changes.extend(pairs.into_iter().map(|(name, counts)| {
            let seen = [0, 1].map(|side| Seen::rate(counts[side], seconds[side]));
            change(kind, name, None, seen)
        }));
    };
    rates(Kind::Command, |tally| &tally.commands);
    rates(Kind::Chain, |tally| &tally.chains);
    exits(&sides, &mut changes);
    let one_sided = events(&sides, &mut changes);
    changes.sort_by(|x, y| {
        let key = |c: &Change| (c.kind, c.event.clone(), Reverse(c.notable));
        key(x)
            .cmp(&key(y))
            .then_with(|| y.deviation.abs().total_cmp(&x.deviation.abs()))
            .then_with(|| x.name.cmp(&y.name))
    });
    Ok(Diff {
        seconds,
        changes,
        one_sided,
    })
}

/// Each exit status of a program, as a share of its ends.
fn exits(sides: &[Tally; 2], changes: &mut Vec<Change>) {
    for ((program, status), counts) in paired(&sides[0].exits, &sides[1].exits) {
        let ends = |side: usize| sides[side].ends.get(&program).copied().unwrap_or(0);
        // Of a program that only one of them ran, nothing can have changed.
        if ends(0) == 0 || ends(1) == 0 {
            continue;
        }
        let seen = [0, 1].map(|side| Seen::share(counts[side], ends(side)));
        let name = format!("{program}: {status}");
        changes.push(change(Kind::Exit, name, None, seen));
    }
}

/// Stack events, and the functions and paths of the kinds that both have.
fn events(sides: &[Tally; 2], changes: &mut Vec<Change>) -> Vec<(String, usize)> {
    let mut one_sided = Vec::new();
    let names: BTreeMap<&String, ()> = sides
        .iter()
        .flat_map(|side| side.recorded.iter().map(|name| (name, ())))
        .collect();
    for name in names.into_keys() {
        if let Some(side) = sides.iter().position(|side| !side.recorded.contains(name)) {
            one_sided.push((name.clone(), 1 - side));
            continue;
        }
        let of = [0, 1].map(|side| sides[side].events.get(name));
        let total = of.map(|event| event.map_or(0, |event| event.samples));
        let seen = [0, 1].map(|side| Seen::rate(total[side], sides[side].seconds));
        changes.push(change(Kind::Event, name.clone(), None, seen));
        let [Some(a), Some(b)] = of else {
            continue;
        };
        for (kind, [a, b]) in [
            (Kind::Function, [&a.functions, &b.functions]),
            (Kind::Path, [&a.paths, &b.paths]),
        ] {
            for (function, counts) in paired(a, b) {
                let seen = [0, 1].map(|side| Seen::share(counts[side], total[side]));
                changes.push(change(kind, function, Some(name.clone()), seen));
            }
        }
    }
    one_sided
}

fn change(kind: Kind, name: String, event: Option<String>, seen: [Seen; 2]) -> Change {
    let deviation = chance::deviation(seen);
    // A program that one of them never ran is worth a line, if it ran but once.
    let is_sighting = kind == Kind::Command && seen.iter().any(|seen| seen.count == 0);
    Change {
        kind,
        name,
        event,
        seen,
        deviation,
        notable: is_sighting || chance::is_notable(seen, deviation),
    }
}

/// What either has, with both counts.
fn paired<K: Ord + Clone>(a: &BTreeMap<K, i64>, b: &BTreeMap<K, i64>) -> BTreeMap<K, [i64; 2]> {
    let mut pairs: BTreeMap<K, [i64; 2]> = BTreeMap::new();
    for (side, counts) in [a, b].into_iter().enumerate() {
        for (name, count) in counts {
            let pair = pairs.entry(name.clone()).or_default();
            pair[side] = pair[side].saturating_add(*count);
        }
    }
    pairs
}
