//! Tests against the running kernel: each records something real and looks at
//! the recording by SQL.
//!
//! Where the kernel or missing privileges do not allow it, they are ignored and
//! the reason is printed; they never pass without having run.

mod before;
mod bounded;
mod crash;
mod engines;
mod exec;
mod export;
mod filters;
mod flight;
mod flood;
mod input;
mod life;
mod loss;
mod places;
mod privilege;
mod probes;
mod proof;
mod queries;
mod redact;
mod soak;
mod stacks;
mod stories;
mod surroundings;
mod symbolize;
mod tools;
mod verifier;
mod waits;
mod watch;
mod ways;

use libtest_mimic::{Arguments, Trial};
use whence_tests::{Test, ensure, equal, test};

/// Why a test cannot change mounts for itself; `None` if it can.
fn no_mount_namespace() -> Option<String> {
    let made = whence_tests::run(&["unshare", "--mount", "true"]);
    let made = made.is_ok_and(|output| output.status.success());
    (!made).then(|| "no mount namespace can be made here".into())
}

fn main() {
    if let Some(name) = whence_tests::unbuilt() {
        eprintln!("{name} is not built; run make test, or cargo build --workspace");
        std::process::exit(1);
    }
    let obstacle = whence_tests::obstacle();
    let all = [
        exec::TESTS,
        life::TESTS,
        loss::TESTS,
        stacks::TESTS,
        stories::TESTS,
        engines::TESTS,
        export::TESTS,
        input::TESTS,
        waits::TESTS,
        ways::TESTS,
        places::TESTS,
        queries::TESTS,
        redact::TESTS,
        probes::TESTS,
        proof::TESTS,
        before::TESTS,
        filters::TESTS,
        surroundings::TESTS,
        crash::TESTS,
        symbolize::TESTS,
        verifier::TESTS,
        flight::TESTS,
        privilege::TESTS,
        bounded::TESTS,
        soak::TESTS,
    ];
    let trials = all
        .into_iter()
        .flatten()
        .map(|test| {
            let reason = obstacle.clone().or_else(test.obstacle);
            if let Some(reason) = &reason {
                eprintln!("skipped {}: {reason}", test.name);
            }
            Trial::test(test.name, test.run).with_ignored_flag(reason.is_some())
        })
        .collect();
    let mut arguments = Arguments::from_args();
    // One kernel for all.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}
