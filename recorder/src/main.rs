//! `whence-record`: parse, record, exit.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use whence_recorder::cli::Args;
use whence_recorder::session::{self, Outcome, Stop};

fn main() -> ExitCode {
    let config = Args::parse().config();
    let stop = Stop::default();
    let flags = [
        (SIGINT, &stop.interrupt),
        (SIGTERM, &stop.terminate),
        (SIGHUP, &stop.terminate),
    ];
    for (signal, flag) in flags {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(flag)) {
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
