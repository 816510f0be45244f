//! Another recording, and what is new, gone or changed since it: `whence diff`
//! as a part of the page.

use crate::Result;
use crate::diff::{self, Change, Diff, Kind, words};
use crate::loss::Completeness;
use crate::render::text;
use crate::session::Session;

use super::document;
use super::strings::Strings;

/// Differences of a list that the page shows.
const MOST: usize = 200;

/// What a report tells of another recording.
#[derive(Debug)]
pub struct Against {
    /// Names of the recordings that are compared with, and of their hosts.
    name: String,
    /// What they cannot know.
    completeness: Vec<String>,
    diff: Diff,
}

impl Against {
    /// Compares the recordings of a report with others, from before.
    ///
    /// # Errors
    /// What reading gives.
    pub async fn compare(before: &Session, now: &Session) -> Result<Self> {
        let mut diff = diff::compare(before, now).await?;
        diff.changes.retain(|change| change.notable);
        let recordings = &before.recordings;
        let names: Vec<String> = recordings.all.iter().map(|r| r.name()).collect();
        let mut hosts: Vec<String> = recordings.boots().into_iter().map(|b| b.host).collect();
        hosts.dedup();
        let ns = (diff.seconds[0] * 1e9) as i64;
        Ok(Self {
            name: format!(
                "{}: {} of {}",
                names.join(", "),
                text::duration(ns),
                hosts.join(", ")
            ),
            completeness: Completeness::of(recordings).lines(),
            diff,
        })
    }

    /// As the page reads it.
    pub(super) fn document(&self, strings: &mut Strings) -> document::Against {
        let mut notes: Vec<u32> = self.completeness.iter().map(|l| strings.add(l)).collect();
        for (event, side) in &self.diff.one_sided {
            let side = ["the one before", "this one"][*side];
            let note = format!("{event} was recorded only in {side}; it is not compared");
            notes.push(strings.add(&note));
        }
        let mut lists = Vec::new();
        // Sorted by kind and event already.
        let is_same = |a: &Change, b: &Change| (a.kind, &a.event) == (b.kind, &b.event);
        for changes in self.diff.changes.chunk_by(is_same) {
            lists.push(list(changes, strings));
        }
        document::Against {
            name: strings.add(&self.name),
            notes,
            lists,
        }
    }
}

fn list(changes: &[Change], strings: &mut Strings) -> document::Changes {
    let (kind, event) = changes
        .first()
        .map_or((Kind::Command, None), |c| (c.kind, c.event.as_deref()));
    let mut list = document::Changes {
        title: strings.add(&words::title(kind, event)),
        left_out: changes.len().saturating_sub(MOST),
        ..document::Changes::default()
    };
    for change in changes.iter().take(MOST) {
        let [before, now] = words::amounts(change);
        list.change.push(change.novelty().name());
        list.name.push(strings.add(&change.name));
        list.before.push(strings.add(&before));
        list.now.push(strings.add(&now));
        list.times
            .push(words::times(change).map(|t| strings.add(&t)));
        list.values.push(change.seen.map(|seen| seen.value()));
    }
    list
}
