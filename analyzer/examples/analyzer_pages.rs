//! Writes the man pages and the completions of `whence` to a folder:
//! `analyzer_pages DIR`.

use std::io;
use std::path::PathBuf;

use clap::{CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;
use whence_analyzer::cli::Cli;

fn main() -> io::Result<()> {
    let dir = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| ".".into()));
    std::fs::create_dir_all(&dir)?;
    let mut command = Cli::command().name("whence").bin_name("whence");
    clap_mangen::generate_to(command.clone(), &dir)?;
    for shell in Shell::value_variants() {
        clap_complete::generate_to(*shell, &mut command, "whence", &dir)?;
    }
    Ok(())
}
