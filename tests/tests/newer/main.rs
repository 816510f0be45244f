//! Tests against a newer stock kernel of Debian in a virtual machine, which has a
//! mechanism that the others lack: one attachment for many functions.

use std::process::ExitCode;

use whence_tests::{Test, ensure, equal, test};

#[path = "../vm/grown.rs"]
mod grown;
#[path = "../vm/machine.rs"]
mod machine;
#[path = "../vm/paths.rs"]
mod paths;

/// How a function of the kernel is reached there: what is asked for, the event
/// that it is, and the mechanism that does it.
const WAYS: &[(&str, &str, &str)] = &[
    (
        "fentry:blk_mq_complete_request",
        "fentry:blk_mq_complete_request",
        "fentry",
    ),
    (
        "kprobe:blk_mq_complete_request",
        "kprobe:blk_mq_complete_request",
        "kprobe",
    ),
    // It stands for more functions than are attached to one by one.
    (
        "kernel:blk_mq_*",
        "kernel:blk_mq_complete_request",
        "kprobe.multi",
    ),
];

fn main() -> ExitCode {
    let tests: Vec<&Test> = paths::TESTS.iter().chain(grown::TESTS).collect();
    machine::run_all("6.12", &tests)
}
