use arrow::array::Array as _;
use arrow::util::pretty::pretty_format_batches;

use super::*;
use crate::{exec, exit, fork};

/// Builds events by pid: the process `pid` starts at `pid` milliseconds.
#[derive(Default)]
struct Story {
    process: process::Builder,
    fork: fork::Builder,
    exec: exec::Builder,
    exit: exit::Builder,
}

fn upid(pid: i32) -> i64 {
    ids::upid(i64::from(pid) * 1_000_000, pid)
}

impl Story {
    fn snapshot(&mut self, pid: i32, parent: Option<i32>, comm: &str) -> &mut Self {
        self.seen(pid, parent, comm, "snapshot")
    }

    fn seen(&mut self, pid: i32, parent: Option<i32>, comm: &str, source: &str) -> &mut Self {
        self.process.push(process::Row {
            upid: upid(pid),
            parent_upid: parent.map(upid),
            pid,
            ppid: parent,
            start_ns: i64::from(pid) * 1_000_000 + 7,
            end_ns: None,
            comm: Some(comm),
            exe: Some("/bin/old"),
            argv: Some(&["old", comm]),
            cmdline: Some(comm),
            cwd: Some("/"),
            uid: Some(0),
            gid: Some(0),
            login_uid: None,
            cgroup_id: Some(5),
            cgroup_path: Some("/system.slice/x"),
            container_id: None,
            pid_ns: Some(9),
            exit_code: None,
            exit_signal: None,
            utime_ns: None,
            stime_ns: None,
            max_rss_bytes: None,
            source,
            depth: None,
            tree_first: None,
            tree_last: None,
        });
        self
    }

    fn fork(&mut self, ms: i64, parent: i32, child: i32, comm: &str) -> &mut Self {
        self.fork.push(fork::Row {
            ts_ns: ms * 1_000_000,
            parent_upid: upid(parent),
            parent_pid: parent,
            parent_tid: parent,
            child_upid: upid(child),
            child_pid: child,
            comm,
            flags: 0,
            user_stack_id: None,
        });
        self
    }

    fn exec(&mut self, ms: i64, pid: i32, parent: i32, cmdline: &str, errno: i32) -> &mut Self {
        self.exec.push(exec::Row {
            ts_ns: ms * 1_000_000,
            time: 0,
            upid: upid(pid),
            exec_seq: 1,
            pid,
            tid: pid,
            ppid: parent,
            parent_upid: Some(upid(parent)),
            parent_comm: "parent",
            comm: cmdline,
            filename: cmdline,
            interpreter: None,
            exe: Some("/bin/new"),
            argv: &[cmdline],
            argv_raw: None,
            argc: 1,
            argv_bytes: 1,
            argv_state: "complete",
            cmdline,
            cwd: None,
            errno,
            uid: 1000,
            euid: 1000,
            gid: 1000,
            login_uid: None,
            cgroup_id: 5,
            cgroup_path: Some("/system.slice/x"),
            pid_ns: Some(9),
            ..exec::Row::default()
        });
        self
    }

    fn exit(&mut self, ms: i64, pid: i32, comm: &str, reaper: i32) -> &mut Self {
        self.exit.push(exit::Row {
            ts_ns: ms * 1_000_000,
            upid: upid(pid),
            pid,
            comm,
            exit_code: Some(3),
            exit_signal: None,
            core_dumped: false,
            utime_ns: 1,
            stime_ns: 2,
            max_rss_bytes: 3,
            min_flt: 0,
            maj_flt: 0,
            read_bytes: 0,
            write_bytes: 0,
            reaper_upid: Some(upid(reaper)),
        });
        self
    }

    fn derive(&mut self) -> (RecordBatch, Report) {
        let process = [self.process.finish("b").unwrap()];
        let (processes, report) = process_table(&Events {
            process: &[Seen {
                batches: &process,
                at_ns: 0,
            }],
            fork: &[self.fork.finish("b").unwrap()],
            exec: &[self.exec.finish("b").unwrap()],
            exit: &[self.exit.finish("b").unwrap()],
        })
        .unwrap();
        let batches: Vec<_> = processes.batches("b").map(Result::unwrap).collect();
        let all = arrow::compute::concat_batches(&process::DEF.schema(), &batches).unwrap();
        (all, report)
    }
}

