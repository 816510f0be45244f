//! `whence report`: a recording as one page for a browser.

use super::{say_completeness, session};
use crate::Result;
use crate::cli::{Report, Source};
use crate::render::{file, text};
use crate::report::{self, Against, Options};

/// Makes the page and writes it.
///
/// # Errors
/// If the recording cannot be read or the file not be written.
pub async fn run(args: &Report) -> Result<()> {
    let session = session(&args.source, false)?;
    let against = match &args.against {
        None => None,
        Some(path) => {
            let source = Source {
                input: vec![path.clone()],
                max_memory: args.source.max_memory,
            };
            let before = super::session(&source, false)?;
            Some(Against::compare(&before, &session).await?)
        }
    };
    let options = Options {
        max_processes: args.max_processes as usize,
        against: against.as_ref(),
    };
    let mut page = Vec::new();
    let written = report::write(&session, &mut page, &options).await?;
    file::write(&args.output, &page, &session.recordings)?;
    say_completeness(&session.recordings);
    for line in &written.left_out {
        eprintln!("whence: not in the page: {line}");
    }
    eprintln!(
        "whence: {} with {} and {}",
        text::bytes(page.len() as u64),
        text::counted(written.processes as i64, "process", "processes"),
        text::counted(
            i64::try_from(written.samples).unwrap_or(i64::MAX),
            "stack",
            "stacks"
        ),
    );
    Ok(())
}
