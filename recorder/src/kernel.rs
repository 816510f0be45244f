//! Names of kernel code: `/proc/kallsyms`, the kernel's build-id and its base.
//!
//! Only text symbols are kept: an address is never named after data.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};

use crate::notes::{Note, notes};

/// Where a kernel address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Name of the function.
    pub function: &'a str,
    /// `[kernel]`, or the name of a module, or `[bpf]`.
    pub module: &'a str,
    /// Offset from the begin of the module, the same on every boot.
    pub offset: i64,
}

/// The symbols of the running kernel.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Sorted by address.
    symbols: Vec<Symbol>,
    names: String,
    modules: Vec<Module>,
}

#[derive(Clone, Copy, Debug)]
struct Symbol {
    address: u64,
    name: u32,
    name_len: u16,
    module: u16,
}

#[derive(Debug)]
struct Module {
    name: String,
    base: u64,
    /// Address after its last; what lies beyond is not its code.
    end: u64,
}

/// The kernel proper, as a module.
pub const KERNEL: &str = "[kernel]";
/// Where kallsyms puts BPF programs.
const BPF: &str = "bpf";
/// No BPF program is longer: a million instructions of a few bytes each.
const MAX_BPF_BYTES: u64 = 16 << 20;

impl Symbols {
    /// Reads the symbols of the running kernel; none if it does not show them.
    #[must_use]
    pub fn read() -> Self {
        let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
        match File::open("/proc/kallsyms") {
            Ok(file) => Self::parse(BufReader::new(file), &modules),
            Err(_) => Self::default(),
        }
    }

    /// Parses `/proc/kallsyms` and the text of `/proc/modules`. Addresses that
    /// read as zero, as they do without CAP_SYSLOG, are left out.
    #[must_use]
    pub fn parse(mut kallsyms: impl BufRead, modules: &str) -> Self {
        let mut this = Self::default();
        let ranges: Ranges<'_> = modules.lines().filter_map(module_range).collect();
        let mut line = String::new();
        // Line by line: the whole text is larger than what is kept of it.
        while kallsyms.read_line(&mut line).is_ok_and(|n| n > 0) {
            this.add(&line, &ranges);
            line.clear();
        }
        this.symbols.sort_by_key(|s| s.address);
        this.symbols.shrink_to_fit();
        this.names.shrink_to_fit();
        this
    }

    fn add(&mut self, line: &str, ranges: &Ranges<'_>) -> Option<()> {
        let mut fields = line.split_ascii_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        let kind = fields.next()?;
        let name = fields.next()?;
        let module = fields.next().map_or(KERNEL, |m| m.trim_matches(['[', ']']));
        let bound = module == KERNEL && matches!(name, "_stext" | "_etext");
        if address == 0 || !(matches!(kind, "t" | "T" | "w" | "W") || bound) {
            return None;
        }
        let module = self.module(module, ranges);
        if bound {
            let kernel = &mut self.modules[usize::from(module)];
            match name {
                "_stext" => kernel.base = address,
                _ => kernel.end = address,
            }
        }
        self.push(address, name, module);
        Some(())
    }

    fn module(&mut self, name: &str, ranges: &Ranges<'_>) -> u16 {
        // Symbols of a module stand together: it is nearly always the last.
        let known = self.modules.iter().rposition(|m| m.name == name);
        let index = known.unwrap_or_else(|| {
            let (base, end) = ranges.get(name).copied().unwrap_or((0, u64::MAX));
            self.modules.push(Module {
                name: name.into(),
                base,
                end,
            });
            self.modules.len() - 1
        });
        index as u16
    }

    fn push(&mut self, address: u64, name: &str, module: u16) {
        let symbol = Symbol {
            address,
            name: self.names.len() as u32,
            name_len: name.len() as u16,
            module,
        };
        self.names.push_str(name);
        self.symbols.push(symbol);
    }

