//! Less common ways to start a program, and what goes wrong on the way.

use std::ffi::CStr;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::exec::{errno, in_child};

const TRUE: &CStr = c"/bin/true";

/// Opens something for execveat(2).
fn open(path: &CStr, flags: i32) -> i32 {
    // SAFETY: a NUL-terminated path.
    unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) }
}

/// Executes a file of a folder, and one that is open already, by descriptor;
/// prints both descriptors.
pub(crate) fn execveat() {
    let folder = open(c"/bin", libc::O_PATH | libc::O_DIRECTORY);
    let file = open(TRUE, libc::O_PATH);
    println!("{folder} {file}");
    let run = |fd: i32, path: &CStr, name: &CStr, flags: i32| {
        in_child(|| {
            let argv = [name.as_ptr(), std::ptr::null()];
            let env = [std::ptr::null::<libc::c_char>()];
            // SAFETY: NUL-terminated strings; arrays that end with null pointers.
            unsafe {
                libc::syscall(
                    libc::SYS_execveat,
                    fd,
                    path.as_ptr(),
                    argv.as_ptr(),
                    env.as_ptr(),
                    flags,
                );
            }
            errno()
        })
    };
    run(folder, c"true", c"by-folder", 0);
    run(file, c"", c"by-descriptor", libc::AT_EMPTY_PATH);
}

/// posix_spawn(3) of a program that is there, and of one that is not; prints
/// pid and error of each.
pub(crate) fn posix_spawn() {
    for path in [TRUE, c"/no/such/spawn"] {
        let argv = [c"spawned".as_ptr().cast_mut(), std::ptr::null_mut()];
        let env = [std::ptr::null_mut::<libc::c_char>()];
        let mut pid = 0;
        // SAFETY: `pid` is valid for writes; NUL-terminated strings; arrays
        // that end with null pointers.
        let error = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                path.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                argv.as_ptr(),
                env.as_ptr(),
            )
        };
        if error == 0 {
            // SAFETY: the pid is of our child; a null pointer is allowed.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        }
        println!("{pid} {error}");
    }
}

/// Tries a chain of links that never ends, and a program that is being written;
/// prints errno and path of each.
pub(crate) fn busy() {
    let dir = std::env::temp_dir().join(format!("whence-busy-{}", std::process::id()));
    let _ = std::fs::create_dir(&dir);
    let (circle, busy) = (dir.join("circle"), dir.join("busy"));
    let _ = symlink(&circle, &circle);
    let _ = std::fs::copy("/bin/true", &busy);
    // Open for writing for as long as it is tried.
    let writing = std::fs::OpenOptions::new()
        .append(true)
        .mode(0o755)
        .open(&busy);
    for path in [&circle, &busy] {
        let error = Command::new(path).arg0("tried").exec();
        let error = error.raw_os_error().unwrap_or(0);
        println!("{error} {}", path.display());
    }
    drop(writing);
    let _ = std::fs::remove_dir_all(&dir);
}

/// Executes a program in a folder whose path is longer than any path may be;
/// prints how many components it has below its root.
pub(crate) fn long_cwd() {
    let top = std::env::temp_dir().join(format!("whence-long-{}", std::process::id()));
    let _ = std::fs::create_dir(&top);
    let _ = std::env::set_current_dir(&top);
    let component = "d".repeat(200);
    let depth = 30;
    for _ in 0..depth {
        let _ = std::fs::create_dir(&component);
        let _ = std::env::set_current_dir(&component);
    }
    let _ = Command::new("/bin/true").arg("long-cwd").status();
    println!("{depth}");
    // Not by its path, which is too long.
    for _ in 0..depth {
        let _ = std::env::set_current_dir("..");
        let _ = std::fs::remove_dir(&component);
    }
    let _ = std::fs::remove_dir(&top);
}
