//! The command line. Its doc comments are the help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use whence_schemas::redact::Rules;

use crate::export::Target;
use crate::render::Format;

/// Answers, from a recording: who started this process, and how does one get
/// to this function?
#[derive(Debug, Parser)]
#[command(
    name = "whence",
    version,
    after_help = "Exit status: 0 success, 1 error or nothing found, 2 usage, \
                  4 not a recording or corrupt, 5 a resource limit was met."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record this host: runs `whence-record` with all that follows
    #[command(disable_help_flag = true)]
    Record {
        /// Passed to `whence-record` as they are; see `whence record --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// What is in a recording, and how complete it is
    Info(Info),
    /// The process tree, with times, exit status and command lines
    Tree(Tree),
    /// Every chain of ancestors that ran a program
    Who(Who),
    /// The call paths that lead to a function
    Why(Why),
    /// Functions and processes by CPU time
    Top(Top),
    /// A flame graph of the call paths, as one SVG for a browser
    Flame(Flame),
    /// One page for a browser: processes over time, their tree, flame graphs
    Report(Report),
    /// The events in order, as a live tool would have printed them
    Replay(Replay),
    /// Ask in SQL, or run a named query
    Query(Query),
    /// A prompt for SQL, with history and completion
    Shell(Shell),
    /// Make recordings whole whose recorder was killed, or whose disk failed
    Recover(Recover),
    /// Rewrite a finished recording as fewer, larger files that are read faster
    Compact(Compact),
    /// What is new, gone or changed between two recordings
    Diff(Diff),
    /// Add functions, inlined functions, files and lines from debug files
    Symbolize(Symbolize),
    /// Write a file for another viewer: Perfetto, pprof, speedscope, ...
    Export(Export),
    /// Put a part of a recording into one zip, without its secrets
    Bundle(Box<Bundle>),
    /// Check a recording: checksums, numbers of rows, references
    Verify(Verify),
}

