//! `whence tree` and `whence replay` on stories whose answer is known.

mod common;

use common::{Story, answer, assert_reads, on, recorded, refused};
use serde_json::{Value, json};

fn host() -> Story {
    let mut story = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(50, 1, "cron", "/usr/sbin/cron")
        .running(51, 1, "sshd", "/usr/sbin/sshd -D");
    for i in 0..4 {
        story = story.run(1_000 * i64::from(i), 50, 100 + i, &["/bin/date", "+%s"]);
    }
    story
        .fork(5_000, 51, 200)
        .exec(5_001, 200, 51, &["/bin/bash"])
        .exit(9_000, 200, 3)
}

#[test]
fn equal_siblings_are_one_line_with_their_number() {
    let (_dir, recording) = recorded(host());
    assert_reads(
        &answer(&recording, &["tree"]),
        "
        complete: nothing was lost
        1 systemd  /sbin/init  since 12:00:00
        ├─ 50 cron  /usr/sbin/cron  since 12:00:00
        │  └─ date ×4  /bin/date +%s  13:00:00.000–13:00:03.005
        └─ 51 sshd  /usr/sbin/sshd -D  since 12:00:00
           └─ 200 bash  /bin/bash  13:00:05.000 4.0 s, exit 3
        ",
    );
    let all = answer(&recording, &["tree", "--all"]);
    assert_eq!(all.matches("date  /bin/date").count(), 4, "{all}");
    assert!(all.contains("/bin/date +%s  13:00:01.000 5.0 ms"), "{all}");
}

#[test]
fn long_command_lines_are_cut_unless_they_are_wanted_whole() {
    let long = "x".repeat(500);
    let story = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .run(1_000, 1, 60, &["/bin/echo", &long]);
    let (_dir, recording) = recorded(story);
    for args in [["tree"].as_slice(), &["who", "echo"]] {
        let text = answer(&recording, args);
        let widest = text.lines().map(|l| l.chars().count()).max();
        assert!(widest <= Some(200) && text.contains('…'), "{text}");
        let text = answer(&recording, &[args, &["--wide"]].concat());
        assert!(text.contains(&long), "{text}");
    }
}

#[test]
fn a_match_is_shown_with_its_ancestors_and_descendants_only() {
    let (_dir, recording) = recorded(host());
    let text = answer(&recording, &["tree", "--match", "sshd"]);
    assert!(
        text.contains("systemd") && text.contains("200 bash"),
        "{text}"
    );
    assert!(!text.contains("cron"), "{text}");
    let by_pid = answer(&recording, &["tree", "--pid", "51"]);
    assert_eq!(by_pid, text);
}

#[test]
fn only_what_was_alive_at_a_time_is_shown() {
    let (_dir, recording) = recorded(host());
    let text = answer(&recording, &["tree", "--at", "13:00:06"]);
    assert!(
        text.contains("200 bash") && !text.contains("date"),
        "{text}"
    );
    let same = answer(&recording, &["tree", "--at", "2026-01-02T13:00:06Z"]);
    assert_eq!(same, text);
    let said = refused(&on(&recording, &["tree", "--at", "noon"]), 2);
    assert!(said.contains("is no time"), "{said}");
}

#[test]
fn a_chain_as_deep_as_you_like_is_drawn() {
    let mut story = Story::new("deep").running(1, 0, "init", "/sbin/init");
    for pid in 1..3_000 {
        story = story.fork(i64::from(pid), pid, pid + 1);
    }
    let (_dir, recording) = recorded(story);
    let text = answer(&recording, &["tree"]);
    assert_eq!(text.lines().count(), 3_001);
    let widest = text.lines().map(|l| l.chars().count()).max();
    assert!(widest < Some(200), "{widest:?}");
}

#[test]
fn the_tree_as_rows_is_in_pre_order() {
    let (_dir, recording) = recorded(host());
    let text = answer(&recording, &["tree", "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let pids: Vec<&Value> = rows.iter().map(|row| &row["pid"]).collect();
    assert_eq!(json!(pids), json!([1, 50, 100, 101, 102, 103, 51, 200]));
    assert_eq!(rows[7]["exit_code"], json!(3));
}

#[test]
fn parents_in_a_circle_are_cut_and_said() {
    let a = json!({"upid": 11, "parent_upid": 22, "pid": 1, "comm": "a", "source": "snapshot"});
    let b = json!({"upid": 22, "parent_upid": 11, "pid": 2, "comm": "b", "source": "snapshot"});
    let story = Story::new("circle").row("process", a).row("process", b);
    let (_dir, recording) = recorded(story.cut_off());
    let text = answer(&recording, &["tree"]);
    assert!(text.contains("1 a") && text.contains("└─ 2 b"), "{text}");
}

#[test]
fn events_are_replayed_in_order_with_arguments_quoted() {
    let story = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(96_907, 1, "ksmtuned", "/bin/bash /usr/sbin/ksmtuned")
        .samples(
            1,
            "kernel:blk_mq_complete_request",
            ("hardirq", "dd"),
            &["f"],
            &[],
        )
        .samples(1, "cpu-clock", ("task", "dd"), &["f"], &[])
        .run(
            989_000,
            96_907,
            96_908,
            &["awk", "{free += $2}; END {print free}", "/proc/meminfo"],
        )
        .fork(990_000, 96_907, 96_909)
        .exec_with(990_001, 96_909, 96_907, &["nope"], json!({"errno": 2}));
    let (_dir, recording) = recorded(story);
    assert_reads(
        &answer(&recording, &["replay"]),
        "
        complete: nothing was lost
        13:00:00 7/dd cpu 0 kernel:blk_mq_complete_request in hardirq
        13:16:29 96907/ksmtuned 96908 awk '{free += $2}; END {print free}' /proc/meminfo
        13:16:30 96907/ksmtuned 96909 nope = No such file or directory (os error 2)
        ",
    );
    let all = answer(&recording, &["replay", "--all"]);
    assert!(all.contains("cpu-clock in task"), "{all}");
}

#[test]
fn events_are_replayed_as_rows_too() {
    let (_dir, recording) = recorded(host());
    let text = answer(&recording, &["replay", "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let told: Vec<Value> = rows
        .iter()
        .map(|row| json!([row["event"], row["pid"], row["cmdline"]]))
        .collect();
    let date = |pid: i32| json!(["exec", pid, "/bin/date +%s"]);
    let bash = json!(["exec", 200, "/bin/bash"]);
    assert_eq!(
        json!(told),
        json!([date(100), date(101), date(102), date(103), bash])
    );
    assert_eq!(rows[0]["time"], json!("2026-01-02T13:00:00.001Z"));
    // A recording that has ended is followed to its end at once.
    let followed = answer(&recording, &["replay", "--follow", "--format", "json"]);
    assert_eq!(followed, text);
    let fast = answer(
        &recording,
        &["replay", "--speed", "100000", "--format", "json"],
    );
    assert_eq!(fast, text);
}
