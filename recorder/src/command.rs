//! The command that is recorded: it exists before recording begins and starts
//! to run when recording is ready, so that its very first exec is caught.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::ffi::OsStringExt as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// A child that waits to execute a command.
#[derive(Debug)]
pub struct Command {
    pid: i32,
    go: Option<File>,
    status: Option<i32>,
    /// When it was asked to end.
    terminated: Option<Instant>,
}

impl Command {
    /// Forks the child. Called while this program has a single thread.
    ///
    /// # Errors
    /// If the command has a NUL in it, or the system refuses.
    pub fn prepare(argv: &[OsString]) -> anyhow::Result<Self> {
        let argv: Vec<CString> = argv
            .iter()
            .map(|arg| CString::new(arg.clone().into_vec()))
            .collect::<Result<_, _>>()
            .context("failed to read the command: an argument holds a NUL")?;
        let mut pointers: Vec<*const libc::c_char> = argv.iter().map(|a| a.as_ptr()).collect();
        pointers.push(std::ptr::null());
        let mut ends = [0; 2];
        // SAFETY: `ends` has room for two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(std::io::Error::last_os_error()).context("failed to make a pipe");
        }
        // SAFETY: the kernel has just given both descriptors to us alone.
        let [wait, go] = ends.map(|fd| unsafe { File::from_raw_fd(fd) });
        // SAFETY: there is a single thread, so the child may do anything; what
        // it does is async-signal-safe all the same.
        match unsafe { libc::fork() } {
            -1 => Err(std::io::Error::last_os_error()).context("failed to fork"),
            0 => {
                drop(go);
                // SAFETY: in the child; `pointers` ends with a null pointer and
                // points into `argv`, which lives.
                unsafe { child(wait.as_raw_fd(), &pointers) }
            }
            pid => Ok(Self {
                pid,
                go: Some(go),
                status: None,
                terminated: None,
            }),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.cast_unsigned()
    }

    /// Lets it execute the command.
    ///
    /// # Errors
    /// If it is gone.
    pub fn release(&mut self) -> anyhow::Result<()> {
        match self.go.take() {
            Some(mut go) => go.write_all(b"!").context("failed to start the command"),
            None => Ok(()),
        }
    }

    /// Asks it to end, once; gives the time since then.
    pub fn terminate(&mut self) -> Duration {
        if self.terminated.is_none() && self.status().is_none() {
            // SAFETY: the pid is of our child, which has not been waited for.
            unsafe { libc::kill(self.pid, libc::SIGTERM) };
        }
        self.terminated.get_or_insert_with(Instant::now).elapsed()
    }

    /// Its exit status, as a shell gives it, once it has ended.
    pub fn status(&mut self) -> Option<i32> {
        if self.status.is_none() {
            let mut status = 0;
            // SAFETY: `status` is valid for writes; the pid is of our child,
            // which nobody else waits for.
            let ended = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) };
            self.status = match ended {
                0 => None,
                pid if pid == self.pid && libc::WIFSIGNALED(status) => {
                    Some(128 + libc::WTERMSIG(status))
                }
                pid if pid == self.pid => Some(libc::WEXITSTATUS(status)),
                _ => Some(1),
            };
        }
        self.status
    }
}

/// Waits for a byte, then executes; without one, the recorder has failed.
///
/// # Safety
/// Only in a child just forked; `argv` ends with a null pointer.
unsafe fn child(wait: i32, argv: &[*const libc::c_char]) -> ! {
    let mut byte = 0u8;
    // SAFETY: as the caller promises; only async-signal-safe calls.
    unsafe {
        while libc::read(wait, (&raw mut byte).cast(), 1) == -1
            && *libc::__errno_location() == libc::EINTR
        {}
        if byte == 0 {
            libc::_exit(1);
        }
        libc::execvp(argv[0], argv.as_ptr());
        let error = *libc::__errno_location();
        let say = |bytes: &[u8]| {
            libc::write(2, bytes.as_ptr().cast(), bytes.len());
        };
        say(b"whence-record: failed to run ");
        libc::write(2, argv[0].cast(), libc::strlen(argv[0]));
        match error {
            libc::ENOENT => say(b": no such command\n"),
            libc::EACCES => say(b": permission denied\n"),
            _ => say(b"\n"),
        }
        // As shells do.
        libc::_exit(if error == libc::ENOENT { 127 } else { 126 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(argv: &[&str], release: bool) -> i32 {
        let argv: Vec<OsString> = argv.iter().map(Into::into).collect();
        let mut command = Command::prepare(&argv).unwrap();
        if release {
            command.release().unwrap();
        } else {
            command.go = None;
        }
        loop {
            if let Some(status) = command.status() {
                return status;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    #[test]
    fn the_status_is_the_commands() {
        assert_eq!(ends(&["sh", "-c", "exit 7"], true), 7);
        assert_eq!(ends(&["sh", "-c", "kill -9 $$"], true), 137);
        assert_eq!(ends(&["/no/such/command"], true), 127);
    }

    #[test]
    fn a_command_that_is_not_released_does_not_run() {
        assert_eq!(ends(&["sh", "-c", "exit 7"], false), 1);
    }
}
