//! `whence why` and `whence top` on stories whose answer is known.

mod common;

use common::{Story, answer, assert_reads, on, recorded, refused};
use serde_json::Value;

const EVENT: &str = "tracepoint:block:block_rq_complete";
const SYSCALL: &[&str] = &[
    "entry_SYSCALL_64_after_hwframe",
    "do_syscall_64",
    "vfs_read",
];
const INTERRUPT: &[&str] = &[
    "asm_common_interrupt",
    "common_interrupt",
    "handle_edge_irq",
    "nvme_irq",
];

fn path(parts: &[&[&'static str]]) -> Vec<&'static str> {
    parts.concat()
}

/// Block completions that strike a task in a system call and the idle task,
/// and one from a polling task.
fn disk() -> Story {
    let struck = path(&[
        SYSCALL,
        INTERRUPT,
        &["nvme_complete_rq", "blk_mq_end_request"],
    ]);
    let other = path(&[&["cpu_idle_loop"], INTERRUPT, &["nvme_handle_cqe"]]);
    let polled = path(&[SYSCALL, &["nvme_poll", "bpf_trace_run1"]]);
    Story::new("db1")
        .samples(6, EVENT, ("hardirq", "fio"), &struck, &["main", "work"])
        .samples(3, EVENT, ("hardirq", "swapper/0"), &other, &[])
        .samples(1, EVENT, ("task", "dd"), &polled, &["_start", "copy"])
        .samples(4, "cpu-clock", ("task", "dd"), SYSCALL, &["_start", "copy"])
        .samples(
            4,
            "cpu-clock",
            ("task", "fio"),
            &[],
            &["main", "work", "work"],
        )
        .samples(
            9,
            "cpu-clock",
            ("idle", "swapper/0"),
            &["cpu_idle_loop"],
            &[],
        )
}

/// What an interrupt struck is no cause of it, and how an event was recorded is
/// no part of how it came about.
#[test]
fn paths_lead_from_the_entry_of_an_interrupt_to_the_event() {
    let (_dir, recording) = recorded(disk());
    assert_reads(
        &answer(&recording, &["why", "block_rq_complete"]),
        "
        complete: nothing was lost

        block_rq_complete: 10 hits of tracepoint:block:block_rq_complete, 3 call paths

        hardirq 90.0%  interrupting fio 66.7%, swapper/0 33.3%
           90.0%  asm_common_interrupt → common_interrupt → handle_edge_irq → nvme_irq
          ├─  60.0%  nvme_complete_rq → blk_mq_end_request → block_rq_complete
          └─  30.0%  nvme_handle_cqe → block_rq_complete

        task 10.0%  in dd 100.0%
           10.0%  entry_SYSCALL_64_after_hwframe → do_syscall_64 → vfs_read → nvme_poll → block_rq_complete
        ",
    );
}

#[test]
fn a_function_is_looked_up_in_cpu_samples_and_other_events_are_named() {
    let (_dir, recording) = recorded(disk());
    let text = answer(&recording, &["why", "vfs_read"]);
    assert!(
        text.contains("vfs_read: 23.5% of cpu-clock, 4 samples, 1 call path"),
        "{text}"
    );
    assert!(
        text.contains("also reached in 7 events of tracepoint:block"),
        "{text}"
    );
    let text = answer(
        &recording,
        &["why", "vfs_read", "--event", "block_rq_complete"],
    );
    assert!(
        text.contains("vfs_read: 10.0% of tracepoint:block"),
        "{text}"
    );
}

#[test]
fn a_function_that_recurses_is_reached_once() {
    let (_dir, recording) = recorded(disk());
    let text = answer(
        &recording,
        &["why", "work", "--event", "cpu-clock", "--format", "json"],
    );
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["path"], serde_json::json!(["main", "work"]));
    assert_eq!(rows[0]["samples"], serde_json::json!(4));
}

#[test]
fn small_paths_are_folded_with_their_number_unless_all_are_asked_for() {
    let mut story = Story::new("db1").samples(197, "cpu-clock", ("task", "a"), &["f", "big"], &[]);
    for name in ["s1", "s2", "s3"] {
        story = story.samples(1, "cpu-clock", ("task", "a"), &["f", name], &[]);
    }
    let (_dir, recording) = recorded(story);
    let text = answer(&recording, &["why", "f", "--event", "cpu-clock"]);
    assert!(text.contains("f: 100.0% of cpu-clock"), "{text}");
    let mut story = Story::new("db1");
    for (name, count) in [("big", 197), ("s1", 1), ("s2", 1), ("s3", 1)] {
        let stack = ["f", name, "leaf"];
        story = story.samples(count, "cpu-clock", ("task", "a"), &stack, &[]);
    }
    let (_dir, recording) = recorded(story);
    let text = answer(&recording, &["why", "leaf"]);
    assert!(
        text.contains("3 smaller paths") && !text.contains("s2"),
        "{text}"
    );
    let text = answer(&recording, &["why", "leaf", "--all"]);
    assert!(text.contains("s2"), "{text}");
}

#[test]
fn an_unknown_function_is_refused_with_near_names() {
    let (_dir, recording) = recorded(disk());
    let said = refused(&on(&recording, &["why", "block_rq_compleet"]), 1);
    assert!(
        said.contains("near names: tracepoint:block:block_rq_complete"),
        "{said}"
    );
    let said = refused(&on(&recording, &["why", "vfs_read", "--event", "nope"]), 1);
    assert!(said.contains("recorded: cpu-clock, tracepoint:"), "{said}");
}

#[test]
fn without_stacks_the_remedy_is_named() {
    let (_dir, recording) = recorded(Story::new("db1").running(1, 0, "init", "/sbin/init"));
    let said = refused(&on(&recording, &["why", "vfs_read"]), 1);
    assert!(said.contains("record with --sample or --stack"), "{said}");
}

#[test]
fn top_adds_up_self_and_total_and_leaves_out_the_idle_task() {
    let (_dir, recording) = recorded(disk());
    assert_reads(
        &answer(&recording, &["top"]),
        "
        complete: nothing was lost

        cpu-clock: 80.0 ms outside the idle task

            self   total  function
           50.0%   50.0%  vfs_read
           50.0%   50.0%  work
            0.0%   50.0%  _start
            0.0%   50.0%  copy
            0.0%   50.0%  do_syscall_64
            0.0%   50.0%  entry_SYSCALL_64_after_hwframe
            0.0%   50.0%  main

           share  process
           50.0%  dd  40.0 ms
           50.0%  fio  40.0 ms
        ",
    );
}
