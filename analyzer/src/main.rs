//! `whence`: parses, dispatches, and turns an error into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use whence_analyzer::cli::Cli;
use whence_analyzer::commands;

fn main() -> ExitCode {
    // A decoder that panics on a damaged file is caught and named; its own
    // words would only be noise.
    std::panic::set_hook(Box::new(|_| ()));
    // Everything after `record` belongs to the recorder, --help included.
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == "record") {
        return finish(commands::record::run(&args.collect::<Vec<_>>()));
    }
    let cli = Cli::parse();
    finish(whence_analyzer::interrupt::install().and_then(|()| commands::run(cli)))
}

fn finish(result: whence_analyzer::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if e.is_broken_pipe() => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("whence: {}", e.lines().join("\n"));
            e.to_exit_code()
        }
    }
}
