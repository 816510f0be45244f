//! Processes and what becomes of their children.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::exec::in_child;

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Lives until it is killed. Whoever starts it says more in its arguments.
pub(crate) fn linger() -> ! {
    loop {
        pause(1000);
    }
}

/// A child that starts programs again and again, with `marker` as argument,
/// for as long as this process lives.
pub(crate) fn family(marker: &str) -> ! {
    // SAFETY: this program has a single thread here.
    if unsafe { libc::fork() } == 0 {
        // SAFETY: a plain number as argument.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        loop {
            let _ = Command::new("/bin/true").arg(marker).status();
            pause(20);
        }
    }
    linger()
}

/// Starts processes as `storm` does, from two workers, until standard input is
/// closed; prints how many each worker has started. Their names tell this storm from
/// any other: `u-PID-WORKER-NUMBER`.
pub(crate) fn storm_until_closed() {
    static CLOSED: AtomicBool = AtomicBool::new(false);
    let path = std::env::current_exe().unwrap_or_default();
    let pid = std::process::id();
    let workers = [0, 1].map(|worker| {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut count = 0;
            while !CLOSED.load(Ordering::Relaxed) {
                let _ = Command::new(&path)
                    .arg(format!("u-{pid}-{worker}-{count}"))
                    .stdin(Stdio::null())
                    .status();
                count += 1;
            }
            count
        })
    });
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    CLOSED.store(true, Ordering::Relaxed);
    for worker in workers {
        println!("{}", worker.join().unwrap_or(0));
    }
}

/// Adopts the orphan of a child, which then executes a program; prints the pids
/// of the child, of the orphan, and of the parent that the orphan has then.
pub(crate) fn subreaper() {
    // SAFETY: plain numbers as arguments.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    in_child(|| {
        let child = std::process::id();
        // SAFETY: this program has a single thread here.
        if unsafe { libc::fork() } == 0 {
            let parent = || std::os::unix::process::parent_id();
            while parent() == child {
                pause(5);
            }
            println!("{child} {} {}", std::process::id(), parent());
            let argv = [c"adopted".as_ptr(), std::ptr::null()];
            // SAFETY: an array of strings that ends with a null pointer.
            unsafe { libc::execv(c"/bin/true".as_ptr(), argv.as_ptr()) };
        }
        0
    });
    // The orphan is a child now.
    // SAFETY: a null pointer is allowed.
    unsafe { libc::wait(std::ptr::null_mut()) };
}
