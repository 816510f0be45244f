//! What makes a flight recorder keep its last minutes: an exec, an end of a
//! process, or the hit of a probe.

use std::str::FromStr;

use crate::probes::names::matches;

/// An event to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// An exec whose command line matches.
    Exec(String),
    /// The end of a process of that name with that status, as a shell gives it.
    Exit {
        /// Name of the process; `*` stands for any text.
        comm: String,
        /// 0 to 255, 128 and more for a signal; `None` for any but 0.
        status: Option<i32>,
    },
    /// The hit of a probe.
    Probe(String),
}

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || {
            "it is exec:PATTERN for a command line, exit:NAME:STATUS or exit:NAME (any but 0), \
             or probe:EVENT; * stands for any text"
                .to_owned()
        };
        let (kind, rest) = text.split_once(':').ok_or_else(usage)?;
        match (kind, rest) {
            (_, "") => Err(usage()),
            ("exec", pattern) => Ok(Self::Exec(pattern.into())),
            ("probe", event) => Ok(Self::Probe(event.into())),
            ("exit", rest) => {
                let (comm, status) = match rest.rsplit_once(':') {
                    Some((comm, status)) => (comm, Some(status.parse().map_err(|_| usage())?)),
                    None => (rest, None),
                };
                let comm = comm.to_owned();
                Ok(Self::Exit { comm, status })
            }
            _ => Err(usage()),
        }
    }
}

/// The events that are waited for, and the one that came.
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    all: Vec<Trigger>,
    fired: Option<String>,
}

impl Triggers {
    /// Waits for any of these.
    #[must_use]
    pub fn new(all: Vec<Trigger>) -> Self {
        Self { all, fired: None }
    }

    /// An exec succeeded.
    pub fn exec(&mut self, cmdline: &str) {
        self.look(|trigger| match trigger {
            Trigger::Exec(pattern) => matches(pattern, cmdline),
            _ => false,
        });
    }

    /// A process ended, by itself or by a signal.
    pub fn exit(&mut self, comm: &str, code: Option<i32>, signal: Option<i32>) {
        let ended = signal.map_or(code.unwrap_or(0), |signal| 128 + signal);
        self.look(|trigger| match trigger {
            Trigger::Exit { comm: name, status } => {
                matches(name, comm) && status.map_or(ended != 0, |status| status == ended)
            }
            _ => false,
        });
    }

    /// A probe was hit.
    pub fn hit(&mut self, event: &str) {
        self.look(|trigger| match trigger {
            Trigger::Probe(name) => matches(name, event),
            _ => false,
        });
    }

    /// What came since this was asked last, as it was asked for.
    pub fn take(&mut self) -> Option<String> {
        self.fired.take()
    }

    fn look(&mut self, is_meant: impl Fn(&Trigger) -> bool) {
        if self.fired.is_none() {
            let found = self.all.iter().find(|trigger| is_meant(trigger));
            self.fired = found.map(ToString::to_string);
        }
    }
}

impl std::fmt::Display for Trigger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exec(pattern) => write!(f, "exec:{pattern}"),
            Self::Exit { comm, status: None } => write!(f, "exit:{comm}"),
            Self::Exit {
                comm,
                status: Some(status),
            } => write!(f, "exit:{comm}:{status}"),
            Self::Probe(event) => write!(f, "probe:{event}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(spec: &str, happen: impl Fn(&mut Triggers)) -> bool {
        let mut triggers = Triggers::new(vec![spec.parse().unwrap()]);
        happen(&mut triggers);
        triggers.take().is_some_and(|text| text == spec)
    }

    #[test]
    fn an_exec_fires_by_its_command_line() {
        let exec = |triggers: &mut Triggers| triggers.exec("rm -rf /srv/data");
        assert!(fired("exec:rm *", exec));
        assert!(fired("exec:*/srv/*", exec));
        assert!(!fired("exec:rm", exec));
    }

    #[test]
    fn an_end_fires_by_name_and_status() {
        let killed = |triggers: &mut Triggers| triggers.exit("postgres", None, Some(9));
        assert!(fired("exit:postgres:137", killed));
        assert!(fired("exit:post*", killed));
        assert!(!fired("exit:postgres:1", killed));
        let well = |triggers: &mut Triggers| triggers.exit("postgres", Some(0), None);
        assert!(!fired("exit:postgres", well));
        assert!(fired("exit:postgres:0", well));
    }

    #[test]
    fn what_is_no_trigger_is_refused() {
        for wrong in ["", "exec", "exec:", "exit:x:y", "boot:now"] {
            assert!(wrong.parse::<Trigger>().is_err(), "{wrong}");
        }
    }
}