/// Which recordings are asked, and within which bounds.
#[derive(Clone, Debug, Args)]
pub struct Source {
    /// A recording, a bundle, or a folder of recordings; may be repeated. Without it, the
    /// newest *.whence in the current directory
    #[arg(short = 'i', long = "input", value_name = "REC")]
    pub input: Vec<PathBuf>,
    /// Memory that queries may use before they spill to disk, such as 256MB
    /// [default: half of this machine's]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_memory: Option<u64>,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// How to write the answer. What was lost is said on standard error for all
    /// but `table`
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `whence info`
#[derive(Debug, Args)]
pub struct Info {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// How to write.
    #[command(flatten)]
    pub output: Output,
}

/// `whence tree`
#[derive(Debug, Args)]
pub struct Tree {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// How to write.
    #[command(flatten)]
    pub output: Output,
    /// Only processes that had this pid, their ancestors and descendants
    #[arg(long, value_name = "PID")]
    pub pid: Option<i32>,
    /// Only processes whose name or command line matches, their ancestors and
    /// descendants
    #[arg(long = "match", value_name = "REGEX", conflicts_with = "pid")]
    pub pattern: Option<String>,
    /// Only processes that were alive then: HH:MM:SS (UTC, of the day of the
    /// recording), or a time such as 2026-01-31T13:16:29Z
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Print equal siblings one by one
    #[arg(long)]
    pub all: bool,
    /// Print command lines whole, however long they are
    #[arg(long)]
    pub wide: bool,
}

/// `whence who`
#[derive(Debug, Args)]
pub struct Who {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// How to write.
    #[command(flatten)]
    pub output: Output,
    /// Name of the program, or a regular expression for it. A plain word is the
    /// whole name if a program has that name; else it may be any part of one
    #[arg(value_name = "PATTERN")]
    pub pattern: String,
    /// Match the whole command line instead of the name
    #[arg(long)]
    pub cmdline: bool,
    /// Print all chains, not only the ten with the most runs
    #[arg(long)]
    pub all: bool,
    /// Print command lines whole, however long they are
    #[arg(long)]
    pub wide: bool,
}

/// `whence why`
#[derive(Debug, Args)]
pub struct Why {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// How to write.
    #[command(flatten)]
    pub output: Output,
    /// A recorded event, such as block_rq_complete, or any function in the
    /// stacks
    #[arg(value_name = "FUNCTION")]
    pub function: String,
    /// Only stacks of this event [default: the event of that name, else CPU
    /// samples]
    #[arg(long, value_name = "EVENT")]
    pub event: Option<String>,
    /// Only stacks of processes that had this pid
    #[arg(long, value_name = "PID")]
    pub pid: Option<i32>,
    /// Fold paths with less than this share, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    pub min_share: f64,
    /// Print every path, and the code that an interrupt interrupted
    #[arg(long)]
    pub all: bool,
}

/// `whence top`
#[derive(Debug, Args)]
pub struct Top {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// How to write.
    #[command(flatten)]
    pub output: Output,
    /// Which event to count [default: CPU samples]
    #[arg(long, value_name = "EVENT")]
    pub event: Option<String>,
    /// Only samples of processes that had this pid
    #[arg(long, value_name = "PID")]
    pub pid: Option<i32>,
    /// Rows of each list
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub rows: usize,
}

/// `whence flame`
#[derive(Debug, Args)]
pub struct Flame {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// The file to write; - is standard output
    #[arg(short, long, value_name = "FILE.svg")]
    pub output: PathBuf,
    /// Which event to draw [default: CPU samples]
    #[arg(long, value_name = "EVENT")]
    pub event: Option<String>,
    /// Only stacks of processes that had this pid
    #[arg(long, value_name = "PID")]
    pub pid: Option<i32>,
}

/// `whence report`
#[derive(Debug, Args)]
pub struct Report {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// The file to write; - is standard output
    #[arg(short, long, value_name = "FILE.html")]
    pub output: PathBuf,
    /// How many processes the page shows at most. Of each chain of programs the
    /// first runs are kept, with all their ancestors
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_processes: u32,
    /// A recording from before, or a folder of them: the page tells what is new,
    /// gone or changed since, as `whence diff` does
    #[arg(long, value_name = "REC")]
    pub against: Option<PathBuf>,
}

/// `whence bundle`
#[derive(Debug, Args)]
pub struct Bundle {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// How to write what --inspect shows.
    #[command(flatten)]
    pub output: Output,
    /// The zip to write, which must not exist
    #[arg(
        short = 'o',
        long = "output",
        value_name = "BUG.zip",
        required_unless_present = "inspect"
    )]
    pub zip: Option<PathBuf>,
    /// Nothing before: HH:MM:SS (UTC, of the day of the recording), or a time
    /// such as 2026-01-31T13:16:29Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Nothing after
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only what happened around this: a time, the first hit of a recorded
    /// event, or the first command line that matches a regular expression
    #[arg(long, value_name = "EVENT", conflicts_with_all = ["since", "until"])]
    pub around: Option<String>,
    /// How long before and after --around
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub window: Duration,
    /// Only processes that had this pid, and their descendants; ancestors are
    /// named too
    #[arg(long, value_name = "PID")]
    pub pid: Option<i32>,
    /// Only processes whose name or a command line matches, likewise
    #[arg(long = "match", value_name = "REGEX")]
    pub pattern: Option<String>,
    /// Keep to this size: samples are thinned, then old events are cut
    #[arg(long, value_name = "SIZE", default_value = "25MB", value_parser = parse_size)]
    pub max_size: u64,
    /// What replaces secrets: the rules of `default`, of a file
    /// (docs/bundle.md), or none
    #[arg(long, value_name = "default|none|FILE", default_value = "default", value_parser = Rules::named)]
    pub redact: Rules,
    /// What you have to say to the reader
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Write nothing; show what would leave the house
    #[arg(long)]
    pub inspect: bool,
}

/// `whence verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// How to write.
    #[command(flatten)]
    pub output: Output,
}

/// `whence replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// How to write.
    #[command(flatten)]
    pub output: Output,
    /// `max` for no pauses, or how many times faster than it happened
    #[arg(long, value_name = "N|max", default_value = "max", value_parser = parse_speed)]
    pub speed: Speed,
    /// Go on with a recording in progress as its segments are finished, until it
    /// ends
    #[arg(long)]
    pub follow: bool,
    /// Print CPU samples too, and the steps of searches along PATH
    #[arg(long)]
    pub all: bool,
}

