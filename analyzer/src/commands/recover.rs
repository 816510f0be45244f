//! `whence recover`: makes recordings whole that a crash has left.

use std::io::Write as _;

use whence_schemas::quote::printable;
use whence_schemas::recover;

use crate::cli::Recover;
use crate::recording::directories;
use crate::{Error, Result};

/// Recovers each recording and says what was done.
///
/// # Errors
/// If it is no recording, is being recorded, or cannot be written to. The others
/// are recovered all the same; the last error is returned.
pub fn run(args: &Recover) -> Result<()> {
    let mut result = Ok(());
    for path in &args.recordings {
        for dir in directories(path)? {
            let recovered = match recover::recover(&dir) {
                Ok(recovered) => recovered,
                Err(e) => {
                    if let Err(before) = std::mem::replace(&mut result, Err(Error::from(e))) {
                        eprintln!("whence: {}", printable(&before.to_string()));
                    }
                    continue;
                }
            };
            let name = dir.display().to_string();
            let what = match recovered.done.is_empty() {
                true => "is whole; nothing was to be done".into(),
                false => recovered.done.join("; "),
            };
            writeln!(
                std::io::stdout(),
                "{}: {}",
                printable(&name),
                printable(&what)
            )
            .map_err(Error::output)?;
        }
    }
    result
}
