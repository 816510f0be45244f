//! `whence-generate`: writes a recording of any size, through the same writer
//! as the recorder, of a host that never was: daemons, cron, builds, shells,
//! and their CPU samples. The same options give the same rows.

mod host;
mod life;
mod output;
mod paths;
mod sampled;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use host::Host;
use output::Output;
use paths::Paths;
use sampled::Samples;

/// Writes a recording of a host that never was.
#[derive(Debug, Parser)]
struct Args {
    /// Processes that start while it is recorded
    #[arg(long, value_name = "N", default_value = "10k", value_parser = count)]
    processes: u64,
    /// CPU samples
    #[arg(long, value_name = "N", default_value = "0", value_parser = count)]
    samples: u64,
    /// Distinct call paths of the samples
    #[arg(long, value_name = "N", default_value = "10k", value_parser = count)]
    stacks: u64,
    /// How processes hang together
    #[arg(long, value_enum, default_value_t = Shape::Host)]
    shape: Shape,
    /// Of two recordings with the same options, the rows differ if this does
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Seconds in a segment
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    segment: u64,
    /// As if the recorder had been killed before it could finish
    #[arg(long)]
    cut_off: bool,
    /// Directory of the recording
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// How processes hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// As on a host
    Host,
    /// Each is the child of the one before
    Chain,
    /// All are children of one
    Star,
}

/// Processes that start in a second.
const PROCESSES_PER_S: u64 = 500;
/// Samples in a second: 99 Hz on 128 CPUs.
const SAMPLES_PER_S: u64 = 99 * sampled::CPUS as u64;

fn count(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['k', 'M']);
    let unit = match &text[digits.len()..] {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        _ => return Err("give a number such as 3.3M or 20k".into()),
    };
    match digits.parse::<f64>() {
        Ok(n) if n >= 0.0 && n * unit <= 1e12 => Ok((n * unit).round() as u64),
        _ => Err("give a number such as 3.3M or 20k".into()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match generate(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("whence-generate: {e}");
            ExitCode::FAILURE
        }
    }
}

fn generate(args: &Args) -> whence_schemas::Result<()> {
    let mut output = Output::create(args)?;
    let mut host = Host::new(args.seed, args.shape, args.processes);
    let mut paths = Paths::new(args.seed, args.stacks.max(10));
    let mut samples = Samples::new(args.seed, args.samples);
    host.snapshot(&mut output);
    let seconds = (args.processes.div_ceil(PROCESSES_PER_S))
        .max(args.samples.div_ceil(SAMPLES_PER_S))
        .max(1);
    let segments = seconds.div_ceil(args.segment.max(1)).max(1);
    for segment in 0..segments {
        let range = output.range_ns(segment);
        // Both end with the last segment.
        let due =
            |all: u64| (u128::from(all) * u128::from(segment + 1) / u128::from(segments)) as u64;
        host.live(&range, due(args.processes), &mut paths, &mut output)?;
        samples.take(&range, due(args.samples), &host, &mut paths, &mut output)?;
        output.rotate(range.end)?;
    }
    output.finish()
}
