//! `whence who`: every chain of ancestors that ran a program.

mod chains;
mod find;
mod period;
mod rows;
mod show;

use super::{Answer, regex, session};
use crate::cli::Who;
use crate::forest::Forest;
use crate::stacks::Stacks;
use crate::{Error, Result};

/// Chains that are printed unless all are asked for.
const SHOWN: usize = 10;

/// Finds the runs, groups them by their chain, and writes the chains.
///
/// # Errors
/// [`Error::Usage`] for a bad pattern and where nothing matches.
pub async fn run(args: &Who) -> Result<()> {
    let pattern = regex(&args.pattern)?;
    let session = session(&args.source, false)?;
    let forests = Forest::load_all(&session.recordings)?;
    let found = find::find(&session, &forests, &pattern, args.cmdline).await?;
    if found.runs.is_empty() && found.failed == 0 {
        return Err(nothing(args, &forests));
    }
    let stacks = match found.runs.iter().any(|run| run.stack.is_some()) {
        true => Stacks::load(&session.recordings)?,
        false => Stacks::default(),
    };
    let chains = chains::group(&forests, &found);
    let mut answer = Answer::begin(args.output.format, &session.recordings)?;
    if args.output.format.is_human() {
        let shown = if args.all { chains.len() } else { SHOWN };
        let view = show::View {
            forests: &forests,
            found: &found,
            stacks: &stacks,
            screen: answer.screen,
        };
        for line in view.lines(&args.pattern, &chains, shown) {
            answer.line(&line)?;
        }
        return answer.finish();
    }
    let rows = rows::batch(&forests, &found, &stacks, &chains)?;
    answer.rows(&rows.schema(), &[rows])?;
    answer.finish()
}

fn nothing(args: &Who, forests: &[Forest]) -> Error {
    let mut names: Vec<&str> = forests
        .iter()
        .flat_map(|forest| forest.nodes().map(|node| forest.comm(node)))
        .collect();
    names.sort_unstable();
    names.dedup();
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
    Error::Usage(format!("no program matches {:?}; {hint}", args.pattern))
}
