//! `whence-workload`: does what a test wants recorded, and says on stdout what
//! it did, so that the recording can be compared with it.

mod burn;
mod exec;
mod formats;
mod jit;
mod kin;
mod life;
mod ways;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let number = |i: usize| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(0);
    match args.first().map_or("nothing", String::as_str) {
        "nothing" | "" => {}
        "storm" => exec::storm(number(1), number(2).max(1)),
        "argv" => exec::argv(args.get(1).map_or("", String::as_str)),
        "memfd" => exec::memfd(),
        "fail" => exec::fail(),
        "check" => exec::check(),
        "thread-exec" => exec::from_thread(),
        "callers" => exec::callers(),
        "statuses" => life::statuses(),
        "leader-first" => life::leader_first(),
        "orphan" => life::orphan(),
        "fork-only" => life::fork_only(),
        "bomb" => life::bomb(),
        "deep" => life::deep(number(1)),
        "deleted-cwd" => life::deleted_cwd(),
        "family" => kin::family(args.get(1).map_or("", String::as_str)),
        "linger" => kin::linger(),
        "storm-until-closed" => kin::storm_until_closed(),
        "subreaper" => kin::subreaper(),
        "busy" => ways::busy(),
        "execveat" => ways::execveat(),
        "compat" => formats::compat(),
        "compat-fails" => formats::compat_fails(),
        "binfmt" => formats::binfmt(),
        "long-cwd" => ways::long_cwd(),
        "posix-spawn" => ways::posix_spawn(),
        "burn" => burn::burn(number(1)),
        "brief" => burn::brief(number(1)),
        "jit" => jit::jit(number(1)),
        "spin" => burn::spin(std::time::Duration::from_millis(number(1) as u64)),
        other if other.starts_with("u-") => {}
        other => {
            eprintln!("whence-workload: no workload {other}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
