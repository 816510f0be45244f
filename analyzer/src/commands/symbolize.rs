//! `whence symbolize`: names, inlined functions and lines from debug files.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use whence_schemas::quote::printable;

use super::{Answer, session};
use crate::cli::Symbolize;
use crate::render::text;
use crate::symbolize::{Outcome, symbolize};
use crate::{Error, Result};

/// Modules that are told one by one.
const TOLD: usize = 15;

/// Names the frames and says what became of each module.
///
/// # Errors
/// [`Error::Usage`] if it is not one finished recording, or no debug file fits.
pub async fn run(args: &Symbolize) -> Result<()> {
    for dir in &args.debug_dir {
        if !dir.is_dir() {
            let reason = format!("{} is not a folder of debug files", dir.display());
            return Err(Error::Usage(reason));
        }
    }
    let session = session(&args.source, false)?;
    let [recording] = &session.recordings.all[..] else {
        return Err(Error::Usage(
            "debug files are added to one recording at a time; name it with -i".into(),
        ));
    };
    let outcomes = symbolize(&session, recording, &args.debug_dir).await?;
    let mut answer = Answer::begin(args.output.format, &session.recordings)?;
    if !args.output.format.is_human() {
        let rows = rows(&outcomes)?;
        answer.rows(&rows.schema(), &[rows])?;
        return answer.finish();
    }
    let sum = |of: fn(&Outcome) -> usize| outcomes.iter().map(of).sum::<usize>();
    let [frames, named, lines] = [sum(|o| o.frames), sum(|o| o.named), sum(|o| o.lines)];
    answer.title(&format!(
        "{} named from debug files, {} with file and line, of {}",
        text::count(named as i64),
        text::count(lines as i64),
        text::counted(frames as i64, "user frame", "user frames"),
    ))?;
    answer.line("")?;
    answer.line("  frames   named   lines  module")?;
    for outcome in outcomes.iter().take(TOLD) {
        let head = format!(
            "  {:>6}  {:>6}  {:>6}  {}",
            outcome.frames,
            outcome.named,
            outcome.lines,
            printable(&outcome.module),
        );
        let note = match (&outcome.reason, &outcome.build_id) {
            (Some(reason), Some(id)) => format!("  build-id {id}: {reason}"),
            (Some(reason), None) => format!("  {reason}"),
            (None, _) => String::new(),
        };
        let note = answer.screen.dim(&printable(&note));
        answer.line(&format!("{head}{note}"))?;
    }
    if outcomes.len() > TOLD {
        let more = format!(
            "{} more modules; --format csv lists all",
            outcomes.len() - TOLD
        );
        answer.line(&answer.screen.dim(&more))?;
    }
    answer.finish()
}

/// One row for each module: `module`, `build_id`, `frames`, `named`, `lines`,
/// `debug_file`, `reason`.
fn rows(outcomes: &[Outcome]) -> Result<RecordBatch> {
    let text = |of: &dyn Fn(&Outcome) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(outcomes.iter().map(of)))
    };
    let int = |of: fn(&Outcome) -> usize| -> ArrayRef {
        let counts = outcomes.iter().map(|o| of(o) as i64);
        Arc::new(Int64Array::from_iter_values(counts))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("module", text(&|o| Some(o.module.clone()))),
        ("build_id", text(&|o| o.build_id.clone())),
        ("frames", int(|o| o.frames)),
        ("named", int(|o| o.named)),
        ("lines", int(|o| o.lines)),
        (
            "debug_file",
            text(&|o| o.debug_file.as_ref().map(|f| f.display().to_string())),
        ),
        ("reason", text(&|o| o.reason.clone())),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}
