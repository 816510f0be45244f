//! What tests against the running kernel need: the programs, a recording to
//! look into by SQL, and the reason why a test cannot run here.
//!
//! One kernel is shared by all: recordings are made one at a time, each in a
//! folder of its own.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub mod elsewhere;
mod harness;
pub mod verifier;

pub use harness::{Test, test};

/// Longest time that anything is waited for.
const DEADLINE: Duration = Duration::from_secs(120);

/// A program of the workspace, built beside the test that asks.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let mut dir = std::env::current_exe().unwrap_or_default();
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    dir.join(name)
}

/// The program that does what is to be recorded.
#[must_use]
pub fn workload() -> String {
    program("whence-workload").display().to_string()
}

/// Why recordings cannot be made here; `None` if they can.
#[must_use]
pub fn obstacle() -> Option<String> {
    let missing = whence_recorder::host::missing_capabilities();
    if !missing.is_empty() {
        return Some(format!("{} missing; run as root", missing.join(" and ")));
    }
    let btf = Path::new("/sys/kernel/btf/vmlinux");
    (!btf.exists()).then(|| "the kernel has no BTF".into())
}

/// A program that the tests need and that is not built. That is no obstacle but
/// a mistake: skipping for it would skip everything without notice.
#[must_use]
pub fn unbuilt() -> Option<&'static str> {
    let needed = ["whence", "whence-record", "whence-workload"];
    needed.into_iter().find(|name| !program(name).exists())
}

