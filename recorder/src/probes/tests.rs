//! Tests of what probes mean.

use super::*;

fn tracepoints() -> Tracepoints {
    let full = [
        "block:block_rq_complete",
        "block:block_rq_issue",
        "sched:sched_switch",
    ];
    Tracepoints {
        full: full.map(String::from).to_vec(),
        names: Vec::new(),
    }
}

fn names_of(category: &str, name: &str) -> anyhow::Result<Vec<String>> {
    let probes = tracepoints().resolve(category, name)?;
    Ok(probes.into_iter().map(|p| p.event).collect())
}

#[test]
fn a_pattern_stands_for_all_that_it_matches() {
    assert_eq!(names_of("block", "block_rq_*").unwrap().len(), 2);
}

#[test]
fn an_unknown_name_is_answered_with_near_ones() {
    let error = names_of("block", "block_rq_complet")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("near it are tracepoint:block:block_rq_complete"),
        "{error}"
    );
    let error = names_of("disk", "sched_switch").unwrap_err().to_string();
    assert!(error.contains("tracepoint:sched:sched_switch"), "{error}");
}

#[test]
fn a_probe_is_written_as_it_is_read() {
    for text in [
        "tracepoint:block:block_rq_*",
        "kernel:vfs_read",
        "fentry:vfs_*",
        "kprobe:vfs_read",
        "uprobe:/opt/a:b/bin:main",
        "usdt:/opt/a:b/bin:lib:start",
    ] {
        assert_eq!(text.parse::<Spec>().unwrap().to_string(), text);
    }
}

#[test]
fn what_is_no_probe_is_told_how_to_write_one() {
    let error = |text: &str| text.parse::<Spec>().unwrap_err();
    assert!(error("tracepoint:block").contains("tracepoint:CATEGORY:NAME"));
    assert!(error("usdt:/bin/x:name").contains("usdt:PATH:PROVIDER:NAME"));
    assert!(error("uprobe:main").contains("uprobe:PATH:SYMBOL"));
    assert!(error("nonsense").contains("kernel:FUNC"));
    assert!(error("kernel:").contains("empty"));
    assert!(error("kernel:a:b").contains("kernel:FUNC"));
}

#[test]
fn one_function_is_tried_by_the_cheapest_and_many_by_one_attachment() {
    use Mechanism::{Fentry, Kprobe, KprobeMulti};
    assert_eq!(
        mechanisms("kernel", false, true),
        [Fentry, KprobeMulti, Kprobe]
    );
    assert_eq!(mechanisms("kernel", true, true)[0], KprobeMulti);
    assert_eq!(mechanisms("kernel", false, false), [KprobeMulti, Kprobe]);
    assert_eq!(mechanisms("fentry", true, true), [Fentry]);
}
