//! `whence why`: how does one get to this function?

mod show;

use super::{Answer, negative, no_samples, session};
use crate::Result;
use crate::cli::Why;
use crate::functions::call_path_rows;
use crate::paths::samples::{Filter, Through, aggregate};
use crate::paths::select::{Cut, select};
use crate::stacks::Stacks;

/// Merges the call paths into the function and writes them.
///
/// # Errors
/// [`Error::Nothing`](crate::Error::Nothing) with near names if there is none.
pub async fn run(args: &Why) -> Result<()> {
    let session = session(&args.source, false)?;
    let mut stacks = Stacks::load(&session.recordings)?;
    let filter = Filter {
        pid: args.pid,
        through: Some(Through::new(&stacks, &args.function)),
    };
    let state = session.state();
    let weighted = aggregate(&state, &session.recordings, &filter).await?;
    let cut = Cut {
        user: args.all,
        interrupted: args.all,
    };
    let event = args.event.as_deref();
    let selection = match (args.pid, weighted.is_empty()) {
        (Some(pid), true) => Err(no_samples(&session, pid).await?),
        _ => select(&weighted, &mut stacks, &args.function, event, cut),
    };
    let selection = selection.map_err(|e| negative(&session.recordings, e))?;
    let mut answer = Answer::begin(args.output.format, &session.recordings)?;
    if args.output.format.is_human() {
        let least = if args.all { 0.0 } else { args.min_share };
        for line in show::lines(&selection, &stacks, &args.function, least, answer.screen) {
            answer.line(&line)?;
        }
        return answer.finish();
    }
    let rows = call_path_rows(&selection, &stacks)?;
    answer.rows(&rows.schema(), &[rows])?;
    answer.finish()
}
