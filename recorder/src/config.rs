//! What to record, checked and complete. Knows nothing of the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use whence_schemas::redact::Rules;

use crate::flight::Keep;
use crate::guard::Bounds;
use crate::probes::Spec;
use crate::trigger::Trigger;

/// How call paths of user code are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwind {
    /// By unwind tables within a budget, else by frame pointers.
    Auto,
    /// By frame pointers only.
    FramePointers,
    /// By unwind tables, whatever it costs.
    Dwarf,
}

impl Unwind {
    /// A budget that is never used up.
    pub const WHATEVER_IT_COSTS: u64 = u64::MAX / 2;

    /// Bytes of stack memory that are taken per CPU and tenth of a second.
    #[must_use]
    pub fn budget(self) -> u64 {
        match self {
            // 8 MB per second and CPU: at most 500 paths 16 KiB deep, some ten
            // times as many of those that start processes.
            Self::Auto => 800 << 10,
            Self::FramePointers => 0,
            Self::Dwarf => Self::WHATEVER_IT_COSTS,
        }
    }
}

/// What to record.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of the recording; it must not exist.
    pub output: PathBuf,
    /// Stop after this long.
    pub duration: Option<Duration>,
    /// CPU stacks per CPU and second; 0 for none.
    pub sample_hz: u32,
    /// Where else stacks are taken.
    pub stacks: Vec<Spec>,
    /// Record waits that are at least this long.
    pub off_cpu: Option<Duration>,
    /// Names of environment variables to keep.
    pub env: Vec<String>,
    /// What is replaced before anything is written.
    pub redact: Rules,
    /// How call paths of user code are found.
    pub unwind: Unwind,
    /// Record execs that fail, too.
    pub failed_execs: bool,
    /// Print events as they come.
    pub print: bool,
    /// End with [`Outcome::Loss`](crate::session::Outcome) if anything is lost.
    pub fail_on_loss: bool,
    /// How often segments are closed: the most that a crash can lose.
    pub segment: Duration,
    /// Keep only the newest.
    pub flight_recorder: Option<Keep>,
    /// Events upon which a flight recorder keeps what it has.
    pub triggers: Vec<Trigger>,
    /// Take stacks of the recorder itself too.
    pub include_self: bool,
    /// Bounds of memory and disk.
    pub bounds: Bounds,
    /// CPU time of the recorder, in percent of one CPU, above which stacks are taken
    /// less often.
    pub max_cpu_percent: u32,
    /// Size of each ring in bytes, a power of two.
    pub ring_bytes: u32,
    /// Record only these processes and their descendants.
    pub pids: Vec<u32>,
    /// Record only processes of this user.
    pub uid: Option<u32>,
    /// Record only processes of this name.
    pub comm: Option<String>,
    /// Record only processes of this cgroup and those below it.
    pub cgroup: Option<PathBuf>,
    /// Record this command and its descendants, and end with it.
    pub command: Vec<OsString>,
    /// With a command: record everything, not only what descends from it.
    pub system_wide: bool,
}

impl Config {
    /// Whether only the command and its descendants are recorded.
    #[must_use]
    pub fn only_command(&self) -> bool {
        !self.command.is_empty() && !self.system_wide
    }

    /// Whether only some processes and their descendants are recorded.
    #[must_use]
    pub fn only_some(&self) -> bool {
        self.only_command() || !self.pids.is_empty()
    }
}
