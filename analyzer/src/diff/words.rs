//! How a difference is said, on a terminal and on a page.

use super::chance::Seen;
use super::{Change, Kind};

/// What a list of differences of a kind is called.
#[must_use]
pub fn title(kind: Kind, event: Option<&str>) -> String {
    let of = event.unwrap_or("all");
    match kind {
        Kind::Command => "programs, runs in a time".to_owned(),
        Kind::Chain => "chains of ancestors, runs in a time".to_owned(),
        Kind::Exit => "how programs ended, share of their ends".to_owned(),
        Kind::Event => "stack events in a time".to_owned(),
        Kind::Function => format!("functions on call paths, share of {of}"),
        Kind::Path => format!("call paths, share of {of}"),
    }
}

/// What each recording has, as a share or a rate that reads well.
#[must_use]
pub fn amounts(change: &Change) -> [String; 2] {
    change.seen.map(|seen| amount(change.kind, seen))
}

/// How many times as much the second has; `None` where one of them has none.
#[must_use]
pub fn times(change: &Change) -> Option<String> {
    let ratio = change.ratio().filter(|ratio| *ratio > 0.0)?;
    Some(match ratio {
        100.0.. => format!("×{ratio:.0}"),
        10.0.. => format!("×{ratio:.1}"),
        _ => format!("×{ratio:.2}"),
    })
}

fn amount(kind: Kind, seen: Seen) -> String {
    let value = seen.value();
    if seen.count == 0 {
        return "-".into();
    }
    if kind.is_share() {
        return format!("{:.1}%", value * 100.0);
    }
    match value {
        1.0.. => format!("{value:.1}/s"),
        _ if value * 60.0 >= 1.0 => format!("{:.1}/min", value * 60.0),
        _ => format!("{:.1}/h", value * 3600.0),
    }
}
