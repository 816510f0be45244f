//! Programs of other formats than this machine's own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A 32-bit x86 program that does `fork()` and `exit(7)`: ELF header, one program
/// header, `push eax; mov eax, 2; int 0x80; mov ebx, 7; mov eax, 1; int 0x80` (elf(5)).
const COMPAT: &[u8] = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\
    \x02\0\x03\0\x01\0\0\0\x54\x80\x04\x08\x34\0\0\0\0\0\0\0\0\0\0\0\
    \x34\0\x20\0\x01\0\0\0\0\0\0\0\
    \x01\0\0\0\0\0\0\0\0\x80\x04\x08\0\x80\x04\x08\x68\0\0\0\x68\0\0\0\x05\0\0\0\0\x10\0\0\
    \x50\xb8\x02\0\0\0\xcd\x80\xbb\x07\0\0\0\xb8\x01\0\0\0\xcd\x80";

/// Writes a program into a folder of its own; prints its path.
fn program(name: &str, bytes: &[u8]) -> Option<PathBuf> {
    let dir = std::env::temp_dir().join(format!("whence-{name}-{}", std::process::id()));
    fs::create_dir(&dir).ok()?;
    let path = dir.join(name);
    fs::write(&path, bytes).ok()?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).ok()?;
    println!("{}", path.display());
    Some(path)
}

fn run(path: &Path) {
    let status = Command::new(path).args(["a b", ""]).status();
    match status {
        Ok(status) => println!("{}", status.code().unwrap_or(-1)),
        Err(error) => println!("{error}"),
    }
    if let Some(dir) = path.parent() {
        let _ = fs::remove_dir_all(dir);
    }
}

/// Runs a 32-bit program; prints its path and status.
pub(crate) fn compat() {
    if let Some(path) = program("compat", COMPAT) {
        run(&path);
    }
}

/// Runs a file of a format that was registered with binfmt_misc for as long as
/// that takes; prints its path and status. Wants a mount namespace of its own.
pub(crate) fn binfmt() {
    let mount = ["-t", "binfmt_misc", "whence", "/proc/sys/fs/binfmt_misc"];
    let mounted = Command::new("mount").args(mount).status();
    if !mounted.is_ok_and(|status| status.success()) {
        return;
    }
    let name = format!("whence-{}", std::process::id());
    let magic = format!("WHENCE{:010}", std::process::id());
    let rule = format!(":{name}:M::{magic}::/bin/true:");
    if fs::write("/proc/sys/fs/binfmt_misc/register", rule).is_err() {
        return;
    }
    if let Some(path) = program("binfmt", magic.as_bytes()) {
        run(&path);
    }
    let _ = fs::write(format!("/proc/sys/fs/binfmt_misc/{name}"), "-1");
}
