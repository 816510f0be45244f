//! How an event reads as one line, live in the recorder and replayed in the
//! analyzer:
//!
//! ```text
//! 13:16:29 96907/ksmtuned 96908 awk '/^MemFree/ {print $2}' /proc/meminfo
//! ```

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::quote;

/// A wall-clock time of day, UTC, from microseconds since 1970. A time out of
/// the calendar's range reads `--:--:--`.
#[must_use]
pub fn time_of_day(wall_us: i64) -> String {
    match Timestamp::from_microsecond(wall_us) {
        Ok(time) => time.strftime("%H:%M:%S").to_string(),
        Err(_) => "--:--:--".into(),
    }
}

/// A wall-clock time as it stands in file names, from seconds since 1970:
/// `20261125T060708Z`.
#[must_use]
pub fn file_time(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y%m%dT%H%M%SZ").to_string(),
        Err(_) => seconds.to_string(),
    }
}

/// A successful or failed exec.
#[derive(Clone, Copy, Debug)]
pub struct Exec<'a> {
    /// Microseconds since 1970.
    pub wall_us: i64,
    /// Parent's process id.
    pub ppid: i32,
    /// Parent's name.
    pub parent_comm: &'a str,
    /// Process id.
    pub pid: i32,
    /// Quoted arguments.
    pub cmdline: &'a str,
    /// 0, or why it failed.
    pub errno: i32,
    /// Whether all arguments are there.
    pub complete: bool,
}

impl Exec<'_> {
    /// The line, without an end of line.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!(
            "{} {}/{} {} {}",
            time_of_day(self.wall_us),
            self.ppid,
            quote::printable(self.parent_comm),
            self.pid,
            quote::printable(self.cmdline),
        );
        if !self.complete {
            line.push_str(" ...");
        }
        if self.errno != 0 {
            let _ = write!(line, " = {}", std::io::Error::from_raw_os_error(self.errno));
        }
        line
    }
}

/// The hit of a probe, or a CPU sample.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// Microseconds since 1970.
    pub wall_us: i64,
    /// Process id.
    pub pid: i32,
    /// Name of the thread.
    pub comm: &'a str,
    /// CPU.
    pub cpu: i32,
    /// What was hit.
    pub event: &'a str,
    /// `task`, `softirq`, …
    pub context: &'a str,
}

impl Hit<'_> {
    /// The line, without an end of line.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{} {}/{} cpu {} {} in {}",
            time_of_day(self.wall_us),
            self.pid,
            quote::printable(self.comm),
            self.cpu,
            quote::printable(self.event),
            quote::printable(self.context),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exec_reads_like_a_live_tool_prints_it() {
        let exec = Exec {
            wall_us: 1_700_000_000_000_000,
            ppid: 96907,
            parent_comm: "ksmtuned",
            pid: 96908,
            cmdline: "awk '{print $2}' /proc/meminfo",
            errno: 0,
            complete: true,
        };
        assert_eq!(
            exec.line(),
            "22:13:20 96907/ksmtuned 96908 awk '{print $2}' /proc/meminfo"
        );
        let failed = Exec {
            errno: 2,
            complete: false,
            ..exec
        };
        assert!(
            failed
                .line()
                .ends_with("/proc/meminfo ... = No such file or directory (os error 2)")
        );
    }

    #[test]
    fn no_text_of_a_hit_reaches_a_terminal_as_it_is() {
        let hit = Hit {
            wall_us: 0,
            pid: 1,
            comm: "\u{1b}[2J",
            cpu: 0,
            event: "\u{1b}[2J",
            context: "\u{1b}[2J",
        };
        assert!(!hit.line().contains('\u{1b}'));
    }

    #[test]
    fn an_absurd_time_is_no_panic() {
        assert_eq!(time_of_day(i64::MAX), "--:--:--");
    }
}
