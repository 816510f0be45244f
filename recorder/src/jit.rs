//! Code that a program has made while it runs, in memory without a file: whose it
//! is, and the file in which its maker tells names, `/tmp/perf-PID.map` as perf
//! reads it too.
//!
//! That file is a stranger's. It is looked for where its process sees it, by no
//! link that leads out of there, and believed only if it is of the process's user
//! or of root.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use crate::procfs;

/// What such code is called where others have the path of a file.
pub const NAME: &str = "[jit]";
/// More of a file is not read.
const MAX_BYTES: u64 = 64 << 20;
/// Lines may overlap, and each name as many addresses as it likes: no more than this
/// in all, of which those of a file that says each thing once are a small part.
const MAX_NAMINGS: usize = 1 << 20;
/// A longer name is cut.
const MAX_NAME: usize = 1024;

/// Who has made it.
#[derive(Debug)]
pub struct Maker {
    /// What stands for the process in the ids of frames, on all hosts and boots.
    pub key: String,
    pid: u32,
    start_ticks: u64,
    /// Its pid as it sees it itself.
    own_pid: u32,
    uid: u32,
    /// Whether it sees the same files as the recorder.
    at_home: bool,
}

impl Maker {
    /// A process that lives; `None` if it does not.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let text = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        let link = |pid: &str, name: &str| fs::read_link(format!("/proc/{pid}/{name}")).ok();
        let start_ticks = start_ticks(pid)?;
        let status = text("status")?;
        let field = |key: &str, which: usize| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().nth(which)?.parse::<u32>().ok()
        };
        let own_pid = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        let own_pid = own_pid.split_whitespace().last()?.parse().ok()?;
        let shown = pid.to_string();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Self {
            key: format!("{NAME} {} {pid} {start_ticks}", boot.trim()),
            pid,
            start_ticks,
            own_pid,
            // The effective one: new files are its.
            uid: field("Uid:", 1)?,
            at_home: link(&shown, "ns/mnt").is_some_and(|ns| Some(ns) == link("self", "ns/mnt"))
                && link(&shown, "root").is_some_and(|root| root.as_os_str() == "/"),
        })
    }

    /// The file of names, if there is one that can be believed. The process may be
    /// gone by now.
    #[must_use]
    pub fn names(&self) -> Option<File> {
        let root = match start_ticks(self.pid) == Some(self.start_ticks) {
            true => format!("/proc/{}/root", self.pid),
            false if self.at_home => "/".into(),
            false => return None,
        };
        let mut options = File::options();
        let options = options
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY);
        let at = open_below(
            &options.open(root).ok()?,
            &format!("tmp/perf-{}.map\0", self.own_pid),
        )?;
        let found = at.metadata().ok()?;
        let believed = found.is_file() && [self.uid, 0].contains(&found.uid());
        // Only now for reading: to open a device may do anything.
        believed.then(|| File::open(format!("/proc/self/fd/{}", at.as_raw_fd())).ok())?
    }
}

fn start_ticks(pid: u32) -> Option<u64> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    Some(procfs::stat(&String::from_utf8_lossy(&text))?.1)
}

/// Opens, as a place only, what lies below a folder (openat2(2)).
fn open_below(folder: &File, path: &str) -> Option<File> {
    // SAFETY: all zeros are a valid `open_how`.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64;
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    let (folder, size) = (folder.as_raw_fd(), size_of_val(&how));
    // SAFETY: a NUL-terminated path, and a structure of the size that is told.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            folder,
            path.as_ptr(),
            &raw const how,
            size,
        )
    };
    if fd < 0 {
        return None;
    }
    // SAFETY: a descriptor that the kernel has just given belongs to us alone.
    Some(unsafe { OwnedFd::from_raw_fd(fd as i32) }.into())
}

/// The names of the code at these addresses. Lines are `START SIZE NAME`, both
/// numbers hexadecimal; of two that say something, the later one is right.
#[must_use]
pub fn functions(file: &File, addresses: &[u64]) -> Vec<Option<String>> {
    let mut order: Vec<usize> = (0..addresses.len()).collect();
    order.sort_by_key(|i| addresses[*i]);
    let mut found = vec![None; addresses.len()];
    let mut namings = 0;
    let mut lines = BufReader::new(file.take(MAX_BYTES));
    let mut line = Vec::new();
    loop {
        line.clear();
        if namings > MAX_NAMINGS || !lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            return found;
        }
        let Some((start, size, name)) = parse(&line) else {
            continue;
        };
        let first = order.partition_point(|i| addresses[*i] < start);
        let inside = order[first..]
            .iter()
            .take_while(|i| addresses[**i] - start < size);
        for i in inside {
            found[*i] = Some(name.clone());
            namings += 1;
        }
    }
}

fn parse(line: &[u8]) -> Option<(u64, u64, String)> {
    let line = line.trim_ascii_end();
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let mut number = || {
        let digits = std::str::from_utf8(parts.next()?).ok()?;
        u64::from_str_radix(digits.trim_start_matches("0x"), 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = parts.next()?;
    let name = &name[..name.len().min(MAX_NAME)];
    Some((start, size, String::from_utf8_lossy(name).into_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    fn named(text: &str, addresses: &[u64]) -> Vec<Option<String>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        functions(&file, addresses)
    }

    #[test]
    fn the_last_line_that_holds_an_address_names_it() {
        let text = "1000 10 one\n0x2000 8 two words\nnonsense\n1000 4 one again\n";
        let found = named(text, &[0x2007, 0x1000, 0x1004, 0x2008, 0xfff]);
        let shown: Vec<_> = found.iter().map(|name| name.as_deref()).collect();
        let expected = [
            Some("two words"),
            Some("one again"),
            Some("one"),
            None,
            None,
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_file_of_nonsense_names_nothing() {
        let text = format!(
            "{}\nffffffffffffffff ffffffffffffffff x\n1 2\n",
            "\0".repeat(9)
        );
        assert_eq!(named(&text, &[1, 2]), [None, None]);
    }

    /// It would take minutes otherwise, at the end of a recording.
    #[test]
    fn lines_that_name_everything_are_read_up_to_a_bound() {
        let addresses: Vec<u64> = (0..1024).collect();
        let lines = 2 * MAX_NAMINGS / addresses.len();
        let text: String = (0..lines).map(|i| format!("0 ffff {i}\n")).collect();
        let last = named(&text, &addresses)[0].take().unwrap();
        let last: usize = last.parse().unwrap();
        assert!((lines / 2..lines - 1).contains(&last), "{last} of {lines}");
    }

    #[test]
    fn the_own_file_of_names_is_believed() {
        let pid = std::process::id();
        let path = std::path::PathBuf::from(format!("/tmp/perf-{pid}.map"));
        let maker = Maker::of(pid).unwrap();
        assert!(maker.names().is_none());
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(maker.names().is_none());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "1000 10 mine\n").unwrap();
        let names = maker.names().map(|file| functions(&file, &[0x1001]));
        fs::remove_file(&path).unwrap();
        assert_eq!(names, Some(vec![Some("mine".to_owned())]));
    }
}
