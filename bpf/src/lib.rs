//! The kernel side of whence: BPF programs and the records they put on rings.
//!
//! Owns what is compiled for the kernel and the Rust view of it, which is
//! generated: `include/wire.h` is the only definition of a record. Loading,
//! attaching and decoding are the recorder's.
//!
//! Adding a record: a struct in `wire.h`, its member in `wire_anchor`
//! (`recorder.bpf.c`), its name in [`wire`].

/// Process life and CPU samples.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction
)]
pub mod recorder {
    include!(concat!(env!("OUT_DIR"), "/recorder.skel.rs"));
}

/// A stack at each hit of one probe.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction
)]
pub mod probe {
    include!(concat!(env!("OUT_DIR"), "/probe.skel.rs"));
}

pub mod wire;
