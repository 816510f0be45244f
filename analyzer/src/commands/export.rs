//! `whence export`: a recording for the viewers that people already use.

use super::{negative, no_samples, session, top};
use crate::cli::Export;
use crate::export::{self, Filter, Span, Written};
use crate::loss::Completeness;
use crate::render::{Screen, file, text};
use crate::session::Session;
use crate::time::instant;
use crate::{Error, Result};

/// Writes the file, whole or not at all.
///
/// # Errors
/// [`Error::Nothing`] if there is no such event, [`Error::Usage`] for a bad
/// time, [`Error::Write`].
pub async fn run(args: &Export) -> Result<()> {
    let target = args.to;
    if args.output.is_none() && target.is_binary() && Screen::stdout().is_terminal {
        return Err(Error::Usage(
            "a terminal cannot show this format; name a file with -o".into(),
        ));
    }
    let session = session(&args.source, false)?;
    let filter = filter(args, &session)
        .await
        .map_err(|e| negative(&session.recordings, e))?;
    for line in Completeness::of(&session.recordings).lines() {
        eprintln!("whence: {line}");
    }
    let mut out = file::Output::create(args.output.as_deref(), &session.recordings)?;
    let result = export::write(&session, target, &filter, &mut out).await;
    let written = result.map_err(|e| out.named(e))?;
    out.finish()?;
    if let Some(path) = &args.output {
        eprintln!("whence: {}: {}", path.display(), said(written));
    }
    Ok(())
}

fn said(written: Written) -> String {
    let samples = text::counted(written.samples, "stack event", "stack events");
    match written.processes {
        Some(n) => format!("{}, {samples}", text::counted(n, "process", "processes")),
        None => samples,
    }
}

/// What of the recordings is asked for.
async fn filter(args: &Export, session: &Session) -> Result<Filter> {
    let recordings = &session.recordings;
    let mut filter = Filter {
        pid: args.pid,
        ..Filter::default()
    };
    if args.since.is_some() || args.until.is_some() {
        for boot in recordings.boots() {
            let at = |time: &Option<String>| {
                let time = time.as_deref();
                time.map(|time| instant(time, recordings, &boot))
                    .transpose()
            };
            let span = Span {
                from_ns: at(&args.since)?.unwrap_or(i64::MIN),
                to_ns: at(&args.until)?.unwrap_or(i64::MAX),
                boot_id: boot.boot_id.clone(),
            };
            if span.from_ns >= span.to_ns {
                return Err(Error::Usage("--since is not before --until".into()));
            }
            filter.spans.push(span);
        }
    }
    if !args.to.needs_event() && args.event.is_none() {
        return Ok(filter);
    }
    let mut rows = session
        .frame("SELECT event, pid, ts_ns, boot_id FROM sample", vec![])
        .await?;
    if let Some(wanted) = filter.events() {
        rows = rows.filter(wanted)?;
    }
    let rows = rows.select_columns(&["event"])?.distinct()?;
    let mut events: Vec<String> = Vec::new();
    for batch in rows.collect().await? {
        use arrow::array::AsArray as _;
        let names = batch.column(0).as_string::<i32>();
        events.extend(names.iter().flatten().map(str::to_owned));
    }
    events.sort_unstable();
    match (events.is_empty(), args.pid) {
        (true, Some(pid)) => return Err(no_samples(session, pid).await?),
        (true, None) if !filter.spans.is_empty() => {
            return Err(Error::Nothing("no stack event is of that time".into()));
        }
        _ => {}
    }
    let recorded = events.iter().map(String::as_str);
    filter.event = Some(top::chosen_of(recorded, args.event.as_deref(), args.pid)?);
    Ok(filter)
}
