//! Call paths of user code without frame pointers, from registers, a piece of
//! stack memory and the unwind tables (`.eh_frame`) of the mapped files.
//!
//! The stack memory comes from the ring and goes no further than this.

mod trampoline;

use std::ops::Range;
use std::rc::Rc;

use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, FrameAddress, Unwinder as _};
use object::SegmentFlags;
use object::read::{Object as _, ObjectSection as _, ObjectSegment as _, ReadCache, ReadRef};

use crate::modules::Mapping;
use trampoline::Interrupted;

/// Frames of the deepest path that is followed.
const DEPTH: usize = 127;
/// A section larger than this is not read.
const MAX_SECTION_BYTES: u64 = 32 << 20;

/// Size of the pages by which files are mapped.
const PAGE: u64 = 4096;
/// `PF_X`: the segment is code (elf(5)).
const PF_X: u32 = 1;

/// Rules found so far, for all programs.
#[derive(Default)]
pub struct Cache(CacheX86_64);

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// The unwind tables of a file.
#[derive(Debug)]
pub struct Tables {
    eh_frame: Section,
    eh_frame_hdr: Option<Section>,
    /// Where the file's code lies: offset in the file, address as linked.
    code: Vec<(Range<u64>, u64)>,
    /// Where handlers of signals return to, as linked.
    trampolines: Vec<Range<u64>>,
}

#[derive(Debug)]
struct Section {
    address: Range<u64>,
    bytes: Rc<[u8]>,
}

impl Tables {
    /// Reads the tables of an ELF file; `None` if it has none.
    pub fn read(file: &std::fs::File) -> Option<Self> {
        let cache = ReadCache::new(file);
        let elf = object::File::parse(&cache).ok()?;
        let code = elf
            .segments()
            .filter(
                |s| matches!(s.flags(), SegmentFlags::Elf { p_flags, .. } if p_flags.0 & PF_X != 0),
            )
            .map(|segment| {
                let (offset, size) = segment.file_range();
                (offset..offset.saturating_add(size), segment.address())
            })
            .collect();
        let eh_frame = section(&elf, ".eh_frame")?;
        Some(Self {
            trampolines: trampoline::find(&eh_frame.bytes, eh_frame.address.start),
            eh_frame,
            eh_frame_hdr: section(&elf, ".eh_frame_hdr"),
            code,
        })
    }

    /// Memory that they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let hdr = self.eh_frame_hdr.as_ref().map_or(0, |s| s.bytes.len());
        self.eh_frame.bytes.len() + hdr
    }

    /// Address as linked of an offset in the file at which code is mapped. The
    /// mapping begins with a page, the segment anywhere in it.
    fn linked(&self, offset: u64) -> Option<u64> {
        let in_pages = |r: &Range<u64>| (r.start / PAGE * PAGE..r.end).contains(&offset);
        let (range, address) = self.code.iter().find(|(r, _)| in_pages(r))?;
        Some(address.wrapping_add(offset).wrapping_sub(range.start))
    }
}

fn section<'a, R: ReadRef<'a>>(elf: &object::File<'a, R>, name: &str) -> Option<Section> {
    let section = elf.section_by_name(name)?;
    if section.size() > MAX_SECTION_BYTES {
        return None;
    }
    let bytes = section.data().ok()?;
    let start = section.address();
    Some(Section {
        address: start..start.saturating_add(section.size()),
        bytes: bytes.into(),
    })
}

/// Unwinds one program in execution.
pub struct Unwinder {
    unwinder: UnwinderX86_64<Rc<[u8]>>,
    /// Where handlers of signals return to.
    trampolines: Vec<Range<u64>>,
}

impl std::fmt::Debug for Unwinder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unwinder").finish_non_exhaustive()
    }
}

/// A call path as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Addresses, leaf first: the leaf's own, then return addresses.
    pub addresses: Vec<u64>,
    /// Whether it ends before its root, as the memory did or a table was missing.
    pub cut: bool,
}

impl Unwinder {
    /// For the program with these mappings.
    #[must_use]
    pub fn new(mappings: &[Mapping]) -> Self {
        let mut unwinder = UnwinderX86_64::new();
        let mut trampolines = Vec::new();
        for mapping in mappings {
            let Some((module, moved)) = module(mapping) else {
                continue;
            };
            let tables = mapping.module.tables();
            let linked = tables.map_or(&[][..], |tables| &tables.trampolines);
            let place = |r: &Range<u64>| moved.wrapping_add(r.start)..moved.wrapping_add(r.end);
            trampolines.extend(linked.iter().map(place));
            unwinder.add_module(module);
        }
        Self {
            unwinder,
            trampolines,
        }
    }

