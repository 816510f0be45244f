//! `whence shell`, at a terminal and from a pipe.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test without its terminal has failed"
)]

mod common;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{Story, recorded, refused};

/// Longest time that anything is waited for.
const DEADLINE: Duration = Duration::from_secs(120);

fn host() -> Story {
    Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(50, 1, "cron", "/usr/sbin/cron")
        .run(10, 50, 60, &["/bin/sh", "-c", "echo hi"])
}

/// A command at a terminal of 100 columns and 20 rows.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn start(args: &str, state: &Path, pager: &str) -> Self {
        let whence = env!("CARGO_BIN_EXE_whence");
        let line = format!("stty cols 100 rows 20; exec {whence} {args}");
        let mut child = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env("XDG_STATE_HOME", state)
            .env("PAGER", pager)
            .env_remove("COLUMNS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut bytes) {
                let _ = sender.send(bytes[..read].to_vec());
            }
        });
        Self {
            child,
            keys,
            screen,
            seen: String::new(),
        }
    }

    fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for a text, and gives all that was shown since the last one.
    fn expect(&mut self, text: &str) -> String {
        let begin = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = DEADLINE.saturating_sub(begin.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} is not shown: {}", self.seen),
            }
        }
    }

    fn end(mut self) -> Option<i32> {
        drop(self.keys);
        self.child.wait().unwrap().code()
    }
}

#[test]
fn statements_may_take_several_lines_and_names_are_completed() {
    let (dir, recording) = recorded(host());
    let args = format!("shell -i {}", recording.display());
    let mut terminal = Terminal::start(&args, dir.path(), "cat");
    terminal.expect("complete: nothing was lost");
    terminal.expect("whence> ");
    terminal.type_in("SELECT 40 +\r2 AS sum;\r");
    terminal.expect("42");
    terminal.expect("(1 row, ");
    terminal.expect("whence> ");
    terminal.type_in(".sch\t exec\r");
    terminal.expect("argv_state");
    terminal.expect("whence> ");
    terminal.type_in("SELECT comn FROM exec;\r");
    terminal.expect("near names: exec.comm");
    terminal.expect("whence> ");
    terminal.type_in("who_runs;\r");
    terminal.expect("parent_pid");
    terminal.expect("whence> ");
    terminal.type_in(".run who_runs program=sh\r");
    terminal.expect("cron");
    terminal.expect("whence> ");
    terminal.type_in(".quit\r");
    assert_eq!(terminal.end(), Some(0));
    let history = dir.path().join("whence/history");
    let text = std::fs::read_to_string(&history).unwrap();
    assert!(text.contains("SELECT comn FROM exec;"), "{text}");
    let mode = std::fs::metadata(&history).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn ctrl_c_ends_the_question_and_not_the_shell() {
    let (dir, recording) = recorded(host());
    let args = format!("shell -i {}", recording.display());
    let mut terminal = Terminal::start(&args, dir.path(), "cat");
    terminal.expect("whence> ");
    // It never looks whether it is to end.
    terminal.type_in(
        "SELECT count(a.value % b.value) FROM generate_series(1, 10000000) a, \
         generate_series(1, 10000000) b;\r",
    );
    // It says how far it is once it takes more than a second.
    terminal.expect("rows read, ");
    terminal.type_in("\x03");
    terminal.expect("whence: interrupted");
    terminal.expect("whence> ");
    terminal.type_in("SELECT 40 + 2 AS sum;\r");
    terminal.expect("42");
    terminal.expect("whence> ");
    terminal.type_in(".quit\r");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn what_is_longer_than_the_screen_goes_through_the_pager() {
    let (dir, recording) = recorded(host());
    let ask = |rows: u32| {
        let sql = format!("'SELECT value FROM generate_series(1, {rows})'");
        let args = format!("query -i {} {sql}", recording.display());
        let mut terminal = Terminal::start(&args, dir.path(), "sed s/^/paged:/");
        let shown = terminal.expect(&rows.to_string());
        assert_eq!(terminal.end(), Some(0));
        shown
    };
    assert!(ask(100).contains("paged:"));
    assert!(!ask(7).contains("paged:"));
}

fn piped(recording: &Path, text: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_whence"))
        .args(["shell", "-i"])
        .arg(recording)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn from_a_pipe_there_is_no_prompt_and_the_first_error_ends_it() {
    let (_dir, recording) = recorded(host());
    let output = piped(&recording, ".mode csv\nSELECT 1 AS a;\nSELECT\n 2 AS b");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a\n1\nb\n2\n");
    let text = ".mode csv\nSELECT 1 AS a;\nSELECT nope;\nSELECT 3 AS c;\n";
    let output = piped(&recording, text);
    let said = refused(&output, 1);
    assert!(said.contains("\"nope\" not found"), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a\n1\n");
    for (text, code) in [
        (".nope", 2),
        ("SET x = 1;", 2),
        ("no_such_query;", 2),
        ("", 0),
    ] {
        assert_eq!(piped(&recording, text).status.code(), Some(code), "{text}");
    }
}