    /// Whether the kernel showed any address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The function that an address lies in.
    #[must_use]
    pub fn place(&self, address: u64) -> Option<Place<'_>> {
        let above = self.symbols.partition_point(|s| s.address <= address);
        // Of several names for one address the first in the table is taken, as
        // the kernel itself does.
        let last = self.symbols[..above].last()?;
        let first = self.symbols.partition_point(|s| s.address < last.address);
        let symbol = self.symbols[first];
        let at = symbol.name as usize;
        let function = self.names.get(at..at + usize::from(symbol.name_len))?;
        let module = &self.modules[usize::from(symbol.module)];
        let end = match module.name.as_str() {
            BPF => symbol.address + MAX_BPF_BYTES,
            _ => module.end,
        };
        // Code that was loaded since lies beyond all that was there.
        if address >= end {
            return None;
        }
        // A BPF program has no module to be relative to.
        let base = if module.name == BPF {
            symbol.address
        } else {
            module.base
        };
        Some(Place {
            function,
            module: &module.name,
            offset: address.wrapping_sub(base).cast_signed(),
        })
    }
}

/// First address of modules and the one after their last, by name.
type Ranges<'a> = HashMap<&'a str, (u64, u64)>;

/// A line of `/proc/modules`: name, size, …, address.
fn module_range(line: &str) -> Option<(&str, (u64, u64))> {
    let mut fields = line.split_ascii_whitespace();
    let name = fields.next()?;
    let size: u64 = fields.next()?.parse().ok()?;
    let address = fields.find_map(|f| f.strip_prefix("0x"))?;
    let base = u64::from_str_radix(address, 16).ok()?;
    Some((name, (base, base.saturating_add(size))))
}

/// Build-id of the running kernel, in hexadecimal digits.
#[must_use]
pub fn build_id() -> Option<String> {
    note_build_id(&fs::read("/sys/kernel/notes").ok()?)
}

/// Build-id of a loaded module, in hexadecimal digits.
#[must_use]
pub fn module_build_id(module: &str) -> Option<String> {
    let path = format!("/sys/module/{module}/notes/.note.gnu.build-id");
    note_build_id(&fs::read(path).ok()?)
}

/// The build-id among ELF notes.
fn note_build_id(bytes: &[u8]) -> Option<String> {
    const NT_GNU_BUILD_ID: u32 = 3;
    let is_build_id = |note: &Note<'_>| note.kind == NT_GNU_BUILD_ID && note.name == b"GNU\0";
    notes(bytes).find(is_build_id).map(|note| hex(note.desc))
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "\
ffffffff81000000 T _stext
ffffffff81000100 T do_fork
ffffffff81000100 T __do_fork_alias
ffffffff81000200 D some_data
ffffffff82000000 T _etext
ffffffffa0000010 t ext4_read\t[ext4]
ffffffffa0001000 t bpf_prog_0123456789abcdef_on_fork\t[bpf]
";
    const MODULES: &str = "ext4 4096 1 - Live 0xffffffffa0000000\n";

    #[test]
    fn an_address_is_named_after_the_function_that_holds_it() {
        let symbols = Symbols::parse(KALLSYMS.as_bytes(), MODULES);
        let place = symbols.place(0xffff_ffff_8100_0208).unwrap();
        assert_eq!(place.function, "do_fork", "data is no name for code");
        assert_eq!((place.module, place.offset), (KERNEL, 0x208));
        let place = symbols.place(0xffff_ffff_a000_0018).unwrap();
        assert_eq!((place.module, place.offset), ("ext4", 0x18));
        let place = symbols.place(0xffff_ffff_a000_1004).unwrap();
        assert_eq!((place.module, place.offset), ("bpf", 4));
        assert_eq!(symbols.place(0x1000), None);
        // Where no code was when the names were read.
        assert_eq!(
            symbols
                .place(0xffff_ffff_a000_0fff + 1 - 0x800)
                .map(|p| p.module),
            Some("ext4")
        );
        assert_eq!(symbols.place(0xffff_ffff_9000_0000), None);
    }

    #[test]
    fn zeroed_addresses_are_no_symbols() {
        assert!(Symbols::parse(b"0000000000000000 T _stext\n".as_slice(), "").is_empty());
    }

    #[test]
    fn a_build_id_is_found_among_notes() {
        let mut notes = Vec::new();
        for (kind, desc) in [(1u32, [9u8, 9, 9, 9]), (3, [0xab, 0xcd, 0, 1])] {
            notes.extend(4u32.to_ne_bytes());
            notes.extend(4u32.to_ne_bytes());
            notes.extend(kind.to_ne_bytes());
            notes.extend(b"GNU\0");
            notes.extend(desc);
        }
        assert_eq!(note_build_id(&notes).as_deref(), Some("abcd0001"));
        assert_eq!(note_build_id(&notes[..30]), None);
    }
}
