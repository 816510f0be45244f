//! How processes begin and end, apart from what they execute.

use std::time::Duration;

use super::exec::in_child;

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn exit_now(status: i32) -> ! {
    // SAFETY: ends the process at once, as a forked child should.
    unsafe { libc::_exit(status) }
}

fn fork() -> i32 {
    // SAFETY: this program has a single thread where this is used.
    unsafe { libc::fork() }
}

/// Children that end in different ways; prints what wait4(2) told of each:
/// pid, status, CPU time in microseconds, peak memory in KiB.
pub(crate) fn statuses() {
    let dir = std::env::temp_dir().join(format!("whence-core-{}", std::process::id()));
    let _ = std::fs::create_dir(&dir);
    let _ = std::env::set_current_dir(&dir);
    allow_cores();
    for case in 0..6 {
        let pid = fork();
        if pid == 0 {
            end(case);
        }
        let mut status = 0;
        // SAFETY: all zeros are a valid `rusage`.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both are valid for writes.
        unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        let us = |t: libc::timeval| t.tv_sec * 1_000_000 + t.tv_usec;
        let cpu = us(usage.ru_utime) + us(usage.ru_stime);
        println!("{pid} {status} {cpu} {}", usage.ru_maxrss);
    }
    let _ = std::fs::remove_dir_all(&dir);
}

/// Lets memory be dumped, as far as it may be.
fn allow_cores() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for reads and writes.
    unsafe {
        libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_CORE, &raw const limit);
    }
}

fn end(case: i32) -> ! {
    let raise = |signal| {
        // SAFETY: sends a signal to this process.
        unsafe { libc::raise(signal) };
    };
    match case {
        0 => exit_now(0),
        1 => exit_now(42),
        2 => raise(libc::SIGKILL),
        3 => raise(libc::SIGTERM),
        4 => raise(libc::SIGABRT),
        _ => {
            super::burn::spin(Duration::from_millis(200));
            exit_now(3)
        }
    }
    exit_now(99)
}

/// The first thread goes, the process lives on in another, which ends it.
pub(crate) fn leader_first() {
    std::thread::spawn(|| {
        pause(300);
        exit_now(7)
    });
    // SAFETY: ends this thread only, without unwinding it.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// A grandchild that executes a program after its parent has gone; prints the
/// pids of parent and grandchild.
pub(crate) fn orphan() {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    unsafe { libc::pipe(ends.as_mut_ptr()) };
    in_child(|| {
        let parent = std::process::id();
        let pid = fork();
        if pid == 0 {
            pause(300);
            println!("{parent} {}", std::process::id());
            let argv = [c"orphaned".as_ptr(), std::ptr::null()];
            // SAFETY: an array of strings that ends with a null pointer.
            unsafe { libc::execv(c"/bin/true".as_ptr(), argv.as_ptr()) };
            exit_now(1)
        }
        0
    });
    // The end of the pipe that the grandchild holds closes with it.
    // SAFETY: descriptors of ours; one byte of room.
    unsafe {
        libc::close(ends[1]);
        let mut byte = 0u8;
        libc::read(ends[0], (&raw mut byte).cast(), 1);
    }
}

/// A child that executes nothing; prints its pid.
pub(crate) fn fork_only() {
    in_child(|| {
        println!("{}", std::process::id());
        0
    });
}

/// Processes that each make two more, as long as they are let, until all are
/// killed.
pub(crate) fn bomb() {
    // Those whose parent has gone are this one's then, and go when they end.
    // SAFETY: sets how this process takes the end of its children.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
    }
    loop {
        if fork() == 0 {
            explode();
        }
        pause(1);
    }
}

fn explode() -> ! {
    let mut children = 0;
    loop {
        match fork() {
            0 => children = 0,
            pid if pid < 0 || children == 1 => exit_now(0),
            _ => children += 1,
        }
    }
}

/// A chain of processes, each the child of the one before.
pub(crate) fn deep(depth: usize) {
    if depth > 0 {
        in_child(|| {
            deep(depth - 1);
            0
        });
    }
}

/// Executes a program in a working directory that is gone.
pub(crate) fn deleted_cwd() {
    let dir = std::env::temp_dir().join(format!("whence-cwd-{}", std::process::id()));
    let inner = dir.join("a").join("b");
    let _ = std::fs::create_dir_all(&inner);
    let _ = std::env::set_current_dir(&inner);
    let run = |name: &std::ffi::CStr| {
        in_child(|| {
            let argv = [name.as_ptr(), std::ptr::null()];
            // SAFETY: an array of strings that ends with a null pointer.
            unsafe { libc::execv(c"/bin/true".as_ptr(), argv.as_ptr()) };
            1
        })
    };
    run(c"there");
    let _ = std::fs::remove_dir_all(&dir);
    run(c"gone");
    println!("{}", inner.display());
}