/// `whence query`
#[derive(Debug, Args)]
pub struct Query {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// How to write.
    #[command(flatten)]
    pub output: Output,
    /// SQL, or the name of a query; see --list
    #[arg(value_name = "SQL|NAME")]
    pub query: Option<String>,
    /// Read the SQL from a file; - is standard input
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with_all = ["query", "list"])]
    pub file: Option<PathBuf>,
    /// A value for a parameter of the query, written $k there; may be repeated
    #[arg(long = "param", value_name = "K=V", value_parser = parse_param)]
    pub params: Vec<(String, String)>,
    /// List the named queries, with their parameters
    #[arg(long, conflicts_with = "query")]
    pub list: bool,
    /// Allow statements that write files, create tables or change settings
    #[arg(long)]
    pub allow_write: bool,
}

/// `whence shell`
#[derive(Debug, Args)]
pub struct Shell {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// How to write.
    #[command(flatten)]
    pub output: Output,
    /// Allow statements that write files, create tables or change settings
    #[arg(long)]
    pub allow_write: bool,
}

/// `whence recover`
#[derive(Debug, Args)]
#[command(after_help = "\
Lists every segment that was finished, puts aside what is damaged, removes what
was being written, and notes what is missing. It may be run any number of times.")]
pub struct Recover {
    /// A recording, or a folder of recordings
    #[arg(value_name = "REC", required = true)]
    pub recordings: Vec<PathBuf>,
}

/// `whence compact`
#[derive(Debug, Args)]
pub struct Compact {
    /// Recordings; each is replaced in place, at once and as a whole
    #[arg(value_name = "REC", required = true)]
    pub recordings: Vec<PathBuf>,
    /// Memory that rows may take while they are sorted, such as 1GB [default:
    /// half of this machine's]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_memory: Option<u64>,
}

/// `whence diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// The first recording, or a folder of recordings
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// The second one
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// How to write.
    #[command(flatten)]
    pub output: Output,
    /// Rows of each list
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub rows: usize,
    /// Every value, also those that did not change or that chance explains
    #[arg(long)]
    pub all: bool,
    /// Memory that queries may use before they spill to disk, such as 256MB
    /// [default: half of this machine's]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_memory: Option<u64>,
}

/// `whence symbolize`
#[derive(Debug, Args)]
pub struct Symbolize {
    /// Where to read, and to write table `symbol` anew.
    #[command(flatten)]
    pub source: Source,
    /// How to write what became of each module.
    #[command(flatten)]
    pub output: Output,
    /// A folder of debug files, laid out as /usr/lib/debug: .build-id/xx/yyy.debug,
    /// or the path of the program with .debug; may be repeated. A file with
    /// another build-id than the program that was recorded is refused. Nothing
    /// is fetched from elsewhere
    #[arg(long, value_name = "DIR", required = true)]
    pub debug_dir: Vec<PathBuf>,
}

/// `whence export`
#[derive(Debug, Args)]
pub struct Export {
    /// Where to read.
    #[command(flatten)]
    pub source: Source,
    /// The format
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub to: Target,
    /// Where to write [default: standard output]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Which event to write [default: CPU samples; all events for perfetto]
    #[arg(long, value_name = "EVENT")]
    pub event: Option<String>,
    /// Only processes that had this pid, and their stack events
    #[arg(long, value_name = "PID")]
    pub pid: Option<i32>,
    /// Only from this time on: HH:MM:SS (UTC, of the day of the recording), or
    /// a time such as 2026-01-31T13:16:29Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// How fast events are replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// Without pauses.
    Max,
    /// That many times faster than they happened.
    Times(f64),
}

fn parse_speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.parse::<f64>() {
        Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
        _ => Err("give a number above 0, or max".into()),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "give a time such as 30s, 5m or 1h".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1000.0,
        "s" | "" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

fn parse_param(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("give NAME=VALUE".into()),
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    let upper = text.trim().to_ascii_uppercase();
    let digits = upper.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match upper[digits.len()..].trim() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err("give a size such as 256MB or 2GB".into()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "give a size such as 256MB or 2GB".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse_size("256MB"), Ok(256 << 20));
        assert_eq!(parse_size("2 GiB"), Ok(2 << 30));
        assert_eq!(parse_size("17"), Ok(17));
        for bad in ["", "MB", "-1", "1.5GB", "0", "99999999999G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn speeds_are_numbers_or_max() {
        assert_eq!(parse_speed("max"), Ok(Speed::Max));
        assert_eq!(parse_speed("10"), Ok(Speed::Times(10.0)));
        for bad in ["0", "-1", "fast", "NaN", "inf"] {
            assert!(parse_speed(bad).is_err(), "{bad}");
        }
    }
}
