//! The command line of `whence-record`, and what it means.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use whence_schemas::layout;
use whence_schemas::redact::Rules;

use crate::config::{Config, Unwind};
use crate::flight::Keep;
use crate::guard::Bounds;
use crate::probes::Spec;
use crate::trigger::Trigger;
use crate::units::{duration, size};
use crate::{clock, host};

/// Records who starts which programs on this host, and call paths, into Parquet.
///
/// With COMMAND, records it and its descendants and ends with it; without,
/// records the whole host until interrupted or for --duration. Needs root, or
/// CAP_BPF and CAP_PERFMON.
#[derive(Debug, Parser)]
#[command(name = "whence-record", bin_name = "whence record", version)]
#[command(after_help = "\
Exit status: 0 complete, 1 error, 2 usage, 3 loss under --fail-on-loss;
with COMMAND, the command's own status.

Examples:
  whence record -d 30s                                  the whole host for 30 seconds
  whence record -s tracepoint:block:block_rq_complete   and how block I/O completes
  whence record -- make -j8                             one build, from its first exec")]
pub struct Args {
    /// Directory to write, which must not exist [default: HOST-YYYYMMDDTHHMMSSZ.whence]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Stop after this long, as in 30s, 10m, 2h [default: until interrupted]
    #[arg(short, long, value_parser = duration)]
    pub duration: Option<Duration>,

    /// CPU stacks per CPU and second; 0 for none
    #[arg(long, value_name = "HZ", default_value_t = 99, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    pub sample: u32,

    /// Take a stack at each hit of PROBE; may be repeated
    ///
    /// PROBE is kernel:FUNC, the entry of a kernel function by the best mechanism here
    /// (fentry:FUNC and kprobe:FUNC choose one); tracepoint:CATEGORY:NAME; uprobe:PATH:SYMBOL,
    /// the entry of a function of a program or library; or usdt:PATH:PROVIDER:NAME, a mark
    /// that its author has left. In the last part, * stands for any text.
    #[arg(short, long = "stack", value_name = "PROBE")]
    pub stacks: Vec<Spec>,

    /// Record waits of at least this long, as in 1ms: where a thread waited, how long, and
    /// who woke it
    #[arg(long, value_name = "MIN", value_parser = duration)]
    pub off_cpu: Option<Duration>,

    /// How call paths of user code are found
    #[arg(long, value_enum, default_value = "auto")]
    pub unwind: UnwindArg,

    /// Keep these environment variables of each exec
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub env: Vec<String>,

    /// Replace secrets in command lines, paths and variables before anything is
    /// written: by the rules of `default`, of a file (docs/bundle.md), or by none
    #[arg(long, value_name = "default|none|FILE", default_value = "default", value_parser = Rules::named)]
    pub redact: Rules,

    /// Leave out execs that fail: to see them, a kernel that refuses fexit makes every
    /// system call of the host slower (see --doctor)
    #[arg(long)]
    pub no_failed_execs: bool,

    /// Print events as they come, as `whence replay` would
    #[arg(long)]
    pub print: bool,

    /// Exit with 3 if anything was lost
    #[arg(long)]
    pub fail_on_loss: bool,

    /// How often files are completed: the most that a crash can lose
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub segment: Duration,

    /// Keep only the newest time, or size, or both, as in 10m,1GB: a flight
    /// recorder. It goes on in the same directory when it is started again
    #[arg(long, value_name = "TIME,SIZE", conflicts_with = "max_size")]
    pub flight_recorder: Option<Keep>,

    /// Keep what the flight recorder has, beside its directory, when this happens:
    /// exec:PATTERN (command line), exit:NAME or exit:NAME:STATUS, probe:EVENT; * stands
    /// for any text; may be repeated. SIGUSR1 does the same
    #[arg(long = "trigger", value_name = "EVENT", requires = "flight_recorder")]
    pub triggers: Vec<Trigger>,

    /// Make a recording of what the flight recorder in DIR has, and end
    #[arg(long, value_name = "DIR", conflicts_with_all = ["flight_recorder", "command", "duration"])]
    pub snapshot_of: Option<PathBuf>,

    /// Take stacks of the recorder itself too
    #[arg(long)]
    pub include_self: bool,

    /// Say what can be recorded on this host, what not, and what would enable it
    #[arg(long, conflicts_with_all = ["snapshot_of", "command"])]
    pub doctor: bool,

    /// How --doctor answers
    #[arg(long, value_enum, default_value = "text", requires = "doctor")]
    pub format: DoctorFormat,

    /// Most that the recording may take on disk, such as 500MB: stacks stop when four
    /// fifths are used, and the recording ends when all is [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,

    /// Room on the disk that is left to others: stacks stop before it is touched,
    /// and the recording ends before half of it is; at most a twentieth of the disk
    #[arg(long, value_name = "SIZE", default_value = "256MB", value_parser = size)]
    pub keep_free: u64,

