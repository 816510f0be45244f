//! The examples of `docs/sql.md` run, and there is one for each function.

mod common;

use common::{Story, recorded, rows};
use serde_json::json;
use whence_analyzer::functions::{SCALAR_FUNCTIONS, TABLE_FUNCTIONS};

const PAGE: &str = include_str!("../../docs/sql.md");

fn host() -> Story {
    Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(50, 1, "cron", "/usr/sbin/cron")
        .run(10, 50, 60, &["/bin/sh", "-c", "echo hi"])
        .fork(20, 50, 61)
        .exec_with(21, 61, 50, &["nope"], json!({"errno": 2}))
        .row(
            "exit",
            json!({"ts_ns": 1, "upid": 1, "comm": "x", "exit_signal": 9}),
        )
        .samples(
            3,
            "cpu-clock",
            ("task", "sh"),
            &["entry", "do_work", "copy"],
            &["main"],
        )
}

/// The example below each heading, with the name of the function in it.
fn examples() -> Vec<(&'static str, &'static str)> {
    let name = |section: &'static str| section.split_once('(').map(|(name, _)| name);
    PAGE.split("### `")
        .skip(1)
        .map(|section| {
            let example = section.split("```sql\n").nth(1).unwrap_or_default();
            let example = example.split("```").next().unwrap_or_default();
            (name(section).unwrap_or_default(), example)
        })
        .collect()
}

#[test]
fn each_function_is_described_with_an_example_that_runs() {
    let (_dir, recording) = recorded(host());
    let examples = examples();
    for function in SCALAR_FUNCTIONS.iter().chain(TABLE_FUNCTIONS) {
        let described = examples.iter().find(|(name, _)| name == function);
        let (_, example) = described.unwrap_or_else(|| panic!("{function} is not described"));
        assert!(example.contains(&format!("{function}(")), "{function}");
        assert!(!rows(&recording, &[example]).is_empty(), "{example}");
    }
    let count = SCALAR_FUNCTIONS.len() + TABLE_FUNCTIONS.len();
    assert_eq!(examples.len(), count);
}

#[test]
fn functions_give_what_they_are_described_to() {
    let (_dir, recording) = recorded(host());
    let one = |sql: &str| rows(&recording, &[sql]);
    let chain = "SELECT chain_text(boot_id, upid) AS c FROM exec WHERE comm = 'sh'";
    assert_eq!(one(chain), [json!({"c": "systemd;cron;sh"})]);
    let tree = one(
        "SELECT depth, function, self_samples, self_share, total_share, parent_node \
         FROM call_tree('do_work')",
    );
    assert_eq!(
        json!(tree),
        json!([
            {"depth": 0, "function": "do_work", "self_samples": 0, "self_share": 0.0,
             "total_share": 1.0, "parent_node": null},
            {"depth": 1, "function": "copy", "self_samples": 3, "self_share": 1.0,
             "total_share": 1.0, "parent_node": 0},
        ])
    );
    let roots = one("SELECT function FROM call_tree('cpu-clock') WHERE depth = 0");
    assert_eq!(roots, [json!({"function": "main"})]);
    let bucket = one(
        "SELECT time_bucket('1s', TIMESTAMP '2026-01-02 13:00:05.7Z') AS a, \
         time_bucket('10ns', -1) AS b, time_bucket('1m', NULL) AS c",
    );
    assert_eq!(
        bucket,
        [json!({"a": "2026-01-02T13:00:05Z", "b": -10, "c": null})]
    );
    let clocks = one("SELECT boot_ns(wall_time(boot_id, 10000000000000)) AS ns, \
         wall_time(boot_id, 10000000000000) AS t, wall_time('x', 1) AS x FROM exec LIMIT 1");
    assert_eq!(
        clocks,
        [json!({"ns": 10_000_000_000_000_i64, "t": "2026-01-02T13:00:00Z", "x": null})]
    );
    let text = one(
        "SELECT format_duration(1500000000) AS d, format_bytes(2048) AS b, \
         errno_name(13) AS e, errno_name(0) AS e0, signal_name(36) AS s, \
         systemd_unit('/system.slice/cron.service') AS u",
    );
    assert_eq!(
        text,
        [
            json!({"d": "1.5 s", "b": "2.0 KiB", "e": "EACCES", "e0": null,
                "s": "SIGRTMIN+2", "u": "cron.service"})
        ]
    );
    let both = "SELECT DISTINCT root_upid FROM descendants((SELECT upid FROM process \
                WHERE comm IN ('systemd', 'cron')))";
    assert_eq!(one(both).len(), 2);
}
