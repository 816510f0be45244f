//! Programs of other formats than this machine's own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where programs of 32 bits begin in memory.
const BASE: u32 = 0x0804_8000;
/// Bytes of an ELF header and one program header (elf(5)).
const HEADERS: u32 = 0x54;

/// A 32-bit x86 program of these bytes, which begin with code.
fn elf32(bytes: &[u8]) -> Vec<u8> {
    let size = HEADERS + bytes.len() as u32;
    let mut elf = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0".to_vec();
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    // Version, entry, program headers, section headers, flags.
    elf.extend(words(&[1, BASE + HEADERS, 0x34, 0, 0]));
    elf.extend(b"\x34\0\x20\0\x01\0\0\0\0\0\0\0");
    // PT_LOAD of the whole file, to be read and executed, by pages.
    elf.extend(words(&[1, 0, BASE, BASE, size, size, 5, 0x1000]));
    elf.extend(bytes);
    elf
}

/// `fork()` and `exit(7)`: `push eax; mov eax, 2; int 0x80; mov ebx, 7; mov eax, 1;
/// int 0x80`.
const COMPAT: &[u8] = b"\x50\xb8\x02\0\0\0\xcd\x80\xbb\x07\0\0\0\xb8\x01\0\0\0\xcd\x80";

/// `execve("/no/such/file", ["/no/such/file", "a b"], NULL)`, and `exit(7)`: `xor edx,
/// edx; mov ebx, PATH; mov ecx, ARGV; mov eax, 11; int 0x80` and the end of the other.
fn compat_fails_program() -> Vec<u8> {
    const CODE: u32 = 31;
    let path = BASE + HEADERS + CODE;
    let argument = path + 14;
    let argv = argument + 4;
    let mov = |code: u8, value: u32| [&[code], value.to_le_bytes().as_slice()].concat();
    let texts = b"/no/such/file\0a b\0".to_vec();
    let parts = [
        vec![0x31, 0xd2],
        mov(0xbb, path),
        mov(0xb9, argv),
        mov(0xb8, 11),
        vec![0xcd, 0x80],
        COMPAT[8..].to_vec(),
        texts,
        [path, argument, 0]
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect(),
    ];
    elf32(&parts.concat())
}

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
    if let Some(path) = program("compat", &elf32(COMPAT)) {
        run(&path);
    }
}

/// Runs a 32-bit program that fails to execute another; prints its path and status.
pub(crate) fn compat_fails() {
    if let Some(path) = program("compat", &compat_fails_program()) {
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
