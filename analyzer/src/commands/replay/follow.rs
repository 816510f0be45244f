//! A recording in progress: segments are read as they are finished, until the
//! recording ends.
//!
//! All tables are rotated at one moment, but one after the other. New segments
//! are read when nothing has come for a while, so that the events of one
//! rotation are sorted together; those of the next are younger.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Event, Held, Pace, Sink, events, replay, write};
use crate::Result;
use crate::cli::Replay;
use crate::commands::steps::Steps;
use crate::commands::{Answer, open};
use crate::loss::Completeness;
use crate::recording::{Recording, Recordings};
use crate::session::{Limits, Session};

/// Time between two looks.
const STEP: Duration = Duration::from_millis(200);

/// Writes events as they come.
pub(super) async fn run(args: &Replay) -> Result<()> {
    let limits = Limits {
        max_memory: args.source.max_memory,
        allow_write: false,
    };
    let mut recordings = open(&args.source)?;
    let dirs: Vec<PathBuf> = recordings.all.iter().map(|r| r.dir.clone()).collect();
    let session = Session::new(recordings.clone(), &limits)?;
    let schema = events(args, &session).await?.schema().as_arrow().clone();
    drop(session);
    let mut answer = Answer::live(args.output.format);
    let mut sink = Sink::new(&mut answer, &schema)?;
    let mut pace = Pace::new(args.speed);
    let mut held = match args.all {
        true => Held::default(),
        false => Held::open(),
    };
    let mut done = HashSet::new();
    let mut before = HashSet::new();
    loop {
        let has_ended = recordings.all.iter().all(|recording| !recording.cut_off());
        let all: HashSet<PathBuf> = recordings.all.iter().flat_map(paths).collect();
        let is_settled = has_ended || all == before;
        if has_ended {
            held.close();
        }
        if is_settled && !all.is_subset(&done) {
            let session = Session::new(without(recordings, &done), &limits)?;
            let events = events(args, &session).await?;
            replay(args, &session, events, &mut held, &mut sink, &mut pace).await?;
            done.extend(all.iter().cloned());
        }
        if has_ended {
            break;
        }
        before = all;
        tokio::time::sleep(STEP).await;
        recordings = Recordings::open(&dirs)?;
    }
    for (batch, row) in held.decided(&Steps::default()) {
        write(&Event { batch: &batch, row }, &mut sink, &mut pace).await?;
    }
    sink.finish()?;
    answer.finish()?;
    // Only now it is known.
    for line in Completeness::of(&Recordings::open(&dirs)?).lines() {
        eprintln!("whence: {line}");
    }
    Ok(())
}

fn paths(recording: &Recording) -> impl Iterator<Item = PathBuf> {
    recording
        .segments
        .iter()
        .map(|segment| segment.file.path.to_path_buf())
}

/// The same recordings without the segments that were read.
fn without(recordings: Recordings, done: &HashSet<PathBuf>) -> Recordings {
    let mut all = Arc::into_inner(recordings.all).unwrap_or_default();
    for recording in &mut all {
        let is_new = |path: &PathBuf| !done.contains(path);
        recording
            .segments
            .retain(|segment| is_new(&segment.file.path.to_path_buf()));
    }
    Recordings {
        all: Arc::new(all),
        unreadable: recordings.unreadable,
        memory: recordings.memory,
    }
}
