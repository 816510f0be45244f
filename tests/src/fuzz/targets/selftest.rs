//! Breaks the promise that its input names.

use std::fs;

use crate::worker::Bench;

pub(super) fn run(bench: &Bench, input: &[u8]) -> Result<(), String> {
    match input {
        b"none" => return Err("what a reader says of hostile input".into()),
        b"panic" => panics(),
        b"caught panic" => drop(std::panic::catch_unwind(panics)),
        b"abort" => std::process::abort(),
        b"memory" => drop(std::hint::black_box(vec![1_u8; 1 << 30])),
        b"time" => loop {
            std::hint::spin_loop();
        },
        b"neighbour" => {
            let canary = bench.work.join("../canary");
            fs::write(canary, "silent").map_err(|e| e.to_string())?;
        }
        b"far away" => {
            let path = std::path::Path::new("/var/tmp/whence-fuzz-was-here");
            fs::write(path, "").map_err(|e| e.to_string())?;
        }
        b"terminal" => println!("\x1b[2J"),
        _ => {}
    }
    Ok(())
}

#[expect(clippy::panic, reason = "to see that it is noticed")]
fn panics() {
    panic!("as it was told to");
}
