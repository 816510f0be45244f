//! Call paths into kernel functions, by mechanisms that not all kernels allow.

use libtest_mimic::Failed;
use whence_tests::{Recording, record};

use super::{Test, WAYS, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("paths_run_from_interrupt_entry_to_the_function", whole),
    test("paths_are_the_same_by_every_mechanism", same),
];

const FUNCTION: &str = "blk_mq_complete_request";
const READS: i64 = 100;

/// A disk is read. With O_DIRECT each read is a request.
fn reads() -> std::io::Result<Recording> {
    let mut options = vec!["--sample", "0", "--system-wide", "--unwind", "fp"];
    for (probe, ..) in WAYS {
        options.extend(["-s", probe]);
    }
    let count = format!("count={READS}");
    let command = [
        "dd",
        "if=/dev/vda",
        "of=/dev/null",
        "bs=4k",
        &count,
        "iflag=direct",
    ];
    record(&options, &command)
}

/// The mechanism that was used for an event.
fn mechanism(recording: &Recording, event: &str) -> Result<String, Failed> {
    let text = std::fs::read_to_string(recording.path().join("recording.json"))?;
    let manifest: serde_json::Value = serde_json::from_str(&text)?;
    let events = manifest["events"].as_array().ok_or("no events")?;
    let found = events.iter().find(|e| e["event"] == event);
    let found = found.ok_or_else(|| format!("no event {event}"))?;
    Ok(found["mechanism"].as_str().unwrap_or_default().to_owned())
}

fn whole() -> Result<(), Failed> {
    let recording = reads()?;
    ensure!(
        recording.said().contains("nothing was lost"),
        "{}",
        recording.said()
    );
    let answer = recording.answer(&["why", FUNCTION])?;
    let steps = [
        "hardirq",
        "asm_common_interrupt",
        "common_interrupt",
        "handle_irq_event",
        "vring_interrupt",
        "virtblk_done",
        FUNCTION,
    ];
    // Below the heading, which has the function's name too.
    let mut rest = answer.split_once("hits of").ok_or("no hits")?.1;
    for step in steps {
        let Some((_, behind)) = rest.split_once(step) else {
            return Err(format!("{step} is not where it should be: {answer}").into());
        };
        rest = behind;
    }
    Ok(())
}

/// How often each path was taken, by one event.
fn paths(recording: &Recording, event: &str) -> std::io::Result<Vec<serde_json::Value>> {
    recording.query(&format!(
        "SELECT stack_text(kernel_stack_id) AS path, context, count(*) AS hits \
         FROM sample WHERE event = '{event}' GROUP BY ALL ORDER BY 1, 2"
    ))
}

fn same() -> Result<(), Failed> {
    let recording = reads()?;
    let (_, first, _) = WAYS[0];
    let hits = recording.number(&format!(
        "SELECT count(*) FROM sample WHERE event = '{first}'"
    ))?;
    ensure!(hits >= READS, "{hits} hits of {READS} reads");
    let expected = paths(&recording, first)?;
    // Each ends with the function, called by who has called it.
    let called = format!("virtblk_done;{FUNCTION}");
    for path in &expected {
        let text = path["path"].as_str().unwrap_or_default();
        ensure!(text.ends_with(&called), "{path}");
    }
    for (_, event, by) in WAYS {
        equal!(
            (event, mechanism(&recording, event)?.as_str()),
            (event, *by)
        );
        equal!(
            (event, paths(&recording, event)?),
            (event, expected.clone())
        );
    }
    Ok(())
}
