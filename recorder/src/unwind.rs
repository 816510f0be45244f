//! Call paths of user code without frame pointers, from registers, a piece of
//! stack memory and the unwind tables (`.eh_frame`) of the mapped files.
//!
//! The stack memory comes from the ring and goes no further than this.

use std::ops::Range;
use std::rc::Rc;

use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, Unwinder as _};
use object::read::{Object as _, ObjectSection as _, ObjectSegment as _, ReadCache, ReadRef};

use crate::modules::Mapping;

/// Frames of the deepest path that is followed.
const DEPTH: usize = 127;
/// A section larger than this is not read.
const MAX_SECTION_BYTES: u64 = 32 << 20;

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
    /// Where the file's segments lie: offset in the file, address as linked.
    segments: Vec<(Range<u64>, u64)>,
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
        let segments = elf
            .segments()
            .map(|segment| {
                let (offset, size) = segment.file_range();
                (offset..offset.saturating_add(size), segment.address())
            })
            .collect();
        Some(Self {
            eh_frame: section(&elf, ".eh_frame")?,
            eh_frame_hdr: section(&elf, ".eh_frame_hdr"),
            segments,
        })
    }

    /// Memory that they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let hdr = self.eh_frame_hdr.as_ref().map_or(0, |s| s.bytes.len());
        self.eh_frame.bytes.len() + hdr
    }

    /// Address as linked of an offset in the file.
    fn linked(&self, offset: u64) -> Option<u64> {
        let (range, address) = self.segments.iter().find(|(r, _)| r.contains(&offset))?;
        Some(offset - range.start + address)
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
pub struct Unwinder(UnwinderX86_64<Rc<[u8]>>);

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
        for mapping in mappings {
            if let Some(module) = module(mapping) {
                unwinder.add_module(module);
            }
        }
        Self(unwinder)
    }

    /// Follows a path from registers through the memory above `sp`.
    pub fn path(&self, cache: &mut Cache, ip: u64, sp: u64, bp: u64, memory: &[u8]) -> Path {
        let mut read = |address: u64| {
            let at = usize::try_from(address.checked_sub(sp).ok_or(())?).map_err(|_| ())?;
            let bytes = memory.get(at..).and_then(|rest| rest.first_chunk::<8>());
            bytes.map(|bytes| u64::from_ne_bytes(*bytes)).ok_or(())
        };
        let registers = UnwindRegsX86_64::new(ip, sp, bp);
        let mut frames = self.0.iter_frames(ip, registers, &mut cache.0, &mut read);
        let mut path = Path {
            addresses: Vec::new(),
            cut: false,
        };
        while path.addresses.len() < DEPTH {
            match frames.next() {
                Ok(Some(frame)) => path.addresses.push(frame.address()),
                Ok(None) => return path,
                Err(_) => break,
            }
        }
        path.cut = true;
        path
    }
}

fn module(mapping: &Mapping) -> Option<framehop::Module<Rc<[u8]>>> {
    let tables = mapping.module.tables()?;
    // How far the file was moved from where it was linked to be.
    let moved = mapping.start.wrapping_sub(tables.linked(mapping.offset)?);
    let hdr = tables.eh_frame_hdr.as_ref();
    Some(framehop::Module::new(
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
    ))
}
