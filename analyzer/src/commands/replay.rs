//! `whence replay`: the events in order, as a live tool would have printed
//! them. Rows come sorted from the engine, which spills what does not fit in
//! memory; nothing is held here.

mod event;
mod follow;
mod held;
mod pace;
mod sink;

use datafusion::dataframe::DataFrame;
use futures::TryStreamExt as _;

use super::steps::Steps;
use super::{Answer, session};
use crate::Result;
use crate::cli::Replay;
use crate::paths::select::CPU_EVENTS;
use crate::render::Watch;
use crate::session::Session;

use event::Event;
use held::Held;
use pace::Pace;
use sink::Sink;

/// Execs and stack events as rows of one shape, in order. Times of different
/// boots can only be compared by the wall clock.
const EVENTS: &str = "\
    SELECT coalesce(time, wall_time(boot_id, ts_ns)) AS time, ts_ns, 'exec' AS event, \
           pid, comm, ppid, parent_comm, cmdline, errno, argv_state, filename, \
           NULL AS context, NULL AS cpu, upid, host, boot_id, recording_id \
    FROM exec \
    UNION ALL \
    SELECT wall_time(boot_id, ts_ns), ts_ns, event, pid, comm, NULL, NULL, NULL, NULL, \
           NULL, NULL, context, cpu, upid, host, boot_id, recording_id \
    FROM sample WHERE $all OR event NOT IN ($cpu1, $cpu2) \
    ORDER BY time, ts_ns, event, pid, recording_id, cpu";

/// Writes each event.
///
/// # Errors
/// What reading and writing give.
pub async fn run(args: &Replay) -> Result<()> {
    if args.follow {
        return follow::run(args).await;
    }
    let session = session(&args.source, false)?;
    let mut answer = Answer::begin_live(args.output.format, &session.recordings)?;
    let events = events(args, &session).await?;
    let mut sink = Sink::new(&mut answer, events.schema().as_arrow())?;
    let mut pace = Pace::new(args.speed);
    let mut held = Held::default();
    replay(args, &session, events, &mut held, &mut sink, &mut pace).await?;
    sink.finish()?;
    answer.finish()
}

async fn events(args: &Replay, session: &Session) -> Result<DataFrame> {
    let values = vec![
        ("all", args.all.into()),
        ("cpu1", CPU_EVENTS[0].into()),
        ("cpu2", CPU_EVENTS[1].into()),
    ];
    session.frame(EVENTS, values).await
}

/// Writes the events of a session, at their pace, after those that were held
/// back before; holds back those that a session to come may tell to be steps of
/// a search.
async fn replay(
    args: &Replay,
    session: &Session,
    events: DataFrame,
    held: &mut Held,
    sink: &mut Sink<'_>,
    pace: &mut Pace,
) -> Result<()> {
    let progress = Watch::new(|| "putting events in order".into());
    let steps = match args.all {
        true => Steps::default(),
        false => Steps::find(session, &held.failed()).await?,
    };
    for (batch, row) in held.decided(&steps) {
        write(&Event { batch: &batch, row }, sink, pace).await?;
    }
    let mut batches = events.execute_stream().await?;
    let mut next = batches.try_next().await?;
    drop(progress);
    while let Some(batch) = next {
        for row in 0..batch.num_rows() {
            let event = Event { batch: &batch, row };
            if event.is_step(&steps) {
                continue;
            }
            while let Some((batch, row)) = held.release(event.wall_us()) {
                write(&Event { batch: &batch, row }, sink, pace).await?;
            }
            if !held.keep(&event) {
                write(&event, sink, pace).await?;
            }
        }
        next = batches.try_next().await?;
    }
    sink.flush()
}

/// Writes an event when it is its time.
async fn write(event: &Event<'_>, sink: &mut Sink<'_>, pace: &mut Pace) -> Result<()> {
    if let Some(pause) = pace.pause(event.wall_us()) {
        sink.flush()?;
        tokio::time::sleep(pause).await;
    }
    sink.write(event)
}
