//! Programs being executed, in all the ways there are.

use std::ffi::{CStr, CString};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// This program.
fn this() -> CString {
    let path = std::env::current_exe().unwrap_or_default();
    CString::new(path.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Executes a program with exactly these arguments; returns only if it fails.
fn execute(path: &CStr, argv: &[CString]) -> i32 {
    let mut pointers: Vec<_> = argv.iter().map(|a| a.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: NUL-terminated strings in an array that ends with a null pointer.
    unsafe { libc::execv(path.as_ptr(), pointers.as_ptr()) };
    errno()
}

/// The error of the last call.
pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Runs something in a child and waits for it.
pub(crate) fn in_child(work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: this program has a single thread where this is used.
    match unsafe { libc::fork() } {
        0 => {
            let status = work();
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(status) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: `status` is valid for writes.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
            status
        }
    }
}

/// Starts `count` processes that do nothing, from several workers, each with an
/// argument of its own: `u-WORKER-NUMBER`.
pub(crate) fn storm(count: usize, workers: usize) {
    let path = std::env::current_exe().unwrap_or_default();
    let workers: Vec<_> = (0..workers)
        .map(|worker| {
            let path = path.clone();
            std::thread::spawn(move || {
                let mine = (0..count).filter(|n| n % workers == worker);
                for n in mine {
                    let argument = format!("u-{worker}-{n}");
                    let _ = Command::new(&path).arg(argument).status();
                }
            })
        })
        .collect();
    for worker in workers {
        let _ = worker.join();
    }
}

/// Argument vectors at the edges of what there can be. Ends as `nothing`.
pub(crate) fn argv(case: &str) {
    let text = |bytes: &[u8]| CString::new(bytes).unwrap_or_default();
    let nothing = text(b"");
    let argv = match case {
        // MAX_ARG_STRLEN is 32 pages, the NUL included.
        "longest-string" => vec![nothing, text(&vec![b'x'; 131_071])],
        "megabytes" => {
            let long = text(&vec![b'y'; 99_999]);
            std::iter::once(nothing).chain(vec![long; 15]).collect()
        }
        "many-empty" => vec![nothing; 200_000],
        "none" => vec![],
        "bytes" => vec![
            text(b""),
            text(b"\xff\xfe not utf-8"),
            text("caf\u{e9} \u{202e}".as_bytes()),
            text(b"new\nline\ttab \x1b[31m"),
            text(b"it's \"quoted\" $HOME"),
        ],
        _ => vec![nothing],
    };
    let error = execute(&this(), &argv);
    eprintln!("whence-workload: failed to execute: errno {error}");
}

/// Executes a copy of itself that has no name in any folder.
pub(crate) fn memfd() {
    let bytes = std::fs::read("/proc/self/exe").unwrap_or_default();
    // SAFETY: a NUL-terminated name.
    let fd = unsafe { libc::memfd_create(c"whence-memfd".as_ptr(), libc::MFD_CLOEXEC) };
    // SAFETY: writes bytes that live to a descriptor that is open.
    unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    let argv = [
        c"from-memfd".as_ptr(),
        c"nothing".as_ptr(),
        std::ptr::null(),
    ];
    let env = [std::ptr::null()];
    // SAFETY: arrays of strings that end with null pointers.
    unsafe { libc::fexecve(fd, argv.as_ptr(), env.as_ptr()) };
}

/// Tries what cannot be executed; prints errno and path of each.
pub(crate) fn fail() {
    let text = |s: &str| CString::new(s).unwrap_or_default();
    let garbage = std::env::temp_dir().join(format!("whence-garbage-{}", std::process::id()));
    let _ = std::fs::write(&garbage, "no program");
    let _ = std::fs::set_permissions(&garbage, std::fs::Permissions::from_mode(0o755));
    let garbage = garbage.display().to_string();
    let long = text(&"x".repeat(200_000));
    for (path, argv) in [
        (
            "/no/such/program",
            vec![text("one"), text(""), text("t w o")],
        ),
        ("/etc/passwd", vec![text("denied")]),
        ("/etc/passwd/below", vec![text("no-folder")]),
        (garbage.as_str(), vec![text("garbage")]),
        ("/bin/true", vec![long]),
    ] {
        let status = in_child(|| execute(&text(path), &argv));
        println!("{} {path}", libc::WEXITSTATUS(status));
    }
    let _ = std::fs::remove_file(&garbage);
}

/// Asks whether a program could be executed, without executing it.
pub(crate) fn check() {
    const AT_EXECVE_CHECK: i32 = 0x10000;
    let argv = [c"checked".as_ptr(), std::ptr::null()];
    let env = [std::ptr::null::<libc::c_char>()];
    // SAFETY: arrays of strings that end with null pointers.
    let done = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            libc::AT_FDCWD,
            c"/bin/true".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            AT_EXECVE_CHECK,
        )
    };
    println!("{}", if done == 0 { 0 } else { errno() });
}

/// Executes a program from a thread that is not the first.
pub(crate) fn from_thread() {
    println!("{}", std::process::id());
    let thread = std::thread::spawn(|| execute(&this(), &[CString::default()]));
    let _ = thread.join();
}

/// Starts a program from a path of functions with known names.
pub(crate) fn callers() {
    let _ = whence_outer(1);
    // Its mappings are read while it lives.
    std::thread::sleep(std::time::Duration::from_millis(500));
}

/// Calls the next; the sum keeps it from being a mere jump.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn whence_outer(n: i32) -> i32 {
    whence_middle(n + 1) + 1
}

/// As above.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn whence_middle(n: i32) -> i32 {
    whence_spawner(n + 1) + 1
}

/// Forks and executes.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn whence_spawner(n: i32) -> i32 {
    in_child(|| execute(c"/bin/true", &[c"true".to_owned()])) + n
}