/// Keeps other tests from recording at the same time.
#[derive(Debug)]
pub struct Turn(#[allow(dead_code)] File);

impl Turn {
    /// Waits until it is this test's turn.
    ///
    /// # Errors
    /// If the lock cannot be made.
    pub fn take() -> io::Result<Self> {
        let file = File::create(std::env::temp_dir().join("whence-tests.lock"))?;
        // SAFETY: the descriptor is open; the lock goes with it.
        match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } {
            0 => Ok(Self(file)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// A recording in a folder that goes with it.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    /// Goes with it.
    _dir: Option<TempDir>,
    /// What the recorder said and how it ended.
    pub output: Output,
}

/// A recorder that runs.
#[derive(Debug)]
pub struct Recorder {
    dir: TempDir,
    child: Child,
    _turn: Turn,
}

fn recorder(dir: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(program("whence-record"));
    command
        .arg("-o")
        .arg(dir.join("x.whence"))
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Records a command and what descends from it.
///
/// # Errors
/// If the recorder cannot be run.
pub fn record<S: AsRef<OsStr>>(options: &[&str], command: &[S]) -> io::Result<Recording> {
    let words = command
        .iter()
        .map(|word| word.as_ref().to_str().unwrap_or_default());
    let words: Vec<&str> = options.iter().copied().chain(["--"]).chain(words).collect();
    if let Some(elsewhere) = elsewhere::take(&words) {
        return elsewhere;
    }
    let _turn = Turn::take()?;
    let dir = TempDir::new()?;
    let child = recorder(dir.path(), options)
        .arg("--")
        .args(command)
        .spawn()?;
    let output = finish(child)?;
    Ok(Recording::at(dir, output))
}

/// Waits for the end of a program and gives what it said.
///
/// # Errors
/// If it does not end in time; it is killed then.
pub fn finish(child: Child) -> io::Result<Output> {
    finish_within(child, DEADLINE)
}

/// The same, of one that takes its time.
///
/// # Errors
/// As [`finish`].
pub fn finish_within(child: Child, deadline: Duration) -> io::Result<Output> {
    let pid = child.id().cast_signed();
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    ended.recv_timeout(deadline).unwrap_or_else(|_| {
        // SAFETY: the pid is of our child, which has not been waited for.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        Err(io::Error::other(format!("process {pid} does not end")))
    })
}

impl Recorder {
    /// Starts recording the host, and waits until it does.
    ///
    /// # Errors
    /// If the recorder cannot be run or does not begin.
    pub fn start(options: &[&str]) -> io::Result<Self> {
        let turn = Turn::take()?;
        let dir = TempDir::new()?;
        // The first line it prints means that it records.
        let child = recorder(dir.path(), options).arg("--print").spawn()?;
        let mut this = Self {
            dir,
            child,
            _turn: turn,
        };
        match this.wait_for_events() {
            Ok(()) => Ok(this),
            Err(error) => {
                this.child.kill()?;
                let output = finish(this.child)?;
                let said = String::from_utf8_lossy(&output.stderr);
                Err(io::Error::other(format!("{error}: {said}")))
            }
        }
    }

    fn wait_for_events(&mut self) -> io::Result<()> {
        use io::BufRead as _;
        let Some(stdout) = self.child.stdout.take() else {
            return Err(io::Error::other("the recorder has no output"));
        };
        let (sender, lines) = std::sync::mpsc::channel();
        // Goes on reading, or the recorder would take it for a closed pipe.
        std::thread::spawn(move || {
            for line in io::BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let begin = Instant::now();
        while begin.elapsed() < DEADLINE {
            Command::new("true").status()?;
            if lines.recv_timeout(Duration::from_millis(200)).is_ok() {
                return Ok(());
            }
        }
        Err(io::Error::other("the recorder does not begin"))
    }

    /// The recording in progress.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("x.whence")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, waits for the end, and gives what was recorded.
    ///
    /// # Errors
    /// If the recorder does not end.
    pub fn stop(self, signal: i32) -> io::Result<Recording> {
        // SAFETY: the pid is of our child, which has not been waited for.
        unsafe { libc::kill(self.child.id().cast_signed(), signal) };
        Ok(Recording::at(self.dir, finish(self.child)?))
    }
}

impl Recording {
    /// The recording `x.whence` of a folder, with what its recorder said.
    #[must_use]
    pub fn at(dir: TempDir, output: Output) -> Self {
        Self {
            path: dir.path().join("x.whence"),
            _dir: Some(dir),
            output,
        }
    }

    /// The same of a folder that somebody else keeps.
    #[must_use]
    pub fn in_folder(folder: &Path, output: Output) -> Self {
        Self {
            path: folder.join("x.whence"),
            _dir: None,
            output,
        }
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// What the recorder said.
    #[must_use]
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// What the command printed, or the recorder itself.
    #[must_use]
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Runs `whence` on it.
    ///
    /// # Errors
    /// If the program cannot be run.
    pub fn whence(&self, args: &[&str]) -> io::Result<Output> {
        Command::new(program("whence"))
            .args(args)
            .arg("-i")
            .arg(self.path())
            .stdin(Stdio::null())
            .output()
    }

    /// The answer of a command of `whence`, as text.
    ///
    /// # Errors
    /// If it fails, with what it said.
    pub fn answer(&self, args: &[&str]) -> io::Result<String> {
        let output = self.whence(args)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(format!("{args:?}: {said}")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Rows of a query, as objects.
    ///
    /// # Errors
    /// If the query fails.
    pub fn query(&self, sql: &str) -> io::Result<Vec<Value>> {
        let text = self.answer(&["query", "--format", "json", sql])?;
        serde_json::from_str(&text).map_err(|e| io::Error::other(format!("{e}: {text}")))
    }

    /// The first value of the first row of a query.
    ///
    /// # Errors
    /// If the query fails or gives no row.
    pub fn value(&self, sql: &str) -> io::Result<Value> {
        let rows = self.query(sql)?;
        let first = rows.first().and_then(Value::as_object);
        let value = first.and_then(|row| row.values().next());
        value
            .cloned()
            .ok_or_else(|| io::Error::other(format!("no row: {sql}")))
    }

    /// Like [`value`](Self::value), as a number.
    ///
    /// # Errors
    /// If it is none.
    pub fn number(&self, sql: &str) -> io::Result<i64> {
        let value = self.value(sql)?;
        value
            .as_i64()
            .ok_or_else(|| io::Error::other(format!("{value} is no number: {sql}")))
    }
}

/// Runs a command and gives its output, for comparing with a recording.
///
/// # Errors
/// If it cannot be run.
pub fn run<S: AsRef<OsStr>>(command: &[S]) -> io::Result<Output> {
    let (program, args) = command
        .split_first()
        .ok_or_else(|| io::Error::other("no command"))?;
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
}
