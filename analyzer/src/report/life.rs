//! The processes of a report and what they executed.

use super::document::{Boot, Execs, Processes};
use super::ground::{Ground, Rows};
use super::strings::{Strings, Text};
use crate::Result;
use crate::commands::steps::Steps;

/// Execs that a report shows.
const MOST_EXECS: usize = 100_000;

/// The stacks of code that forked or executed, to be turned into paths: row and
/// stack.
pub(super) type Callers = Vec<(usize, i64)>;

/// All that is known of life.
#[derive(Default)]
pub(super) struct Life {
    pub(super) boots: Vec<Boot>,
    pub(super) process: Processes,
    pub(super) exec: Execs,
    pub(super) forked_by: Callers,
    pub(super) executed_by: Callers,
    pub(super) execs_left_out: usize,
}

impl Life {
    /// Reads it.
    pub(super) async fn read(ground: &Ground<'_>, strings: &mut Strings) -> Result<Self> {
        let mut this = Self::default();
        this.add_forests(ground, strings);
        this.add_images(ground, strings).await?;
        this.add_forks(ground, strings).await?;
        this.add_execs(ground, strings).await?;
        Ok(this)
    }

    /// What the forests know.
    fn add_forests(&mut self, ground: &Ground<'_>, strings: &mut Strings) {
        let of = &mut self.process;
        let mut before_us = 0;
        for (number, (at, node)) in ground.chosen.all.iter().enumerate() {
            let forest = &ground.forests[*at];
            let parent = forest.parent(*node);
            let parent = parent.and_then(|p| ground.chosen.number(*at, p));
            of.up.push(parent.map_or(0, |p| number as u32 - p));
            of.pid.push(forest.pid(*node));
            let start_ns = forest.start_ns(*node);
            let start_us = ground.after_us(*at, start_ns);
            of.start_us.push(start_us.saturating_sub(before_us));
            before_us = start_us;
            let end_ns = forest.end_ns(*node);
            of.dur_us
                .push(end_ns.map(|end| end.saturating_sub(start_ns) / 1_000));
            of.comm.push(strings.add(forest.comm(*node)));
            of.source.push(strings.add(forest.source(*node)));
            of.exit_code.push(forest.exit_code(*node));
            of.exit_signal.push(forest.exit_signal(*node));
            of.exe.push(forest.exe(*node).map(|exe| strings.add(exe)));
            let cmdline = forest.cmdline(*node);
            of.cmdline.push(cmdline.map(|line| strings.add(line)));
        }
        self.add_boots(ground, strings);
        self.add_left_out(ground);
        let count = ground.chosen.all.len();
        let of = &mut self.process;
        of.born_as = vec![None; count];
        of.argv = vec![None; count];
        of.cwd = vec![None; count];
        of.uid = vec![None; count];
        of.cgroup = vec![None; count];
        of.cpu_us = vec![None; count];
        of.max_rss_bytes = vec![None; count];
    }

    fn add_boots(&mut self, ground: &Ground<'_>, strings: &mut Strings) {
        for (at, forest) in ground.forests.iter().enumerate() {
            let all = &ground.chosen.all;
            self.boots.push(Boot {
                host: strings.add(&forest.boot.host),
                boot_id: strings.add(&forest.boot.boot_id),
                first: all.partition_point(|place| place.0 < at),
            });
        }
    }

    /// Counts the children that are not shown.
    fn add_left_out(&mut self, ground: &Ground<'_>) {
        self.process.left_out = vec![0; ground.chosen.all.len()];
        if ground.chosen.left_out() == 0 {
            return;
        }
        for (at, forest) in ground.forests.iter().enumerate() {
            for node in forest.nodes() {
                let parent = forest.parent(node);
                let parent = parent.and_then(|p| ground.chosen.number(at, p));
                if let (Some(parent), None) = (parent, ground.chosen.number(at, node)) {
                    self.process.left_out[parent as usize] += 1;
                }
            }
        }
    }

