//! A program whose every call is by a path of its own, a million in all.

use std::path::{Path, PathBuf};

use libtest_mimic::Failed;

use super::tools::{compile, missing};

/// Each level calls the next one from two places of two functions: with `n` levels,
/// the leaf is reached by 2^n paths, each of them once.
const SOURCE: &str = r#"
#include <stdlib.h>
#define FUNCTION __attribute__((noinline, noipa)) void
volatile unsigned long done;
void flood_left(int level);
void flood_right(int level);
FUNCTION flood_leaf(void) { done++; }
FUNCTION flood_left(int level)
{
	if (level > 0) {
		flood_left(level - 1);
		flood_right(level - 1);
	} else {
		flood_leaf();
	}
	done++;
}
FUNCTION flood_right(int level)
{
	if (level > 0) {
		flood_left(level - 1);
		flood_right(level - 1);
	} else {
		flood_leaf();
	}
	done += 2;
}
FUNCTION flood_below(int depth, int level)
{
	if (depth > 0)
		flood_below(depth - 1, level);
	else
		flood_left(level);
	done += 3;
}
int main(int argc, char **argv)
{
	flood_below(argc > 2 ? atoi(argv[2]) : 0, argc > 1 ? atoi(argv[1]) : 0);
	return 0;
}
"#;

/// Why there is no such program; `None` if it can be made.
pub(super) fn obstacle() -> Option<String> {
    if !Path::new("/sys/bus/event_source/devices/uprobe").exists() {
        return Some("the kernel has no uprobes".into());
    }
    missing(&["gcc"])
}

/// Compiles it into a folder; its arguments are the number of levels, and that of
/// the calls below which they lie.
pub(super) fn program(dir: &Path) -> Result<PathBuf, Failed> {
    let (source, path) = (dir.join("flood.c"), dir.join("flood"));
    std::fs::write(&source, SOURCE)?;
    compile(&source, &path, &["-O1", "-fno-omit-frame-pointer"])?;
    Ok(path)
}

/// The probe of its leaf.
pub(super) fn probe(program: &Path) -> String {
    format!("uprobe:{}:flood_leaf", program.display())
}