    /// Follows a path from registers through the memory above `sp`.
    pub fn path(&self, cache: &mut Cache, ip: u64, sp: u64, bp: u64, memory: &[u8]) -> Path {
        let read = |address: u64| {
            let at = usize::try_from(address.checked_sub(sp).ok_or(())?).map_err(|_| ())?;
            let bytes = memory.get(at..).and_then(|rest| rest.first_chunk::<8>());
            bytes.map(|bytes| u64::from_ne_bytes(*bytes)).ok_or(())
        };
        let mut registers = UnwindRegsX86_64::new(ip, sp, bp);
        let mut place = FrameAddress::from_instruction_pointer(ip);
        let mut path = Path {
            addresses: vec![ip],
            cut: false,
        };
        while path.addresses.len() < DEPTH {
            if let Some(was) = self.interrupted(place, registers.sp(), read) {
                // Neither is behind a call, as callers are: one byte further, so
                // that the byte before is it.
                if let Some(last) = path.addresses.last_mut() {
                    *last += 1;
                }
                path.addresses.push(was.ip.wrapping_add(1));
                registers = UnwindRegsX86_64::new(was.ip, was.sp, was.bp);
                place = FrameAddress::from_instruction_pointer(was.ip);
                continue;
            }
            let unwinder = &self.unwinder;
            let next = unwinder.unwind_frame(place, &mut registers, &mut cache.0, &mut { read });
            match next.map(|next| next.map(FrameAddress::from_return_address)) {
                Ok(Some(Some(caller))) => {
                    place = caller;
                    path.addresses.push(caller.address());
                }
                Ok(None) => return path,
                Ok(Some(None)) | Err(_) => break,
            }
        }
        path.cut = true;
        path
    }

    /// What a signal has interrupted, if its handler returns to this place.
    fn interrupted(
        &self,
        place: FrameAddress,
        sp: u64,
        read: impl Fn(u64) -> Result<u64, ()>,
    ) -> Option<Interrupted> {
        let address = place.address_for_lookup();
        let here = self.trampolines.iter().any(|r| r.contains(&address));
        let here = here && place.is_return_address();
        here.then(|| Interrupted::read(sp, read))?
    }
}

/// The module of a mapping, and how far the file was moved from where it was linked
/// to be.
fn module(mapping: &Mapping) -> Option<(framehop::Module<Rc<[u8]>>, u64)> {
    let tables = mapping.module.tables()?;
    let moved = mapping.start.wrapping_sub(tables.linked(mapping.offset)?);
    let hdr = tables.eh_frame_hdr.as_ref();
    let module = framehop::Module::new(
        mapping.module.path.clone(),
        mapping.start..mapping.end,
        moved,
        ExplicitModuleSectionInfo {
            base_svma: 0,
            eh_frame_svma: Some(tables.eh_frame.address.clone()),
            eh_frame: Some(Rc::clone(&tables.eh_frame.bytes)),
            eh_frame_hdr_svma: hdr.map(|s| s.address.clone()),
            eh_frame_hdr: hdr.map(|s| Rc::clone(&s.bytes)),
            ..Default::default()
        },
    );
    Some((module, moved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Modules;

    /// Linkers place code in the middle of a page; the mapping begins with it.
    #[test]
    fn an_offset_before_the_segment_but_in_its_page_is_in_it() {
        let tables = Tables {
            eh_frame: Section {
                address: 0..0,
                bytes: Rc::from([]),
            },
            eh_frame_hdr: None,
            code: vec![(0x20ba0..0x7f660, 0x21ba0)],
            trampolines: Vec::new(),
        };
        assert_eq!(tables.linked(0x20000), Some(0x21000));
        assert_eq!(tables.linked(0x30000), Some(0x31000));
        assert_eq!(tables.linked(0x1ffff), None);
    }

    /// Unwinds this very test, which has no frame pointers when optimized.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn an_own_path_leads_through_the_callers() {
        #[inline(never)]
        fn leaf() -> (u64, u64, u64, Vec<u8>) {
            let (ip, sp, bp): (u64, u64, u64);
            // SAFETY: only reads registers.
            unsafe {
                std::arch::asm!("lea {}, [rip]", "mov {}, rsp", "mov {}, rbp",
                    out(reg) ip, out(reg) sp, out(reg) bp);
            }
            // SAFETY: the stack above this function is there, some KiB at least.
            let memory = unsafe {
                std::slice::from_raw_parts(std::ptr::with_exposed_provenance(sp as usize), 4096)
            };
            (ip, sp, bp, memory.to_vec())
        }
        let (ip, sp, bp, memory) = leaf();
        let mut modules = Modules::default();
        let mappings = modules.mappings(std::process::id(), None).unwrap();
        modules.read_tables(&mappings);
        let path = Unwinder::new(&mappings).path(&mut Cache::default(), ip, sp, bp, &memory);
        let here = an_own_path_leads_through_the_callers as *const () as u64;
        let found = path
            .addresses
            .iter()
            .any(|a| (here..here + 4096).contains(a));
        assert!(found && path.addresses.len() > 3, "{path:x?} from {here:x}");
    }
}
