//! `whence replay`: the events in order, as a live tool would have printed
//! them. Rows come sorted from the engine, which spills what does not fit in
//! memory; nothing is held here.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt as _;
use whence_schemas::line::{Exec, Hit};
use whence_schemas::manifest::Clock;
use whence_schemas::quote::printable;

use super::steps::Steps;
use super::{Answer, session};
use crate::Result;
use crate::cli::{Replay, Speed};
use crate::paths::select::CPU_EVENTS;
use crate::render::Format;

/// Execs and stack events as rows of one shape, in order.
const EVENTS: &str = "\
    SELECT recording_id, ts_ns, pid, comm, ppid, parent_comm, cmdline, errno, \
           argv_state, NULL AS event, NULL AS context, NULL AS cpu, 0 AS kind, \
           boot_id, upid, filename \
    FROM exec \
    UNION ALL \
    SELECT recording_id, ts_ns, pid, comm, NULL, NULL, NULL, NULL, \
           NULL, event, context, cpu, 1, NULL, NULL, NULL \
    FROM sample WHERE $all OR event NOT IN ($cpu1, $cpu2) \
    ORDER BY ts_ns, kind, pid, recording_id";

/// Prints each event as a line.
///
/// # Errors
/// What reading and writing give.
pub async fn run(args: &Replay) -> Result<()> {
    let session = session(&args.source, false)?;
    let clocks: HashMap<String, Clock> = session
        .recordings
        .all
        .iter()
        .map(|r| (r.manifest.recording_id.clone(), r.manifest.clock))
        .collect();
    let values = vec![
        ("all", args.all.into()),
        ("cpu1", CPU_EVENTS[0].into()),
        ("cpu2", CPU_EVENTS[1].into()),
    ];
    let mut answer = Answer::begin(Format::Table, &session.recordings)?;
    let steps = match args.all {
        true => Steps::default(),
        false => Steps::find(&session).await?,
    };
    let frame = session.frame(EVENTS, values).await?;
    let mut batches = frame.execute_stream().await?;
    let mut pace = Pace::new(args.speed);
    while let Some(batch) = batches.try_next().await? {
        for row in 0..batch.num_rows() {
            let event = Event { batch: &batch, row };
            if event.is_step(&steps) {
                continue;
            }
            let wall_us = event.wall_us(&clocks);
            if let Some(pause) = pace.pause(wall_us) {
                std::io::Write::flush(&mut answer.out).map_err(crate::Error::output)?;
                tokio::time::sleep(pause).await;
            }
            answer.line(&event.line(wall_us))?;
        }
    }
    answer.finish()
}

/// A row of [`EVENTS`].
struct Event<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Event<'_> {
    fn text(&self, column: usize) -> &str {
        let column = self.batch.column(column).as_string::<i32>();
        match column.is_valid(self.row) {
            true => column.value(self.row),
            false => "",
        }
    }

    fn int(&self, column: usize) -> i32 {
        let column = self.batch.column(column).as_primitive::<Int32Type>();
        match column.is_valid(self.row) {
            true => column.value(self.row),
            false => 0,
        }
    }

    fn wall_us(&self, clocks: &HashMap<String, Clock>) -> i64 {
        let ts_ns = self.batch.column(1).as_primitive::<Int64Type>();
        let clock = clocks.get(self.text(0)).copied().unwrap_or_default();
        clock.wall_us(ts_ns.value(self.row))
    }

    /// Whether it is but a step of a search along `PATH`.
    fn is_step(&self, steps: &Steps) -> bool {
        let int = |column: usize| {
            let column = self.batch.column(column).as_primitive::<Int64Type>();
            column.is_valid(self.row).then(|| column.value(self.row))
        };
        match (int(14), int(1)) {
            (Some(upid), Some(ts_ns)) if self.int(7) != 0 => {
                steps.contains(self.text(13), upid, ts_ns)
            }
            _ => false,
        }
    }

    /// What was to be executed, where it failed and the arguments do not say.
    fn tried(&self) -> Option<String> {
        let filename = self.text(15);
        let said = filename.is_empty() || self.text(6).split(' ').next() == Some(filename);
        (self.int(7) != 0 && !said).then(|| format!(", tried {}", printable(filename)))
    }

    fn line(&self, wall_us: i64) -> String {
        if self.batch.column(9).is_valid(self.row) {
            return Hit {
                wall_us,
                pid: self.int(2),
                comm: self.text(3),
                cpu: self.int(11),
                event: self.text(9),
                context: self.text(10),
            }
            .line();
        }
        let line = Exec {
            wall_us,
            ppid: self.int(4),
            parent_comm: self.text(5),
            pid: self.int(2),
            cmdline: self.text(6),
            errno: self.int(7),
            complete: self.text(8) == "complete",
        }
        .line();
        match self.tried() {
            Some(tried) => line + &tried,
            None => line,
        }
    }
}

/// Pauses between events.
struct Pace {
    speed: Speed,
    /// When the first event was printed, and when it happened.
    begin: Option<(Instant, i64)>,
}

impl Pace {
    fn new(speed: Speed) -> Self {
        Self { speed, begin: None }
    }

    /// How long to wait for an event.
    fn pause(&mut self, wall_us: i64) -> Option<Duration> {
        let Speed::Times(times) = self.speed else {
            return None;
        };
        let (started, first_us) = *self.begin.get_or_insert((Instant::now(), wall_us));
        let after = wall_us.saturating_sub(first_us).max(0) as f64 / 1e6 / times;
        let due = Duration::try_from_secs_f64(after).ok()?;
        due.checked_sub(started.elapsed()).filter(|p| !p.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_as_far_apart_as_the_speed_says() {
        let mut pace = Pace::new(Speed::Times(2.0));
        assert_eq!(pace.pause(1_000_000), None);
        let pause = pace.pause(61_000_000).unwrap();
        assert!(pause > Duration::from_secs(29) && pause <= Duration::from_secs(30));
        assert_eq!(Pace::new(Speed::Max).pause(5), None);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_pause() {
        let mut pace = Pace::new(Speed::Times(1.0));
        assert_eq!(pace.pause(i64::MAX), None);
        assert_eq!(pace.pause(i64::MIN), None);
    }
}
