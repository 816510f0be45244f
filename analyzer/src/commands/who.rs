//! `whence who`: every chain of ancestors that ran a program.

mod chains;
mod execs;
mod find;
mod images;
mod period;
mod rows;
mod show;

use std::collections::BTreeSet;

use regex::Regex;

use chains::{Chain, Detail, Groups};
use execs::Execs;
use find::Found;
use hashbrown::HashSet;

use super::{Answer, negative, regex, session};
use crate::cli::Who;
use crate::forest::{Column, Forest};
use crate::recording::Recordings;
use crate::stacks::Stacks;
use crate::{Error, Result};

/// Chains that are printed unless all are asked for.
const SHOWN: usize = 10;

/// Finds the runs, groups them by their chain, and writes the chains.
///
/// # Errors
/// [`Error::Usage`] for a bad pattern, [`Error::Nothing`] where none matches.
pub async fn run(args: &Who) -> Result<()> {
    let pattern = regex(&args.pattern)?;
    let session = session(&args.source, false)?;
    let recordings = &session.recordings;
    let (mut first, mut later) = (find::FIRST.to_vec(), find::LATER.to_vec());
    if args.cmdline {
        first.push(Column::Cmdline);
        later.retain(|column| *column != Column::Cmdline);
    }
    let mut forests = Forest::load_all_in_parts(recordings, &first, &later)?;
    let execs = Execs::load(recordings, args.cmdline)?;
    let mut find = |pattern: &Regex, by_cmdline| {
        find::find(recordings, &mut forests, &execs, pattern, by_cmdline)
    };
    let mut found = match exact(args)? {
        Some(exact) => find(&exact, false)?,
        None => Found::default(),
    };
    if found.is_empty() {
        found = find(&pattern, args.cmdline)?;
    }
    if found.is_empty() {
        return Err(negative(&session.recordings, nothing(args, &forests)));
    }
    let (groups, chains) = chains::group(&forests, &mut found);
    let answer = match args.output.format.is_human() {
        true => for_people(args, recordings, &forests, &found, &groups, chains)?,
        false => as_rows(args, recordings, &forests, &found, &groups, chains)?,
    };
    // The system takes back at once what the allocator would take apart.
    std::mem::forget((forests, execs, found, groups));
    answer.finish()
}

fn for_people(
    args: &Who,
    recordings: &Recordings,
    forests: &[Forest],
    found: &Found,
    groups: &Groups,
    mut chains: Vec<Chain>,
) -> Result<Answer> {
    let shown = if args.all { usize::MAX } else { SHOWN };
    for chain in chains.iter_mut().take(shown) {
        groups.describe(chain, forests, found, Detail::Whole);
    }
    let callers = chains.iter().flat_map(|chain| &chain.callers);
    let stacks = stacks(recordings, callers.map(|(caller, _)| caller.stack_id))?;
    let mut answer = Answer::begin(args.output.format, recordings)?;
    let view = show::View {
        forests,
        found,
        stacks: &stacks,
        screen: answer.screen,
        wide: args.wide,
    };
    for line in view.lines(&args.pattern, &chains, shown) {
        answer.line(&line)?;
    }
    Ok(answer)
}

/// Chains that are described at once: all of them may be more than fits in memory.
const DESCRIBED: usize = 1024;

fn as_rows(
    args: &Who,
    recordings: &Recordings,
    forests: &[Forest],
    found: &Found,
    groups: &Groups,
    chains: Vec<Chain>,
) -> Result<Answer> {
    let callers = found.runs.iter().filter_map(|run| run.stack);
    let stacks = stacks(recordings, callers.map(|caller| caller.stack_id))?;
    let mut answer = Answer::begin(args.output.format, recordings)?;
    let mut left = chains.into_iter();
    let mut number = 1;
    let mut next = || {
        let mut part: Vec<Chain> = left.by_ref().take(DESCRIBED).collect();
        for chain in &mut part {
            groups.describe(chain, forests, found, Detail::End);
        }
        let rows = rows::batch(forests, found, &stacks, &part, number)?;
        number += part.len();
        Ok(rows)
    };
    answer.row_by_row(&mut next)?;
    Ok(answer)
}

/// These call paths.
fn stacks(recordings: &Recordings, ids: impl Iterator<Item = i64>) -> Result<Stacks> {
    let ids: HashSet<i64> = ids.collect();
    match ids.is_empty() {
        true => Ok(Stacks::default()),
        false => Stacks::load_some(recordings, &ids),
    }
}

/// A pattern that is a plain word is the whole name of a program, if there is
/// one of that name.
fn exact(args: &Who) -> Result<Option<Regex>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if args.cmdline || args.pattern.is_empty() || !args.pattern.chars().all(is_word) {
        return Ok(None);
    }
    regex(&format!("^{}$", args.pattern)).map(Some)
}

fn nothing(args: &Who, forests: &[Forest]) -> Error {
    let names: BTreeSet<&str> = forests.iter().flat_map(Forest::comms).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    names.retain(|name| strsim::jaro_winkler(name, &args.pattern) > 0.75);
    names.sort_by(|a, b| {
        let like = |name: &str| strsim::jaro_winkler(name, &args.pattern);
        like(b).total_cmp(&like(a))
    });
    names.truncate(5);
    let hint = match (names.is_empty(), args.cmdline) {
        (false, _) => format!("near names: {}", names.join(", ")),
        (true, false) => "--cmdline matches whole command lines".into(),
        (true, true) => "`whence tree` shows what ran".into(),
    };
    Error::Nothing(format!("no program matches {:?}; {hint}", args.pattern))
}
