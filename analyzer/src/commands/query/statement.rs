//! Runs one statement and writes its rows as they come.

use std::io::Write as _;

use datafusion::dataframe::DataFrame;
use futures::StreamExt as _;
use whence_schemas::quote::printable;

use crate::commands::Answer;
use crate::render::{Rows, Watch, text};
use crate::session::{Running, Session};
use crate::{Error, Result};

/// Writes the rows and gives their number.
pub(in crate::commands) async fn run(
    session: &Session,
    frame: DataFrame,
    answer: &mut Answer,
) -> Result<usize> {
    let (running, mut batches) = session.start(frame).await?;
    say_notes(session, answer)?;
    let schema = batches.schema();
    let mut progress = Some(progress(running));
    let (format, screen) = (answer.format, answer.screen);
    let mut rows = Rows::new(format, &schema, &screen, &mut answer.out)?;
    let mut count = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        count += batch.num_rows();
        // Where rows are shown as they come, they are the progress.
        if screen.is_terminal && batch.num_rows() > 0 {
            progress = None;
        }
        rows.write(&batch)?;
    }
    drop(progress);
    rows.finish()?;
    Ok(count)
}

/// What functions have found out while the question was planned.
fn say_notes(session: &Session, answer: &mut Answer) -> Result<()> {
    for note in session.notes() {
        answer.out.flush().map_err(Error::output)?;
        eprintln!("whence: {}", printable(&note));
    }
    Ok(())
}

fn progress(running: Running) -> Watch {
    Watch::new(move || {
        let (rows, bytes) = running.read();
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let rows = text::counted(rows, "row", "rows");
        format!("{rows} read, {}", text::bytes(bytes as u64))
    })
}