/// The columns as a table, NULL as nothing.
fn show(batch: &RecordBatch, columns: &[&str]) -> Vec<String> {
    let indices: Vec<usize> = columns
        .iter()
        .map(|c| batch.schema().index_of(c).unwrap())
        .collect();
    let table = pretty_format_batches(&[batch.project(&indices).unwrap()]).unwrap();
    let table = table.to_string();
    let cells = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        cells[1..cells.len() - 1].join(" ")
    };
    let rows = table.lines().filter(|l| l.starts_with('|')).skip(1);
    rows.map(cells).collect()
}

const WHO: &[&str] = &["pid", "ppid", "comm", "cmdline", "source", "depth"];

#[test]
fn nothing_gives_nothing() {
    let (batch, report) = Story::default().derive();
    assert_eq!(batch.num_rows(), 0);
    assert_eq!(report, Report::default());
}

#[test]
fn a_forked_process_that_execs_nothing_keeps_its_parents_image_of_that_moment() {
    let mut story = Story::default();
    story.snapshot(1, None, "init").snapshot(10, Some(1), "sh");
    story.fork(20, 10, 20, "sh").exec(25, 10, 1, "make", 0);
    story.fork(30, 10, 30, "make").fork(31, 30, 31, "make");
    let (batch, _) = story.derive();
    assert_eq!(
        show(&batch, WHO),
        [
            "1  init init snapshot 0",
            "10 1 make make snapshot 1",
            "20 10 sh sh fork 2",
            "30 10 make make fork 2",
            "31 30 make make fork 3",
        ]
    );
    let cgroups = show(&batch, &["pid", "cgroup_path", "pid_ns"]);
    assert_eq!(cgroups[4], "31 /system.slice/x 9");
}

#[test]
fn the_last_exec_that_succeeded_is_the_image() {
    let mut story = Story::default();
    story.snapshot(1, None, "init").fork(2, 1, 2, "init");
    story.exec(3, 2, 1, "env", 0).exec(4, 2, 1, "awk", 0);
    story.exec(5, 2, 1, "missing", 2).exit(6, 2, "awk", 1);
    let (batch, _) = story.derive();
    assert_eq!(show(&batch, WHO)[1], "2 1 awk awk fork 1");
    assert_eq!(
        show(
            &batch,
            &["start_ns", "end_ns", "exit_code", "uid", "argv", "exe"]
        ),
        [
            "1000007   0 [old, init] /bin/old",
            "2000000 6000000 3 1000 [awk] /bin/new",
        ]
    );
}

#[test]
fn an_orphan_stays_with_the_parent_that_forked_it() {
    let mut story = Story::default();
    story.snapshot(1, None, "init").snapshot(5, Some(1), "cron");
    story.fork(7, 5, 7, "cron").exit(8, 5, "cron", 1);
    // Adopted by 1, which is what its exec and its exit see.
    story.exec(9, 7, 1, "job", 0).exit(10, 7, "job", 1);
    let (batch, _) = story.derive();
    assert_eq!(show(&batch, WHO)[2], "7 5 job job fork 2");
}

#[test]
fn parents_and_ends_that_nobody_saw_otherwise_get_a_row() {
    let mut story = Story::default();
    story.exec(9, 8, 3, "ls", 0).fork(11, 4, 11, "sh");
    story.exit(12, 6, "gone", 1);
    let (batch, report) = story.derive();
    assert_eq!(
        show(&batch, &["pid", "ppid", "comm", "source", "start_ns"]),
        [
            "3  parent inferred 3000000",
            "8 3 ls exec 8000000",
            "4  sh inferred 4000000",
            "11 4 sh fork 11000000",
            "6  gone inferred 6000000",
        ]
    );
    assert_eq!(report.inferred, 3);
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let mut story = Story::default();
    let again = ids::upid(90_000_000, 2);
    story.snapshot(1, None, "init").fork(2, 1, 2, "first");
    story.exit(3, 2, "first", 1);
    story.fork.push(fork::Row {
        ts_ns: 90_000_000,
        parent_upid: upid(1),
        parent_pid: 1,
        parent_tid: 1,
        child_upid: again,
        child_pid: 2,
        comm: "second",
        flags: 0,
        user_stack_id: None,
    });
    let (batch, _) = story.derive();
    assert_eq!(
        show(&batch, &["pid", "comm", "end_ns"]),
        ["1 init", "2 first 3000000", "2 second"]
            .map(|row| row.to_owned() + if row.ends_with('0') { "" } else { " " })
    );
}

