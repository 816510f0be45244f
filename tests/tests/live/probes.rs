//! Stacks at functions and marks of programs, and probes that cannot be had.

use std::path::{Path, PathBuf};
use std::process::Output;

use libtest_mimic::Failed;
use tempfile::TempDir;
use whence_tests::{program, record, run};

use super::tools::{compile, missing};
use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "the_caller_of_a_function_is_on_its_path_by_frame_pointers",
        obstacle: no_program,
        run: by_frame_pointers,
    },
    Test {
        name: "the_caller_of_a_function_is_on_its_path_by_unwind_tables",
        obstacle: no_program,
        run: by_tables,
    },
    Test {
        name: "a_mark_is_hit_as_often_as_it_is_passed",
        obstacle: no_program,
        run: mark,
    },
    Test {
        name: "a_pattern_probes_all_functions_that_it_matches",
        obstacle: no_program,
        run: pattern,
    },
    test(
        "a_function_of_the_kernel_is_recorded_or_the_refusal_explained",
        refusal,
    ),
    test("names_that_do_not_exist_are_answered_with_near_ones", near),
];

/// A program with a known chain of calls and a mark, which is passed only while
/// somebody looks.
const SOURCE: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
#include <unistd.h>
unsigned short chain_step_semaphore __attribute__((section(".probes")));
volatile int done;
#define FUNCTION __attribute__((noinline, noipa)) void
FUNCTION chain_leaf(int n) { done += n; }
FUNCTION chain_middle(int n)
{
	chain_leaf(n);
	if (chain_step_semaphore)
		STAP_PROBE1(chain, step, n);
	done++;
}
FUNCTION chain_outer(int n)
{
	for (int i = 0; i < n; i++) {
		chain_middle(i);
		usleep(10000);
	}
	done++;
}
int main(void)
{
	chain_outer(20);
	return 0;
}
"#;
const CALLS: i64 = 20;

fn no_program() -> Option<String> {
    let source = Path::new("/sys/bus/event_source/devices/uprobe");
    if !source.exists() {
        return Some("the kernel has no uprobes".into());
    }
    let mark = Path::new("/usr/include/x86_64-linux-gnu/sys/sdt.h");
    if !mark.exists() && !Path::new("/usr/include/sys/sdt.h").exists() {
        return Some("systemtap-sdt-dev is not installed".into());
    }
    missing(&["gcc"])
}

/// Compiles the program.
fn compiled(dir: &TempDir, option: &str) -> Result<PathBuf, Failed> {
    let (source, path) = (dir.path().join("chain.c"), dir.path().join("chain"));
    std::fs::write(&source, SOURCE)?;
    compile(&source, &path, &["-O1", option])?;
    Ok(path)
}

/// Every hit of `chain_leaf` has come through the whole chain.
fn whole_chain(option: &str, unwind: &str) -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let path = compiled(&dir, option)?;
    let probe = format!("uprobe:{}:chain_leaf", path.display());
    let recording = record(
        &["--sample", "0", "--unwind", unwind, "-s", &probe],
        &[&path],
    )?;
    equal!(recording.number("SELECT count(*) FROM sample")?, CALLS);
    let paths =
        recording.query("SELECT DISTINCT event, stack_text(user_stack_id) AS path FROM sample")?;
    equal!(paths.len(), 1);
    equal!(paths[0]["event"].as_str(), Some(probe.as_str()));
    let text = paths[0]["path"].as_str().unwrap_or_default();
    let chain = "main;chain_outer;chain_middle;chain_leaf";
    ensure!(text.ends_with(chain), "{text}");
    let answer = recording.answer(&["why", "chain_leaf"])?;
    ensure!(answer.contains("chain_leaf: 20 hits"), "{answer}");
    Ok(())
}

fn by_frame_pointers() -> Result<(), Failed> {
    whole_chain("-fno-omit-frame-pointer", "fp")
}

fn by_tables() -> Result<(), Failed> {
    whole_chain("-fomit-frame-pointer", "dwarf")
}

fn mark() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let path = compiled(&dir, "-fomit-frame-pointer")?;
    let probe = format!("usdt:{}:chain:st*", path.display());
    let recording = record(&["--sample", "0", "-s", &probe], &[&path])?;
    let event = format!("usdt:{}:chain:step", path.display());
    let hits = format!("SELECT count(*) FROM sample WHERE event = '{event}'");
    equal!(recording.number(&hits)?, CALLS);
    let answer = recording.answer(&["why", "step"])?;
    ensure!(answer.contains("chain_middle"), "{answer}");
    Ok(())
}

fn pattern() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let path = compiled(&dir, "-fomit-frame-pointer")?;
    let probe = format!("uprobe:{}:chain_*", path.display());
    let recording = record(&["--sample", "0", "-s", &probe], &[&path])?;
    let rows = recording.query(
        "SELECT regexp_replace(event, '^.*:', '') AS f, count(*) AS n FROM sample GROUP BY f ORDER BY f",
    )?;
    let counts: Vec<_> = rows
        .iter()
        .map(|r| (r["f"].as_str().unwrap_or_default(), r["n"].as_i64()))
        .collect();
    equal!(
        counts,
        [
            ("chain_leaf", Some(CALLS)),
            ("chain_middle", Some(CALLS)),
            ("chain_outer", Some(1))
        ]
    );
    Ok(())
}

/// Tries to record with a probe; gives what was said, and whether anything was left.
fn tried(probe: &str) -> std::io::Result<(Output, String, bool)> {
    let dir = TempDir::new()?;
    let to = dir.path().join("x.whence");
    let output = run(&[
        program("whence-record").as_os_str(),
        "-o".as_ref(),
        to.as_os_str(),
        "-s".as_ref(),
        probe.as_ref(),
        "true".as_ref(),
    ])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output, said, to.exists()))
}

fn refusal() -> Result<(), Failed> {
    let (output, said, exists) = tried("kernel:vfs_read")?;
    if output.status.success() {
        ensure!(exists, "{said}");
        return Ok(());
    }
    equal!(output.status.code(), Some(1));
    ensure!(!exists, "something was left: {said}");
    for part in [
        "kernel:vfs_read cannot be had",
        "fentry: ",
        "kprobe: ",
        "use a tracepoint",
    ] {
        ensure!(said.contains(part), "no {part}: {said}");
    }
    ensure!(!said.contains("libbpf"), "{said}");
    Ok(())
}

fn near() -> Result<(), Failed> {
    for (probe, near) in [
        ("kernel:vfs_raed", "kernel:vfs_read"),
        (
            "kprobe:blk_mq_complete_reques",
            "kprobe:blk_mq_complete_request",
        ),
        (
            "tracepoint:block:block_rq_complet",
            "tracepoint:block:block_rq_complete",
        ),
        ("uprobe:bash:readlin", "uprobe:bash:readline"),
    ] {
        let (output, said, exists) = tried(probe)?;
        equal!(output.status.code(), Some(1));
        ensure!(said.contains(near) && !exists, "{said}");
    }
    let (output, said, _) = tried("kernel")?;
    equal!(output.status.code(), Some(2));
    ensure!(said.contains("kernel:FUNC"), "{said}");
    Ok(())
}
