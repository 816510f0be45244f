//! Code that is made at run time, and the file that tells its names.

use std::io::Write as _;
use std::time::Duration;

/// `jit_inner(n)`: counts down from n. `jit_outer(n)`: calls it. Both keep frame
/// pointers, and nothing else tells how to leave them.
const INNER: [u8; 14] = [
    0x55, // push rbp
    0x48, 0x89, 0xe5, // mov rbp, rsp
    0x48, 0xff, 0xcf, // again: dec rdi
    0x75, 0xfb, // jnz again
    0x90, 0x90, 0x90, // nop
    0x5d, // pop rbp
    0xc3, // ret
];
const OUTER: [u8; 12] = [
    0x55, // push rbp
    0x48, 0x89, 0xe5, // mov rbp, rsp
    0xe8, 0, 0, 0, 0,    // call jit_inner
    0x90, // nop
    0x5d, // pop rbp
    0xc3, // ret
];
const OUTER_AT: usize = 64;
const CALL_ENDS: usize = 9;
const BYTES: usize = 4096;

/// Runs such code for that much CPU time; prints the file that tells its names.
pub(crate) fn jit(ms: usize) {
    let Some(code) = made() else {
        eprintln!("whence-workload: no memory for code");
        return;
    };
    let path = format!("/tmp/perf-{}.map", std::process::id());
    let mut names = String::new();
    for (at, bytes, name) in [
        (0, INNER.len(), "jit_inner"),
        (OUTER_AT, OUTER.len(), "jit_outer"),
    ] {
        names += &format!("{:x} {bytes:x} {name}\n", code + at);
    }
    let written = std::fs::File::create(&path).and_then(|mut f| f.write_all(names.as_bytes()));
    if let Err(error) = written {
        eprintln!("whence-workload: {path}: {error}");
    }
    let outer = std::ptr::with_exposed_provenance::<()>(code + OUTER_AT);
    // SAFETY: the code that was made takes a number and keeps to the convention.
    let outer: extern "C" fn(u64) = unsafe { std::mem::transmute(outer) };
    whence_calls_jit(outer, ms as u64);
    println!("{path}");
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn whence_calls_jit(outer: extern "C" fn(u64), ms: u64) {
    super::burn::until(Duration::from_millis(ms), || outer(1_000_000));
    std::hint::black_box(());
}

/// The address of both functions, in memory that can be run.
fn made() -> Option<usize> {
    let access = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, at a place that the kernel chooses.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), BYTES, access, kind, -1, 0) };
    if at == libc::MAP_FAILED {
        return None;
    }
    let mut outer = OUTER;
    let to_inner = -((OUTER_AT + CALL_ENDS) as i32);
    outer[CALL_ENDS - 4..CALL_ENDS].copy_from_slice(&to_inner.to_ne_bytes());
    // SAFETY: what was mapped, and there is room for both.
    unsafe {
        at.cast::<u8>()
            .copy_from_nonoverlapping(INNER.as_ptr(), INNER.len());
        let to = at.cast::<u8>().add(OUTER_AT);
        to.copy_from_nonoverlapping(outer.as_ptr(), outer.len());
    }
    Some(at.expose_provenance())
}
