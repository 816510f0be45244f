//! Tests against Debian's stock kernel in a virtual machine: what the kernel that
//! runs the tests may refuse, and that an older one is recorded as well.

use std::process::ExitCode;

use whence_tests::{Test, ensure, equal, test};

#[path = "../live/exec.rs"]
mod exec;
mod grown;
#[path = "../live/life.rs"]
mod life;
mod machine;
mod paths;
mod second;

/// How a function of the kernel is reached there: what is asked for, the event
/// that it is, and the mechanism that does it.
const WAYS: &[(&str, &str, &str)] = &[
    (
        "kernel:blk_mq_complete_request",
        "kernel:blk_mq_complete_request",
        "fentry",
    ),
    (
        "kprobe:blk_mq_complete_request",
        "kprobe:blk_mq_complete_request",
        "kprobe",
    ),
];

/// Those of process life that need nothing but the workload and a shell, and
/// little time: the machine is some twenty times slower than this one.
const OF_LIFE: [&str; 10] = [
    "one_string_of_131071_bytes_is_exact",
    "bytes_that_are_no_utf8_are_kept",
    "a_program_without_a_name_is_said_to_be_deleted",
    "failed_execs_are_recorded_with_errno_and_argv",
    "a_thread_that_executes_keeps_the_process",
    "a_deleted_working_directory_says_so",
    "a_process_lives_until_its_last_thread_ends",
    "the_parent_is_who_forked_and_not_who_adopted",
    "a_process_that_executes_nothing_is_its_parents_image",
    "a_chain_of_processes_is_numbered_in_preorder",
];

fn tests() -> Vec<&'static Test> {
    let of_life = exec::TESTS.iter().chain(life::TESTS);
    let of_life = of_life.filter(|test| OF_LIFE.contains(&test.name));
    second::TESTS
        .iter()
        .chain(paths::TESTS)
        .chain(grown::TESTS)
        .chain(of_life)
        .collect()
}

fn main() -> ExitCode {
    machine::run_all("6.1", &tests())
}
