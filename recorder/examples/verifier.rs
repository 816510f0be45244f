//! Prints what each BPF program costs the verifier of this kernel: its name, a
//! space, and the instructions that it looked at. Those not to be had are missing.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use libbpf_rs::btf::Btf;
use whence_recorder::loader::{Loaded, Plan};
use whence_recorder::mechanism::Mechanism;
use whence_recorder::probes::{Probe, Target};
use whence_recorder::sampler::Counter;

fn main() -> anyhow::Result<()> {
    let btf = Btf::from_vmlinux().context("failed to read the kernel's types")?;
    let plan = everything();
    let loaded = Loaded::load(&plan, &btf)?;
    let mut lines: Vec<String> = loaded
        .programs(&plan)
        .iter()
        .map(|program| format!("{} {}", program.name, program.verified_instructions))
        .collect();
    lines.sort();
    println!("{}", lines.join("\n"));
    Ok(())
}

/// All that can be recorded, with a probe of each mechanism; those that the
/// kernel refuses are left out.
fn everything() -> Plan {
    let function = |mechanism: Mechanism| {
        let target = Target::Function {
            name: "vfs_read".into(),
            mechanisms: vec![mechanism],
        };
        (mechanism.name(), target)
    };
    let program = Target::Program {
        path: PathBuf::new(),
        places: Vec::new(),
        entry: true,
    };
    let probes = [
        ("raw_tracepoint", Target::Tracepoint("sched_wakeup".into())),
        function(Mechanism::Fentry),
        function(Mechanism::KprobeMulti),
        function(Mechanism::Kprobe),
        ("uprobe", program),
    ];
    let probe = |(name, target): (&str, Target)| Probe {
        event: name.to_owned(),
        target,
        of_pattern: true,
    };
    Plan {
        life_bytes: 1 << 20,
        sample_bytes: 1 << 20,
        only_tracked: true,
        uid: Some(0),
        comm: Some("whence".into()),
        cgroup: None,
        env: true,
        failed_execs: true,
        unwind_budget: 100,
        counter: Some(Counter::choose(99)),
        probes: probes.into_iter().map(probe).collect(),
        min_wait: Some(Duration::from_millis(1)),
    }
}