/// A process that starts while the snapshot is taken is in it and has a fork.
#[test]
fn a_process_seen_in_both_ways_has_one_row() {
    let mut story = Story::default();
    story.snapshot(1, None, "init").snapshot(2, Some(9), "sh");
    story.fork(2, 1, 2, "sh").exec(3, 2, 1, "awk", 0);
    let (batch, _) = story.derive();
    assert_eq!(show(&batch, WHO)[1], "2 1 awk awk snapshot 1");
}

#[test]
fn parents_in_a_circle_are_cut_and_reported() {
    let mut story = Story::default();
    story.snapshot(2, Some(3), "a").snapshot(3, Some(2), "b");
    story.fork(4, 4, 4, "own parent");
    let (batch, report) = story.derive();
    assert_eq!(report.cycles, [upid(2), upid(4)]);
    assert_eq!(
        show(&batch, WHO),
        [
            "2  a a snapshot 0",
            "3 2 b b snapshot 1",
            "4  own parent  fork 0"
        ]
    );
}

/// What a finished recording says of a boot is input for the next one.
#[test]
fn the_complete_table_of_an_earlier_recording_is_taken_up() {
    let mut story = Story::default();
    story.snapshot(1, None, "init").fork(5, 1, 5, "init");
    story.exec(6, 5, 1, "daemon", 0).fork(7, 5, 7, "daemon");
    story.exit(8, 7, "daemon", 1);
    let (earlier, _) = story.derive();
    let mut later = Story::default();
    later
        .snapshot(1, None, "init")
        .snapshot(5, Some(1), "renamed");
    later.fork(50, 5, 50, "renamed");
    let (processes, _) = process_table(&Events {
        process: &[
            Seen {
                batches: &[earlier],
                at_ns: 20_000_000,
            },
            Seen {
                batches: &[later.process.finish("b").unwrap()],
                at_ns: 40_000_000,
            },
        ],
        fork: &[later.fork.finish("b").unwrap()],
        ..Events::default()
    })
    .unwrap();
    let batches: Vec<_> = processes.batches("b").map(Result::unwrap).collect();
    assert_eq!(
        show(&batches[0], &["pid", "ppid", "comm", "source", "exit_code"]),
        [
            "1  init snapshot ",
            "5 1 renamed snapshot ",
            "7 5 daemon fork 3",
            "50 5 renamed fork ",
        ]
    );
}

#[test]
fn columns_of_the_image_may_be_left_out() {
    let mut story = Story::default();
    story.snapshot(1, None, "init").exec(2, 1, 0, "new", 0);
    let exec = story.exec.finish("b").unwrap();
    let kept: Vec<usize> = ["ts_ns", "upid", "parent_upid", "errno", "comm"]
        .iter()
        .map(|c| exec.schema().index_of(c).unwrap())
        .collect();
    let (processes, _) = process_table(&Events {
        exec: &[exec.project(&kept).unwrap()],
        ..Events::default()
    })
    .unwrap();
    let last = processes.batches("b").last().unwrap().unwrap();
    assert_eq!(show(&last, &["comm", "cmdline"])[1], "new ");
    assert!(last.column_by_name("argv").unwrap().is_null(1));
}

/// A chain as deep as the data neither recurses nor takes long.
#[test]
fn a_deep_chain_is_derived_from_its_root_downward() {
    let mut story = Story::default();
    for pid in 1..50_000 {
        story.fork(i64::from(pid), pid, pid + 1, "deep");
    }
    let (batch, _) = story.derive();
    let depth = batch.column_by_name("depth").unwrap();
    let depth = depth.as_primitive::<Int32Type>();
    assert_eq!(depth.value(49_999), 49_999);
}
