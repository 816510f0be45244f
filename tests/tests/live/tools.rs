//! Programs that tests compile for themselves.

use std::path::Path;

use libtest_mimic::Failed;
use whence_tests::run;

use super::ensure;

/// Why tests that need these tools cannot run; `None` if they can.
pub(super) fn missing(tools: &[&str]) -> Option<String> {
    let missing = tools.iter().find(|name| {
        let said = run(&[**name, "--version"]);
        !said.is_ok_and(|output| output.status.success())
    });
    missing.map(|name| format!("there is no {name}; make test installs it"))
}

/// Compiles a program from C.
pub(super) fn compile(source: &Path, program: &Path, options: &[&str]) -> Result<(), Failed> {
    let (source, program) = (source.display().to_string(), program.display().to_string());
    let made = run(&[&["gcc", "-o", &program, &source], options].concat())?;
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    ensure!(made.status.success(), "{said}");
    Ok(())
}
