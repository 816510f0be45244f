//! SQL, its functions, the named queries, and the formats.

mod common;

use common::{Story, answer, assert_reads, on, recorded, refused, rows, whence};
use serde_json::{Value, json};

fn host() -> Story {
    Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(50, 1, "cron", "/usr/sbin/cron")
        .run(10, 50, 60, &["/bin/sh", "-c", "echo hi"])
        .run(1_010, 50, 61, &["/bin/sh", "-c", "echo hi"])
        .run(2_010, 50, 62, &["/bin/sh", "-c", "echo hi"])
        .samples(
            3,
            "cpu-clock",
            ("task", "sh"),
            &["entry", "do_work"],
            &["main"],
        )
        .lost("exec", "ring full", 100, 1_900, 312)
}

#[test]
fn an_answer_says_what_was_lost() {
    let (_dir, recording) = recorded(host());
    assert_reads(
        &answer(&recording, &["query", "SELECT count(*) AS n FROM exec"]),
        "
        lost: 312 exec events between 13:00:00 and 13:00:01 (ring full): their rows are missing
        n
        3
        ",
    );
    let output = on(&recording, &["query", "SELECT 1 AS n", "--format", "csv"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "n\n1\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("lost: 312 exec events"));
}

/// Tables are for people: numbers are rounded and long texts cut there only.
#[test]
fn tables_are_cut_where_they_are_for_people() {
    let (_dir, recording) = recorded(host());
    let sql = "SELECT 1.0 / 3 AS third, 9223372036854775807 AS big, repeat('x', 500) AS long";
    let text = answer(&recording, &["query", sql]);
    let cells: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(cells[..2], ["0.333", "9223372036854775807"]);
    assert_eq!(cells[2], format!("{}…", "x".repeat(119)));
    let csv = answer(&recording, &["query", sql, "--format", "csv"]);
    assert!(csv.contains("0.33333"), "{csv}");
    assert!(csv.contains(&"x".repeat(500)), "{csv}");
    let top = answer(&recording, &["top", "-n", "1", "--format", "csv"]);
    assert_eq!(top.lines().count(), 3, "{top}");
}

/// What is the same in every row is not what a person reads first.
#[test]
fn the_host_comes_last_in_named_queries() {
    for query in whence_queries::QUERIES {
        let columns: Vec<String> = query.columns().into_iter().flat_map(|c| c.names).collect();
        let is_constant = |name: &String| ["host", "boot_id", "recording_id"].contains(&&**name);
        let first = columns
            .iter()
            .position(is_constant)
            .unwrap_or(columns.len());
        assert!(
            columns[first..].iter().all(is_constant),
            "{}: {columns:?}",
            query.name
        );
    }
}

#[test]
fn the_functions_of_whence_are_there() {
    let (_dir, recording) = recorded(host());
    let upid = "(SELECT upid FROM process WHERE pid = 60)";
    let one = |sql: &str| rows(&recording, &[sql]);
    let upid_of_60 = one(&format!("SELECT {upid} AS upid"))[0]["upid"].clone();
    let above = one(&format!("SELECT level, pid FROM ancestors({upid_of_60})"));
    assert_eq!(
        json!(above),
        json!([{"level": 1, "pid": 50}, {"level": 2, "pid": 1}])
    );
    let root = one("SELECT upid FROM process WHERE pid = 1")[0]["upid"].clone();
    let below = one(&format!("SELECT count(*) AS n FROM descendants({root})"));
    assert_eq!(below, [json!({"n": 4})]);
    let tree = one(&format!("SELECT count(*) AS n FROM process_tree({root})"));
    assert_eq!(tree, [json!({"n": 5})]);
    let line = one("SELECT cmdline(argv) AS c FROM exec LIMIT 1");
    assert_eq!(line, [json!({"c": "/bin/sh -c 'echo hi'"})]);
    let text = one("SELECT DISTINCT stack_text(kernel_stack_id) AS t FROM sample");
    assert_eq!(text, [json!({"t": "entry;do_work"})]);
    let paths = one("SELECT path, samples FROM call_paths('do_work')");
    assert_eq!(paths, [json!({"path": ["entry", "do_work"], "samples": 3})]);
}

/// A subtree is a range of numbers, in any engine.
#[test]
fn descendants_are_a_between() {
    let (_dir, recording) = recorded(host());
    let found = rows(
        &recording,
        &[
            "SELECT d.pid FROM process d JOIN process a ON d.boot_id = a.boot_id \
           AND d.tree_first BETWEEN a.tree_first AND a.tree_last \
           WHERE a.pid = 50 ORDER BY d.pid",
        ],
    );
    let pids: Vec<&Value> = found.iter().map(|row| &row["pid"]).collect();
    assert_eq!(json!(pids), json!([50, 60, 61, 62]));
}

#[test]
fn every_named_query_runs_on_a_recording_and_on_an_empty_one() {
    let (_dir, full) = recorded(host());
    let (_other, empty) = recorded(Story::new("empty").cut_off());
    for query in whence_queries::QUERIES {
        for recording in [&full, &empty] {
            let csv = answer(recording, &["query", query.name, "--format", "csv"]);
            // Each column of the output is described in the query's own comments,
            // in their order, with what is the same in every row at the end.
            let columns: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
            let described: Vec<String> =
                query.columns().into_iter().flat_map(|c| c.names).collect();
            assert_eq!(columns, described, "{}", query.name);
        }
    }
}

#[test]
fn what_changed_between_two_recordings_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let clock = |story: Story, at_us: i64| {
        let at = |s: i64| json!({"ts_ns": at_us * 1_000 + s * 1_000_000_000, "time": at_us + s});
        story.row("clock", at(0)).row("clock", at(60))
    };
    clock(host(), 20_000_000_000).write(dir.path(), "a");
    let mut after = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(50, 1, "cron", "/usr/sbin/cron");
    for at in 0..9 {
        after = after.run(at * 100, 50, 70 + at as i32, &["/bin/sh", "-c", "echo hi"]);
    }
    let after = after.run(2_000, 50, 90, &["/bin/date"]);
    clock(after, 30_000_000_000).write(dir.path(), "b");
    let found = rows(dir.path(), &["changed_commands"]);
    let told: Vec<Value> = found
        .iter()
        .map(|row| {
            json!([
                row["change"],
                row["comm"],
                row["execs_before"],
                row["execs_after"]
            ])
        })
        .collect();
    assert_eq!(
        json!(told),
        json!([["more", "sh", 3, 9], ["new", "date", 0, 1]])
    );
}

#[test]
fn secrets_in_arguments_are_found() {
    let secrets = [
        ["curl", "-H", "Authorization: Bearer abcdefgh12345"],
        ["mysql", "--password=hunter22", "db"],
        ["psql", "postgres://bob:hunter22@db/x", "-q"],
        ["aws", "AKIAIOSFODNN7EXAMPLE", "s3"],
    ];
    let mut story = Story::new("web1").running(1, 0, "systemd", "/sbin/init");
    for (at, argv) in secrets.iter().enumerate() {
        story = story.run(10 * at as i64, 1, 60 + at as i32, argv);
    }
    story = story.run(
        900,
        1,
        80,
        &["/bin/ls", "--token-file", "x", "https://host/a@b"],
    );
    let (_dir, recording) = recorded(story);
    let found = rows(&recording, &["secrets_in_argv"]);
    let kinds: Vec<&Value> = found.iter().map(|row| &row["comm"]).collect();
    assert_eq!(json!(kinds), json!(["aws", "curl", "psql", "mysql"]));
}

#[test]
fn orphans_that_still_live_are_listed() {
    let story = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(50, 1, "sh", "/bin/sh")
        .fork(10, 50, 60)
        .fork(11, 50, 61)
        .exit(20, 50, 0)
        .exit(30, 60, 0);
    let (_dir, recording) = recorded(story);
    let found = rows(&recording, &["orphans"]);
    let told: Vec<Value> = found
        .iter()
        .map(|row| json!([row["pid"], row["outlived_ms"]]))
        .collect();
    assert_eq!(json!(told), json!([[61, null], [60, 10.0]]));
}

#[test]
fn a_periodic_job_is_found_by_name() {
    let (_dir, recording) = recorded(host());
    let found = rows(&recording, &["periodic_jobs"]);
    assert_eq!(found[0]["runs"], json!(3));
    assert_eq!(found[0]["period_s"], json!(1.0));
}

/// A value is bound as a literal; as text in SQL it would end the string.
#[test]
fn parameters_are_bound_and_never_pasted() {
    let (_dir, recording) = recorded(host());
    let evil = "program=x' OR '1'='1";
    assert!(rows(&recording, &["who_runs", "--param", evil]).is_empty());
    assert_eq!(
        rows(&recording, &["who_runs", "--param", "program=sh"]).len(),
        1
    );
    let said = refused(&on(&recording, &["query", "who_runs", "--param", "x=1"]), 2);
    assert!(
        said.contains("has no parameter x; it has program"),
        "{said}"
    );
    let said = refused(&on(&recording, &["query", "SELECT $x"]), 2);
    assert!(said.contains("$x has no value"), "{said}");
}

#[test]
fn statements_that_do_more_than_ask_are_refused() {
    let (dir, recording) = recorded(host());
    let file = dir.path().join("out.csv");
    let copy = format!("COPY (SELECT 1) TO '{}'", file.display());
    for sql in [
        copy.as_str(),
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE t AS SELECT 1",
        "SET datafusion.execution.batch_size = 1",
        "INSERT INTO exec SELECT * FROM exec",
        "DROP TABLE exec",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x.csv'",
    ] {
        let said = refused(&on(&recording, &["query", sql]), 2);
        assert!(said.contains("--allow-write"), "{sql}: {said}");
    }
    assert!(!file.exists());
    for target in [recording.join("out.csv"), recording.join("new/out.csv")] {
        let copy = format!("COPY (SELECT 1) TO '{}'", target.display());
        let said = refused(&on(&recording, &["query", "--allow-write", &copy]), 2);
        assert!(said.contains("lies in the recording"), "{said}");
        assert!(!target.exists());
    }
    let inside = recording.join("exec");
    let around = dir.path().join("*/exec");
    for location in [&inside, &around] {
        let create = format!(
            "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{}/'",
            location.display()
        );
        let said = refused(&on(&recording, &["query", "--allow-write", &create]), 2);
        assert!(said.contains("lies in the recording"), "{said}");
    }
    answer(&recording, &["query", "--allow-write", &copy]);
    assert!(file.exists());
    std::fs::remove_file(&file).unwrap();
    let said = refused(
        &on(&recording, &["query", "SELECT * FROM '/etc/passwd'"]),
        1,
    );
    assert!(said.contains("not found"), "{said}");
}

#[test]
fn errors_of_sql_name_the_place_and_near_names() {
    let (_dir, recording) = recorded(host());
    let said = |sql: &str| refused(&on(&recording, &["query", sql]), 1);
    assert_reads(
        &said("SELECT comn FROM exec"),
        "
        whence: failed to run the query: column \"comn\" not found; near names: exec.comm, exec.cmdline
          SELECT comn FROM exec
                 ^^^^
        ",
    );
    assert_reads(
        &said("SELECT *\nFORM exec"),
        "
        whence: failed to run the query: Expected: end of statement, found: FORM
          2: FORM exec
             ^^^^
        ",
    );
    assert_reads(
        &said("SELECT pid FROM exec JOIN exce USING (upid)"),
        "
        whence: failed to run the query: table \"exce\" not found; near names: exec
          SELECT pid FROM exec JOIN exce USING (upid)
                                    ^^^^
        ",
    );
    assert_reads(
        &said("SELECT nofn(pid) FROM exec"),
        "
        whence: failed to run the query: function \"nofn\" not found; near name: now
          SELECT nofn(pid) FROM exec
                 ^^^^
        ",
    );
    let text = said("SELECT * FROM zzz");
    assert!(
        text.contains("the tables are ") && text.contains("exec, "),
        "{text}"
    );
    let text = said("SELECT * FROM who_runs");
    assert!(text.contains("run `whence query who_runs`"), "{text}");
    let text = said("SELECT * FROM descendant(1)");
    assert!(text.contains("near names: descendants"), "{text}");
    let negative = ["query", "deepest_chains", "--param", "rows=-1"];
    refused(&on(&recording, &negative), 2);
    let text = refused(&on(&recording, &["query", "who_run"]), 2);
    assert!(text.contains("the nearest is who_runs"), "{text}");
}

#[test]
fn each_format_can_be_read_back() {
    let (dir, recording) = recorded(host());
    let sql = [
        "query",
        "SELECT pid, argv FROM exec ORDER BY pid",
        "--format",
    ];
    let with = |format| on(&recording, &[&sql[..], &[format]].concat()).stdout;
    let path = dir.path().join("rows.parquet");
    std::fs::write(&path, with("parquet")).unwrap();
    let parquet = std::fs::File::open(&path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(parquet, 10);
    assert_eq!(reader.unwrap().next().unwrap().unwrap().num_rows(), 3);
    let arrow = with("arrow");
    let mut reader = arrow::ipc::reader::StreamReader::try_new(&arrow[..], None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().num_rows(), 3);
    let json: Vec<Value> = serde_json::from_slice(&with("json")).unwrap();
    assert_eq!(json[0]["argv"], json!(["/bin/sh", "-c", "echo hi"]));
    assert!(
        String::from_utf8(with("csv"))
            .unwrap()
            .starts_with("pid,argv\n60,")
    );
}

#[test]
fn recordings_of_one_boot_are_asked_as_one_and_hosts_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    host().write(dir.path(), "a");
    Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(50, 1, "cron", "/usr/sbin/cron")
        .run(500_010, 50, 70, &["/bin/sh", "-c", "later"])
        .write(dir.path(), "b");
    Story::new("web2")
        .running(1, 0, "systemd", "/sbin/init")
        .write(dir.path(), "c");
    let sql = "SELECT host, count(*) AS n FROM process GROUP BY host ORDER BY host";
    let found = rows(dir.path(), &[sql]);
    assert_eq!(
        json!(found),
        json!([{"host": "web1", "n": 6}, {"host": "web2", "n": 1}])
    );
    let by_recording = "SELECT count(DISTINCT recording_id) AS n FROM exec";
    assert_eq!(rows(dir.path(), &[by_recording]), [json!({"n": 2})]);
}

#[test]
fn the_list_names_every_query() {
    let output = whence(&["query", "--list"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for query in whence_queries::QUERIES {
        assert!(text.contains(query.name), "{}", query.name);
    }
}

/// Groups of rows of files are added up by numbers; rows that come from anything but a
/// file are added up by the engine.
#[test]
fn groups_by_numbers_are_those_of_the_engine() {
    let story = host()
        .run(20, 50, 63, &["/usr/bin/awk", "{print}"])
        .run(30, 50, 64, &["/usr/bin/awk", ""])
        .samples(1, "cpu-clock", ("softirq", "awk"), &["entry"], &[])
        .samples(
            2,
            "off-cpu",
            ("task", "awk"),
            &["entry", "schedule"],
            &["main"],
        );
    let (_dir, recording) = recorded(story);
    let grouped = |columns: &str, table: &str, filter: &str| {
        let named = columns.split(", ").enumerate();
        let named: Vec<_> = named.map(|(at, c)| format!("{c} AS c{at}")).collect();
        let ask = |from: &str| {
            let named = named.join(", ");
            let sql = format!(
                "SELECT {named}, count(*) AS n, count(DISTINCT tid) AS tids, min(ts_ns) AS first,
                 sum(ts_ns) AS ns, sum(nullif(tid, 0)) AS of_some, count(nullif(tid, 0)) AS some,
                 sum(tid) FILTER (WHERE tid > 2000) AS late, avg(ts_ns) AS mean,
                 first_value(tid ORDER BY ts_ns DESC, tid) AS last, corr(tid, ts_ns) AS alike,
                 array_agg(tid ORDER BY ts_ns, tid) AS all, count(tid, ts_ns) AS both
                 FROM {from} GROUP BY {columns} ORDER BY {columns}"
            );
            rows(&recording, &[&sql])
        };
        let numbered = ask(&format!("{table} {filter}"));
        let all = format!("(SELECT * FROM {table} {filter} ORDER BY ts_ns LIMIT 1000000)");
        assert!(!numbered.is_empty(), "{columns:?}");
        assert_eq!(numbered, ask(&all), "{columns:?} of {table} {filter}");
    };
    grouped("comm", "exec", "");
    grouped("parent_comm, comm", "exec", "");
    // A text that is not there, and constants of files.
    grouped("container_id, comm, host", "exec", "");
    grouped("boot_id", "exec", "WHERE errno = 0");
    grouped("comm", "exec", "WHERE comm <> 'awk'");
    grouped("filename, comm", "exec", "WHERE parent_comm = 'cron'");
    grouped("event, context, comm", "sample", "");
    // Integers, few and many, some of them not there, and times.
    grouped("errno", "exec", "WHERE cmdline LIKE '%echo%'");
    grouped(
        "exec_seq, errno",
        "exec",
        "WHERE comm IN ('awk', 'sh') AND pid > 1",
    );
    grouped("user_stack_id, kernel_stack_id", "sample", "");
    grouped("upid", "exec", "WHERE exe IS NULL OR comm = 'awk'");
    grouped("comm, upid", "exec", "WHERE upper(comm) LIKE 'A%'");
    grouped(
        "cpu, to_timestamp_nanos(ts_ns)",
        "sample",
        "WHERE comm LIKE '%' AND weight > 0",
    );
    grouped("argv_state, argv_raw IS NULL", "exec", "");
    // What is asked of a text that is not there.
    grouped("cpu", "sample", "WHERE waker_context IS NULL");
    grouped("comm", "exec", "WHERE container_id IS NULL");
    grouped("comm", "exec", "WHERE coalesce(container_id, comm) <> ''");
    grouped(
        "comm",
        "exec",
        "WHERE coalesce(container_id, 'none') = 'none'",
    );
    let plan = |sql: &str| {
        answer(
            &recording,
            &["query", &format!("EXPLAIN {sql}"), "--format", "csv"],
        )
    };
    for sql in [
        "SELECT comm, count(*) FROM exec GROUP BY comm",
        "SELECT comm, count(*) FROM exec WHERE comm LIKE 'a%' GROUP BY comm",
        "SELECT user_stack_id, sum(weight) FROM sample GROUP BY user_stack_id",
    ] {
        let plan = plan(sql);
        assert!(plan.contains("Tally"), "{plan}");
    }
    let texts = plan("SELECT comm, min(comm) FROM exec GROUP BY comm");
    assert!(!texts.contains("Tally"), "{texts}");
}
