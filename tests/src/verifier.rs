//! What BPF programs cost the verifier, kernel by kernel, kept so that growth is
//! seen: it refuses a program beyond a million instructions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;

/// Growth that fails: by more than a tenth. Compilers differ by a few percent.
const MOST: f64 = 1.1;

/// Where the table of a kernel lies, by the first two numbers of its release.
fn place(release: &str) -> PathBuf {
    let numbers: Vec<&str> = release.trim().split('.').take(2).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier");
    folder.join(numbers.join("."))
}

/// Whether tables are written and not compared.
fn blesses() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// Why a kernel's costs cannot be compared.
#[must_use]
pub fn obstacle(release: &str) -> Option<String> {
    let known = blesses() || place(release).exists();
    (!known).then(|| format!("nothing is kept of kernel {release}; BLESS=1 make verifier does"))
}

/// Compares a table, `NAME INSTRUCTIONS` in each line, with what is kept of the
/// kernel; keeps it if that is asked for.
///
/// # Errors
/// If a program has grown, is new, or is not loaded any more.
pub fn compare(release: &str, table: &str) -> Result<(), Failed> {
    let path = place(release);
    println!("kernel {release}\n{table}");
    if blesses() {
        return Ok(std::fs::write(path, table)?);
    }
    let (now, kept) = (parse(table), parse(&std::fs::read_to_string(&path)?));
    let names: Vec<_> = now.keys().collect();
    if names != kept.keys().collect::<Vec<_>>() {
        return Err(format!("{names:?} are not those of {}", path.display()).into());
    }
    let grown = now
        .iter()
        .filter(|(name, count)| **count > kept[*name] * MOST);
    let grown: Vec<String> = grown
        .map(|(name, count)| format!("{name} from {} to {count}", kept[name]))
        .collect();
    match grown.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{}; if that is wanted: BLESS=1 make verifier",
            grown.join(", ")
        )
        .into()),
    }
}

fn parse(table: &str) -> BTreeMap<String, f64> {
    let line = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    table.lines().filter_map(line).collect()
}
