//! `whence-record`: parse, record, exit.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser as _;
use whence_recorder::cli::Args;
use whence_recorder::session::{self, Outcome};

fn main() -> ExitCode {
    let config = Args::parse().config();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
            eprintln!("whence-record: failed to handle signals: {error}");
            return ExitCode::FAILURE;
        }
    }
    match session::run(&config, &stop) {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::Loss) => ExitCode::from(3),
        Ok(Outcome::Command(status)) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => {
            eprintln!("whence-record: {error:#}");
            ExitCode::FAILURE
        }
    }
}
