//! What the BPF programs cost the verifier of the machine's kernel.

use libtest_mimic::Failed;
use whence_tests::{elsewhere, verifier};

use super::{Test, test};

pub(super) const TESTS: &[Test] = &[test(
    "no_program_has_grown_for_the_verifier_of_another_kernel",
    grown,
)];

fn grown() -> Result<(), Failed> {
    let folder = elsewhere::folder()?;
    let table = std::fs::read_to_string(folder.join("verifier"))?;
    verifier::compare(&std::fs::read_to_string(folder.join("release"))?, &table)
}
