//! Places in programs and libraries that a probe may name: functions of their
//! symbol tables, and marks that their authors have left (`sys/sdt.h`).

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use object::read::{
    Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, ReadCache,
};
use object::{ReadRef, SymbolKind};

use crate::notes::notes;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset in the file of the instruction.
    pub offset: u64,
    /// Offset in the file of the counter by which the program is told that
    /// somebody looks; 0 if there is none.
    pub semaphore: u64,
}

/// An ELF file.
#[derive(Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    file: File,
}

impl Program {
    /// Opens a file; a name without a folder is looked for where programs and
    /// libraries are.
    ///
    /// # Errors
    /// If there is no such file, or it is no program.
    pub fn open(path: &str) -> anyhow::Result<Self> {
        let path = located(path)?;
        let file =
            File::open(&path).with_context(|| format!("failed to open {}", path.display()))?;
        let is_file = file.metadata().is_ok_and(|m| m.is_file());
        let this = Self { path, file };
        let elf = is_file.then(|| this.with_elf(|_| ())).flatten();
        elf.with_context(|| format!("{} is not an ELF file", this.path.display()))?;
        Ok(this)
    }

    fn with_elf<T>(
        &self,
        look: impl FnOnce(&object::File<'_, &ReadCache<&File>>) -> T,
    ) -> Option<T> {
        let cache = ReadCache::new(&self.file);
        // Anything but ELF has neither these symbols nor these notes.
        let is_elf = (&cache).read_bytes_at(0, 4).is_ok_and(|m| m == b"\x7fELF");
        is_elf.then(|| object::File::parse(&cache).ok().map(|elf| look(&elf)))?
    }

    /// Its functions, sorted by name.
    #[must_use]
    pub fn functions(&self) -> Vec<(String, Place)> {
        let mut found = self
            .with_elf(|elf| {
                let symbols = elf.symbols().chain(elf.dynamic_symbols());
                let functions =
                    symbols.filter(|s| s.kind() == SymbolKind::Text && s.is_definition());
                let place = |address| {
                    Some(Place {
                        offset: file_offset(elf, address)?,
                        semaphore: 0,
                    })
                };
                functions
                    .filter_map(|s| Some((s.name().ok()?.to_owned(), place(s.address())?)))
                    .filter(|(name, _)| !name.is_empty())
                    .collect::<Vec<_>>()
            })
            .unwrap_or_default();
        found.sort_by(|a, b| (&a.0, a.1.offset).cmp(&(&b.0, b.1.offset)));
        found.dedup();
        found
    }

    /// Its marks, as `PROVIDER:NAME`.
    #[must_use]
    pub fn marks(&self) -> Vec<(String, Place)> {
        let marks = self.with_elf(|elf| {
            let section = elf.section_by_name(".note.stapsdt")?;
            let base = elf.section_by_name(".stapsdt.base").map(|s| s.address());
            let bytes = section.data().ok()?;
            let of_note = |desc| mark(elf, base, desc);
            let is_mark = |(name, kind): (&[u8], u32)| name == b"stapsdt\0" && kind == NT_STAPSDT;
            Some(
                notes(bytes)
                    .filter(|n| is_mark((n.name, n.kind)))
                    .filter_map(|n| of_note(n.desc))
                    .collect::<Vec<_>>(),
            )
        });
        marks.flatten().unwrap_or_default()
    }
}

/// Type of a note that describes a mark.
const NT_STAPSDT: u32 = 3;

/// A mark's note (sourceware.org/systemtap/wiki/UserSpaceProbeImplementation):
/// its address, that of the base section and that of its semaphore, as linked;
/// then provider, name and arguments, a NUL after each.
fn mark<'d>(
    elf: &object::File<'d, impl ReadRef<'d>>,
    base: Option<u64>,
    desc: &[u8],
) -> Option<(String, Place)> {
    let (words, texts) = desc.split_at_checked(24)?;
    let word = |i: usize| {
        let bytes = words.get(i * 8..i * 8 + 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    };
    // The base has moved with all code if the file was linked anew since.
    let moved = base.map_or(0, |b| b.wrapping_sub(word(1).unwrap_or(b)));
    let address = word(0)?.wrapping_add(moved);
    let semaphore = match word(2)? {
        0 => 0,
        linked => file_offset(elf, linked.wrapping_add(moved))?,
    };
    let mut texts = texts.split(|byte| *byte == 0);
    let provider = std::str::from_utf8(texts.next()?).ok()?;
    let name = std::str::from_utf8(texts.next()?).ok()?;
    let place = Place {
        offset: file_offset(elf, address)?,
        semaphore,
    };
    Some((format!("{provider}:{name}"), place))
}

/// Where in the file an address as linked lies.
fn file_offset<'d>(elf: &object::File<'d, impl ReadRef<'d>>, address: u64) -> Option<u64> {
    elf.segments().find_map(|segment| {
        let (offset, size) = segment.file_range();
        let within = address.checked_sub(segment.address())?;
        (within < size).then_some(offset + within)
    })
}

/// The file that is meant.
fn located(path: &str) -> anyhow::Result<PathBuf> {
    const LIBRARIES: [&str; 6] = [
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
    ];
    if path.contains('/') {
        return std::path::absolute(path).context("failed to find the current folder");
    }
    let programs = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&programs).chain(LIBRARIES.iter().map(PathBuf::from));
    let found = folders
        .map(|folder| folder.join(path))
        .find(|path| Path::is_file(path));
    found.with_context(|| format!("no program or library is called {path}; give its path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_this_test_is_found_where_it_is_mapped() {
        let exe = std::env::current_exe().unwrap();
        let program = Program::open(&exe.to_string_lossy()).unwrap();
        let functions = program.functions();
        let (_, place) = functions
            .iter()
            .find(|(name, _)| name.contains("a_function_of_this_test_is_found"))
            .unwrap();
        let code = std::fs::read(&exe).unwrap();
        assert!((place.offset as usize) < code.len());
        assert!(program.marks().is_empty());
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for path in ["/etc/passwd", "/tmp", "/no/such/file", "no-such-program"] {
            assert!(Program::open(path).is_err(), "{path}");
        }
    }
}
