//! Recordings that are made on another machine, for the very tests that are made
//! for this one.
//!
//! The tests are run twice. At first nothing is recorded: what each wants is
//! noted, and the test ends with an error. The notes are done on the other
//! machine; then the tests find there what they wanted.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::sync::{Mutex, MutexGuard};

use crate::Recording;

static STATE: Mutex<State> = Mutex::new(State::Here);

enum State {
    /// What is asked for is recorded on this machine.
    Here,
    /// It is noted.
    Noting(Vec<String>),
    /// It lies in a folder, each by its place among the notes.
    Made(Vec<String>, PathBuf),
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(|e| e.into_inner())
}

/// From now on, notes what is asked for.
pub fn note() {
    *state() = State::Noting(Vec::new());
}

/// What was noted: options and command of each recording, as words of a shell.
#[must_use]
pub fn notes() -> Vec<String> {
    match &*state() {
        State::Here => Vec::new(),
        State::Noting(notes) | State::Made(notes, _) => notes.clone(),
    }
}

/// From now on, gives what was made of the notes: a folder for each, named by its
/// number, with `x.whence`, `out`, `err` and `status`.
pub fn find_in(folder: &Path) {
    let notes = notes();
    *state() = State::Made(notes, folder.to_owned());
}

/// The folder of what was made.
///
/// # Errors
/// If nothing is, yet.
pub fn folder() -> io::Result<PathBuf> {
    match &*state() {
        State::Made(_, folder) => Ok(folder.clone()),
        _ => Err(io::Error::other("nothing is made elsewhere")),
    }
}

/// The recording that is asked for; `None` if it is to be made here.
pub(crate) fn take(words: &[&str]) -> Option<io::Result<Recording>> {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    let wanted = quoted.join(" ");
    match &mut *state() {
        State::Here => None,
        State::Noting(notes) => {
            if !notes.contains(&wanted) {
                notes.push(wanted);
            }
            Some(Err(io::Error::other("noted")))
        }
        State::Made(notes, folder) => {
            let found = notes.iter().position(|note| *note == wanted);
            let found = found.map(|number| made(&folder.join(number.to_string())));
            let missing = || Err(io::Error::other(format!("nobody has noted {wanted}")));
            Some(found.unwrap_or_else(missing))
        }
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What was made into a folder.
///
/// # Errors
/// If it is not there.
pub fn made(folder: &Path) -> io::Result<Recording> {
    let read = |name: &str| std::fs::read(folder.join(name));
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let status: i32 = status.trim().parse().map_err(io::Error::other)?;
    let output = Output {
        status: ExitStatus::from_raw((status & 0xff) << 8),
        stdout: read("out")?,
        stderr: read("err")?,
    };
    Ok(Recording::in_folder(folder, output))
}
