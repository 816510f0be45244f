//! Compiles the BPF objects and generates their Rust view.

use std::path::{Path, PathBuf};
use std::{env, error, fs};

use libbpf_cargo::SkeletonBuilder;

const OBJECTS: [&str; 2] = ["recorder", "probe"];

fn main() -> Result<(), Box<dyn error::Error>> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    for object in OBJECTS {
        SkeletonBuilder::new()
            .source(format!("src/{object}.bpf.c"))
            .clang_args(["-Iinclude", "-Isrc", "-mcpu=v3", "-Wall", "-Werror"])
            .build_and_generate(out.join(format!("{object}.skel.rs")))?;
    }
    for folder in ["include", "src"] {
        for entry in fs::read_dir(folder)? {
            rerun_if_bpf_changed(&entry?.path());
        }
    }
    Ok(())
}

fn rerun_if_bpf_changed(path: &Path) {
    if path.extension().is_some_and(|e| e == "h" || e == "c") {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}
