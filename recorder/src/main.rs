//! `whence-record`: parse, record, exit.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use whence_recorder::cli::{Args, DoctorFormat};
use whence_recorder::session::{self, Outcome, Stop};
use whence_recorder::{clock, doctor, freeze};

fn main() -> ExitCode {
    let args = Args::parse();
    if args.doctor {
        return examine(&args);
    }
    if let Some(from) = &args.snapshot_of {
        return snapshot(from, args.output.as_deref());
    }
    let config = args.config();
    let stop = Stop::default();
    let flags = [
        (SIGINT, &stop.interrupt),
        (SIGTERM, &stop.terminate),
        (SIGHUP, &stop.terminate),
        (SIGUSR1, &stop.freeze),
        (SIGUSR2, &stop.write),
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

/// Says what can be recorded; fails if nothing can.
fn examine(args: &Args) -> ExitCode {
    use std::io::Write as _;
    let dir = args.output.as_deref().and_then(Path::parent);
    let dir = dir.filter(|dir| !dir.as_os_str().is_empty());
    let checks = doctor::examine(dir.unwrap_or(Path::new(".")));
    let text = match args.format {
        DoctorFormat::Text => doctor::text(&checks),
        DoctorFormat::Json => doctor::json(&checks),
    };
    // A reader that has gone has seen enough.
    let _ = writeln!(std::io::stdout(), "{text}");
    match doctor::can_record(&checks) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Makes a recording of what a flight recorder has.
fn snapshot(from: &Path, to: Option<&Path>) -> ExitCode {
    let seconds = clock::read().real_ns / 1_000_000_000;
    let to = to.map_or_else(|| freeze::beside(from, seconds), Path::to_path_buf);
    let frozen =
        session::random_id().and_then(|id| freeze::snapshot_of(from, &to, &id).map_err(Into::into));
    match frozen {
        Ok(()) => {
            eprintln!("whence-record: kept {}", to.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("whence-record: {error:#}");
            ExitCode::FAILURE
        }
    }
}