    /// Most memory that the recorder may take, the rings included, each of which
    /// counts double [default: 128MB, or more with a larger --ring]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_memory: Option<u64>,

    /// CPU time that the recorder may take, in percent of one CPU: above it, and while
    /// stacks come faster than they are read, CPU samples and stack memory are taken
    /// less often, in steps, until it is calm again
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_cpu: u32,

    /// Size of each ring between kernel and recorder, in KiB, a power of two
    #[arg(long, value_name = "KIB", default_value_t = 8 * 1024, value_parser = ring_kib)]
    pub ring: u32,

    /// Record only this process and its descendants; may be repeated
    #[arg(long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Vec<u32>,

    /// Record only processes of this user
    #[arg(long, value_name = "UID")]
    pub uid: Option<u32>,

    /// Record only processes of this name, as the kernel keeps it (15 bytes)
    #[arg(long, value_name = "NAME")]
    pub comm: Option<String>,

    /// Record only processes of this cgroup and those below it
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// With COMMAND: record the whole host, not only what descends from it
    #[arg(long, requires = "command")]
    pub system_wide: bool,

    /// Command to record, with its arguments
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Memory that the recorder may take beside the rings.
const OWN_MEMORY: u64 = 96 << 20;

/// Memory that the kernel takes to time waits (`loader`): 16,384 threads, of which
/// 512 with their stack memory.
const WAITS_RESIDENT: u64 = 32 << 20;

/// Memory that two rings of this size take, each mapped twice.
fn rings_resident(kib: u32) -> u64 {
    4 * 1024 * u64::from(kib)
}

/// The values of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DoctorFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The values of `--unwind`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum UnwindArg {
    /// By unwind tables as far as a budget allows, else by frame pointers
    Auto,
    /// By frame pointers
    Fp,
    /// By unwind tables
    Dwarf,
}

impl From<UnwindArg> for Unwind {
    fn from(arg: UnwindArg) -> Self {
        match arg {
            UnwindArg::Auto => Self::Auto,
            UnwindArg::Fp => Self::FramePointers,
            UnwindArg::Dwarf => Self::Dwarf,
        }
    }
}

impl Args {
    /// What they mean.
    #[must_use]
    pub fn config(self) -> Config {
        let rings = rings_resident(self.ring);
        Config {
            output: self.output.unwrap_or_else(default_output),
            duration: self.duration,
            sample_hz: self.sample,
            stacks: self.stacks,
            off_cpu: self.off_cpu,
            unwind: self.unwind.into(),
            env: self.env,
            redact: self.redact,
            print: self.print,
            fail_on_loss: self.fail_on_loss,
            // A part cannot be shorter than a segment.
            segment: match &self.flight_recorder {
                Some(keep) => self.segment.min(keep.part()),
                None => self.segment,
            },
            flight_recorder: self.flight_recorder,
            triggers: self.triggers,
            failed_execs: !self.no_failed_execs,
            include_self: self.include_self,
            bounds: Bounds {
                max_memory: self.max_memory.unwrap_or(OWN_MEMORY + rings),
                in_kernel: rings + self.off_cpu.map_or(0, |_| WAITS_RESIDENT),
                max_size: self.max_size,
                keep_free: self.keep_free,
            },
            max_cpu_percent: self.max_cpu,
            ring_bytes: self.ring * 1024,
            pids: self.pids,
            uid: self.uid,
            comm: self.comm,
            cgroup: self.cgroup,
            command: self.command,
            system_wide: self.system_wide,
        }
    }
}

fn default_output() -> PathBuf {
    let host = host::host().hostname;
    let host = host.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
    let host = if host.is_empty() { "host".into() } else { host };
    let seconds = clock::read().real_ns / 1_000_000_000;
    let time = whence_schemas::line::file_time(seconds);
    format!("{host}-{time}.{}", layout::EXTENSION).into()
}

fn ring_kib(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(kib) if kib.is_power_of_two() && (64..=1 << 20).contains(&kib) => Ok(kib),
        _ => Err("it must be a power of two from 64 to 1048576".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_dashes_may_be_left_out_before_a_command() {
        let args = Args::parse_from(["whence-record", "--print", "ls", "-d", "--help"]);
        assert_eq!(args.command, ["ls", "-d", "--help"]);
        assert!(args.print && args.duration.is_none());
        assert!(Args::try_parse_from(["whence-record", "--no-such-option"]).is_err());
    }

    #[test]
    fn everything_after_two_dashes_is_the_command() {
        let args = Args::parse_from(["whence-record", "-d", "1m", "--", "ls", "-d", "--help"]);
        assert_eq!(args.command, ["ls", "-d", "--help"]);
        assert_eq!(args.duration, Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_ring_is_a_power_of_two() {
        assert!(ring_kib("48").is_err());
        assert_eq!(ring_kib("64"), Ok(64));
    }
}
