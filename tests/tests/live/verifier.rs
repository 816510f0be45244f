//! What the BPF programs cost the verifier of this kernel.

use libtest_mimic::Failed;
use whence_recorder::host;
use whence_tests::{program, run, verifier};

use super::{Test, ensure};

pub(super) const TESTS: &[Test] = &[Test {
    name: "no_program_has_grown_for_the_verifier",
    obstacle: || verifier::obstacle(&host::kernel().release),
    run: grown,
}];

fn grown() -> Result<(), Failed> {
    let output = run(&[program("examples/verifier")])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    verifier::compare(&host::kernel().release, &table)
}
