//! What happened when: events by step of time, CPU time by process and step,
//! and what was lost.

use std::collections::BTreeMap;

use super::document::{Loss, Series};
use super::ground::{Ground, Rows};
use super::strings::Strings;
use crate::Result;
use crate::paths::select::CPU_EVENTS;
use crate::session::Value;

/// Steps of a report's time.
const STEPS: i64 = 600;
/// CPU times by process and step; if there are more, steps are joined.
const MOST_CELLS: usize = 60_000;
/// Intervals of loss; their sums are said in any case.
const MOST_LOSSES: usize = 5_000;

/// CPU time by process and step.
type Cells = BTreeMap<(u32, u32), i64>;

impl Series {
    /// Reads them; `events` are names in order of their numbers.
    pub(super) async fn read(ground: &Ground<'_>, events: &[String]) -> Result<Self> {
        let (from, to) = ground.range_us;
        let step_us = (to.saturating_sub(from) / STEPS + 1).max(1);
        let steps = (to.saturating_sub(from) / step_us + 1) as usize;
        let mut this = Self {
            step_us,
            exec: vec![0; steps],
            events: vec![vec![0; steps]; events.len()],
            ..Self::default()
        };
        let mut cells = Cells::new();
        for at in 0..ground.forests.len() {
            this.add_execs(ground, at).await?;
            this.add_samples(ground, at, events, &mut cells).await?;
        }
        this.push(cells);
        Ok(this)
    }

    /// Values for questions of one boot: the report's begin on its clock, and the
    /// length of a step.
    fn values(&self, ground: &Ground<'_>, at: usize) -> Vec<(&'static str, Value)> {
        let boot = &ground.forests[at].boot;
        let clock = boot.clock;
        let after_us = ground.range_us.0 - clock.wall_us(clock.boot_ns);
        let begin_ns = clock.boot_ns.saturating_add(after_us.saturating_mul(1_000));
        vec![
            ("boot", Value::from(boot.boot_id.as_str())),
            ("begin", Value::from(begin_ns)),
            ("width", Value::from(self.step_us.saturating_mul(1_000))),
        ]
    }

    /// A step that the report has.
    fn step(&self, number: Option<i64>) -> Option<usize> {
        let step = usize::try_from(number?).ok()?;
        (step < self.exec.len()).then_some(step)
    }

    async fn add_execs(&mut self, ground: &Ground<'_>, at: usize) -> Result<()> {
        let sql = "SELECT (ts_ns - $begin) / $width, count(*) FROM exec \
                   WHERE boot_id = $boot AND errno = 0 GROUP BY 1";
        let values = self.values(ground, at);
        let visit = |rows: &Rows<'_>| {
            for row in 0..rows.len() {
                if let Some(step) = self.step(rows.long(0, row)) {
                    let count = u32::try_from(rows.long(1, row).unwrap_or(0));
                    let sum = &mut self.exec[step];
                    *sum = sum.saturating_add(count.unwrap_or(u32::MAX));
                }
            }
        };
        ground.each(sql, values, visit).await
    }

    async fn add_samples(
        &mut self,
        ground: &Ground<'_>,
        at: usize,
        events: &[String],
        cells: &mut Cells,
    ) -> Result<()> {
        let sql = "SELECT event, upid, (ts_ns - $begin) / $width, sum(weight) \
                   FROM sample WHERE boot_id = $boot AND context <> 'idle' GROUP BY 1, 2, 3";
        let values = self.values(ground, at);
        let number = |upid: Option<i64>| {
            let node = ground.forests[at].node_of(upid?)?;
            ground.chosen.number(at, node)
        };
        let visit = |rows: &Rows<'_>| {
            for row in 0..rows.len() {
                let name = rows.text(0, row).unwrap_or_default();
                let event = events.iter().position(|event| event == name);
                let (Some(event), Some(step)) = (event, self.step(rows.long(2, row))) else {
                    continue;
                };
                let weight = rows.long(3, row).unwrap_or(0).max(0);
                let sum = &mut self.events[event][step];
                *sum = sum.saturating_add(weight);
                let process = number(rows.long(1, row));
                if let (Some(process), true) = (process, name == CPU_EVENTS[0]) {
                    let cell = cells.entry((process, step as u32)).or_default();
                    *cell = cell.saturating_add(weight);
                }
            }
        };
        ground.each(sql, values, visit).await
    }

    /// Writes the cells, joining steps until there is room for all.
    fn push(&mut self, mut cells: Cells) {
        self.cpu_width = 1;
        while cells.len() > MOST_CELLS && (self.cpu_width as i64) < STEPS {
            self.cpu_width *= 2;
            let mut joined = Cells::new();
            for ((process, step), ns) in cells {
                let cell = joined.entry((process, step / 2)).or_default();
                *cell = cell.saturating_add(ns);
            }
            cells = joined;
        }
        let mut before = (u32::MAX, 0);
        for ((process, step), ns) in cells {
            let since = if before.0 == process { before.1 } else { 0 };
            before = (process, step);
            self.cpu_process.push(process);
            self.cpu_step.push(step - since);
            self.cpu_ns.push(ns);
        }
    }
}

/// What was lost, by stream and cause; intervals that touch are one, and so are
/// those of one step of time.
pub(super) async fn losses(
    ground: &Ground<'_>,
    strings: &mut Strings,
    step_us: i64,
) -> Result<Vec<Loss>> {
    let sql = "SELECT boot_id, stream, cause, t0_ns, t1_ns, count FROM loss WHERE count > 0 \
               ORDER BY stream, cause, t0_ns, t1_ns";
    let mut all: Vec<Loss> = Vec::new();
    let visit = |rows: &Rows<'_>| {
        for row in 0..rows.len() {
            let forest = rows.text(0, row).and_then(|boot| ground.forest(boot));
            let times = rows.long(3, row).zip(rows.long(4, row));
            let (Some(forest), Some((t0_ns, t1_ns))) = (forest, times) else {
                continue;
            };
            let mut text = |column| strings.add(rows.text(column, row).unwrap_or_default());
            let loss = Loss {
                stream: text(1),
                cause: text(2),
                t0_us: ground.after_us(forest, t0_ns),
                t1_us: ground.after_us(forest, t1_ns.max(t0_ns)),
                count: rows.long(5, row).unwrap_or(0),
            };
            let is_full = all.len() >= MOST_LOSSES;
            match all.last_mut() {
                Some(last) if joins(last, &loss, step_us) => {
                    last.t0_us = last.t0_us.min(loss.t0_us);
                    last.t1_us = last.t1_us.max(loss.t1_us);
                    last.count = last.count.saturating_add(loss.count);
                }
                _ if is_full => (),
                _ => all.push(loss),
            }
        }
    };
    ground.each(sql, vec![], visit).await?;
    Ok(all)
}

fn joins(last: &Loss, next: &Loss, step_us: i64) -> bool {
    (last.stream, last.cause) == (next.stream, next.cause)
        && next.t0_us >= last.t0_us
        && next.t0_us.saturating_sub(last.t1_us) < step_us
}
