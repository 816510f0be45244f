//! The functions of the running kernel that a probe may name.

use std::collections::HashSet;
use std::fs;

use libbpf_rs::btf::{Btf, BtfKind, BtfType, TypeId};

use super::names;
use crate::tracefs::Tracefs;

/// Their names.
#[derive(Debug, Default)]
pub struct Functions {
    /// All, sorted, each once.
    names: Vec<String>,
    /// Those with a type in the kernel's own type information.
    typed: HashSet<String>,
    /// Those that the kernel lets be traced; empty if it does not tell.
    traceable: HashSet<String>,
}

impl Functions {
    /// Reads them from the kernel's types and its symbol table.
    #[must_use]
    pub fn read(btf: &Btf<'_>) -> Self {
        let kallsyms = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        let traceable = Tracefs::open().map(|tracefs| tracefs.functions());
        Self::of(typed(btf), traceable.unwrap_or_default(), &kallsyms)
    }

    fn of(typed: HashSet<String>, traceable: HashSet<String>, kallsyms: &str) -> Self {
        let mut names: Vec<String> = kallsyms.lines().filter_map(function).collect();
        names.extend(typed.iter().cloned());
        names.sort_unstable();
        names.dedup();
        Self {
            names,
            typed,
            traceable,
        }
    }

    /// Those that a name or pattern stands for; a pattern, only for those that can
    /// be traced.
    #[must_use]
    pub fn matching(&self, pattern: &str) -> Vec<&str> {
        let any = self.traceable.is_empty() || !names::is_pattern(pattern);
        self.names()
            .filter(|name| names::matches(pattern, name))
            .filter(|name| any || self.traceable.contains(*name))
            .collect()
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether the kernel's types know it.
    #[must_use]
    pub fn has_type(&self, name: &str) -> bool {
        self.typed.contains(name)
    }
}

fn typed(btf: &Btf<'_>) -> HashSet<String> {
    (1..btf.len() as u32)
        .filter_map(|id| btf.type_by_id::<BtfType<'_>>(TypeId::from(id)))
        .filter(|t| t.kind() == BtfKind::Func)
        .filter_map(|t| Some(t.name()?.to_str()?.to_owned()))
        .collect()
}

/// The function that a line of `/proc/kallsyms` is about. Those of BPF programs
/// cannot be probed.
fn function(line: &str) -> Option<String> {
    let mut fields = line.split_ascii_whitespace();
    let (_, kind, name) = (fields.next()?, fields.next()?, fields.next()?);
    let is_code = matches!(kind, "t" | "T" | "w" | "W");
    // Marks that compilers and linkers leave between functions.
    let is_mark = name.starts_with("__pfx_") || name.starts_with("__cfi_");
    (is_code && !is_mark && fields.next() != Some("[bpf]")).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_the_kernel_is_a_function() {
        let kallsyms = "\
0000000000000000 T vfs_read
0000000000000000 T __pfx_vfs_read
0000000000000000 D vfs_data
0000000000000000 t vfs_ext4\t[ext4]
0000000000000000 t vfs_prog\t[bpf]
";
        let typed = HashSet::from(["vfs_typed".to_owned()]);
        let functions = Functions::of(typed.clone(), HashSet::new(), kallsyms);
        assert_eq!(
            functions.matching("vfs_*"),
            ["vfs_ext4", "vfs_read", "vfs_typed"]
        );
        assert!(functions.has_type("vfs_typed") && !functions.has_type("vfs_read"));
        // A pattern means what can be had; a name is taken at its word.
        let traceable = HashSet::from(["vfs_read".to_owned()]);
        let functions = Functions::of(typed, traceable, kallsyms);
        assert_eq!(functions.matching("vfs_*"), ["vfs_read"]);
        assert_eq!(functions.matching("vfs_ext4"), ["vfs_ext4"]);
    }
}
