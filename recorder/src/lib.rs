//! The recorder: from kernel events to the segments of a recording.
//!
//! Data flows one way: [`ring`] copies records out of the kernel, [`decode`]
//! reads them, [`pipeline`] makes rows of them with what [`processes`] and
//! [`stacks`] know, [`sink`] writes segments. [`session`] is the only module
//! that knows all parts; [`guard`] keeps them within bounds of memory and disk,
//! [`pace`] within one of CPU time. [`loader`], [`ring`], [`sampler`] and [`command`]
//! are the only ones that touch the kernel unsafely.
//!
//! Adding a probe: a mechanism in [`probes`] and its program in the `bpf`
//! crate. Adding a column: its table in `schemas`, its value in [`pipeline`].

pub mod argv;
pub mod cgroups;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod context;
pub mod decode;
pub mod directory;
pub mod doctor;
pub mod entry;
pub mod flight;
pub mod freeze;
pub mod guard;
pub mod host;
pub mod jit;
pub mod kernel;
pub mod loader;
pub mod loss;
pub mod mechanism;
pub mod memory;
pub mod modules;
pub mod namer;
pub mod notes;
pub mod overhead;
pub mod pace;
pub mod perf;
pub mod pipeline;
pub mod print;
pub mod privilege;
pub mod probe_set;
pub mod probes;
pub mod processes;
pub mod procfs;
pub mod ring;
pub mod room;
pub mod sampler;
pub mod session;
pub mod sink;
pub mod stacks;
pub mod status;
pub mod throttle;
pub mod tracefs;
mod trial;
pub mod trigger;
pub mod units;
pub mod unwind;
pub mod valve;
pub mod vdso;
pub mod waiting;
