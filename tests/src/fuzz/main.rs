//! `whence-fuzz`: gives the readers what no recorder wrote, and holds them to
//! their promise: an answer or an error, in bounded time and memory, and nothing
//! written but the output.
//!
//! Inputs are a function of the corpus, a seed and a number, so a run can be had
//! again. They are tried in a process of its own ([`worker`]), since one that is
//! killed for want of memory cannot tell what it read; this one watches it
//! ([`supervise`]) and saves the input that it failed at. An input that was
//! found that way belongs into `tests/fuzz/corpus/TARGET`, where every run
//! begins with it.

mod bounds;
mod mutate;
mod supervise;
mod targets;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: bounds::Counted = bounds::Counted;

/// Gives hostile input to a reader and watches what it does.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// The reader: bundle, manifest, segment, rows, rules, arguments, symbols
    #[arg(value_name = "TARGET")]
    target: String,
    /// Files to try as they are, instead of the corpus and what is made of it
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Stop after this time
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// Stop after this many inputs, those of the corpus not counted
    #[arg(long, value_name = "N", default_value_t = u64::MAX)]
    runs: u64,
    /// Another seed makes other inputs
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Inputs to begin with, a folder for each target
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus"))]
    corpus: PathBuf,
    /// Where an input is saved that something failed at
    #[arg(long, value_name = "DIR", default_value = ".")]
    save: PathBuf,
    /// Tries the inputs from this number on, in this folder, and tells there
    /// which one it is at
    #[arg(long, hide = true, requires = "scratch")]
    worker: Option<u64>,
    /// The folder of the worker
    #[arg(long, hide = true)]
    scratch: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match (args.worker, &args.scratch) {
        (Some(first), Some(scratch)) => worker::run(&args, first, scratch),
        _ => supervise::run(&args),
    };
    match ended {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("whence-fuzz: {e}");
            ExitCode::FAILURE
        }
    }
}
