//! `whence record`: the front door to the recorder, which is a program of its
//! own, since it is the only part that a production host needs.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::{Error, Result};

const RECORDER: &str = "whence-record";

/// Becomes the recorder: the one beside this program, else the one on `PATH`.
///
/// # Errors
/// [`Error::Io`] if there is none or it cannot be run.
pub fn run(args: &[OsString]) -> Result<()> {
    let program = beside().unwrap_or_else(|| PathBuf::from(RECORDER));
    let source = Command::new(&program).args(args).exec();
    if source.kind() == std::io::ErrorKind::NotFound {
        return Err(missing(source));
    }
    Err(Error::Io {
        action: "run",
        object: program.display().to_string(),
        source,
    })
}

fn missing(source: std::io::Error) -> Error {
    Error::Io {
        action: "run",
        object: format!(
            "{RECORDER}, which is neither beside whence nor on PATH; \
             copy it to one of these places"
        ),
        source,
    }
}

fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let beside = own.parent()?.join(RECORDER);
    beside.is_file().then_some(beside)
}