    /// What the forests do not hold.
    async fn add_images(&mut self, ground: &Ground<'_>, strings: &mut Strings) -> Result<()> {
        let sql = "SELECT boot_id, upid, argv, cwd, uid, coalesce(container_id, cgroup_path), \
                   utime_ns, stime_ns, max_rss_bytes FROM process ORDER BY boot_id, upid";
        let of = &mut self.process;
        let visit = |rows: &Rows<'_>| {
            for row in 0..rows.len() {
                let Some(number) = ground.number(rows, row) else {
                    continue;
                };
                let at = number as usize;
                of.argv[at] = argv(rows, 2, row, strings);
                of.cwd[at] = rows.text(3, row).map(|text| strings.add(text));
                of.uid[at] = rows.long(4, row);
                of.cgroup[at] = rows.text(5, row).map(|text| strings.add(text));
                let cpu = rows.long(6, row).zip(rows.long(7, row));
                of.cpu_us[at] = cpu.map(|(user, kernel)| user.saturating_add(kernel) / 1_000);
                of.max_rss_bytes[at] = rows.long(8, row);
            }
        };
        ground.each(sql, vec![], visit).await
    }

    async fn add_forks(&mut self, ground: &Ground<'_>, strings: &mut Strings) -> Result<()> {
        let sql = "SELECT boot_id, child_upid, comm, user_stack_id FROM fork \
                   ORDER BY boot_id, child_upid";
        let visit = |rows: &Rows<'_>| {
            for row in 0..rows.len() {
                let Some(number) = ground.number(rows, row) else {
                    continue;
                };
                let at = number as usize;
                self.process.born_as[at] = rows.text(2, row).map(|text| strings.add(text));
                let stack = rows.long(3, row);
                self.forked_by.extend(stack.map(|stack| (at, stack)));
            }
        };
        ground.each(sql, vec![], visit).await
    }

    /// Execs of the processes that are shown, without the steps of searches
    /// along `PATH`.
    async fn add_execs(&mut self, ground: &Ground<'_>, strings: &mut Strings) -> Result<()> {
        let steps = Steps::find(ground.session, &[]).await?;
        let mut found: Vec<Exec> = Vec::new();
        let mut left_out = 0_usize;
        let sql = "SELECT boot_id, upid, ts_ns, comm, cmdline, argv, argv_state, exe, cwd, errno, \
                   user_stack_id, filename FROM exec ORDER BY boot_id, upid, ts_ns";
        let visit = |rows: &Rows<'_>| {
            for row in 0..rows.len() {
                let (place, ts_ns) = (ground.place(rows, row), rows.long(2, row));
                let (Some((at, node)), Some(ts_ns)) = (place, ts_ns) else {
                    continue;
                };
                let upid = rows.long(1, row).unwrap_or_default();
                let Some(process) = ground.chosen.number(at, node) else {
                    continue;
                };
                if steps.contains(rows.text(0, row).unwrap_or_default(), upid, ts_ns) {
                    continue;
                }
                if found.len() >= MOST_EXECS {
                    left_out += 1;
                    continue;
                }
                let forest = &ground.forests[at];
                let after_us = ts_ns.saturating_sub(forest.start_ns(node)) / 1_000;
                found.push(Exec::of(rows, row, (process, after_us), strings));
            }
        };
        ground.each(sql, vec![], visit).await?;
        self.execs_left_out = left_out;
        found.sort_by_key(|exec| (exec.process, exec.after_us));
        self.push_execs(&found);
        Ok(())
    }

    fn push_execs(&mut self, found: &[Exec]) {
        let of = &mut self.exec;
        for (at, exec) in found.iter().enumerate() {
            of.process.push(exec.process);
            of.after_us.push(exec.after_us);
            of.comm.push(exec.comm);
            of.cmdline.push(exec.cmdline);
            of.argv.push(exec.argv);
            of.argv_state.push(exec.argv_state);
            of.exe.push(exec.exe);
            of.cwd.push(exec.cwd);
            of.errno.push(exec.errno);
            self.executed_by.extend(exec.stack.map(|stack| (at, stack)));
        }
    }
}

fn argv(rows: &Rows<'_>, column: usize, row: usize, strings: &mut Strings) -> Option<u32> {
    let argv = rows.texts(column, row)?;
    (!argv.is_empty()).then(|| strings.add_argv(argv.iter().map(String::as_str)))
}

struct Exec {
    process: u32,
    after_us: i64,
    comm: Text,
    cmdline: Text,
    argv: u32,
    argv_state: Option<Text>,
    exe: Option<Text>,
    cwd: Option<Text>,
    errno: i32,
    stack: Option<i64>,
}

impl Exec {
    fn of(
        rows: &Rows<'_>,
        row: usize,
        (process, after_us): (u32, i64),
        strings: &mut Strings,
    ) -> Self {
        let errno = rows.int(9, row).unwrap_or(0);
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        // What failed has no name but that which was asked for.
        let comm = match errno {
            0 => rows.text(3, row).unwrap_or_default().to_owned(),
            _ => name(rows.text(11, row).unwrap_or_default()),
        };
        let state = rows.text(6, row).filter(|state| *state != "complete");
        let argv = rows.texts(5, row).unwrap_or_default();
        Self {
            process,
            after_us,
            comm: strings.add(&comm),
            cmdline: strings.add(rows.text(4, row).unwrap_or_default()),
            argv: strings.add_argv(argv.iter().map(String::as_str)),
            argv_state: state.map(|state| strings.add(state)),
            exe: rows.text(7, row).map(|exe| strings.add(exe)),
            cwd: rows.text(8, row).map(|cwd| strings.add(cwd)),
            errno,
            stack: rows.long(10, row),
        }
    }
}
