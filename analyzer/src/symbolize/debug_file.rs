//! Finds the debug file of a module, and makes sure that it is its own.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use object::elf::{PF_X, PT_LOAD};
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Object as _, ObjectSection as _, ReadCache, ReadRef};

use super::layout::{Header, Layout};

/// What a section may swell to, for each byte that it has in the file: debug
/// information gets a tenth as small. A few bytes can claim any size.
const MAX_SWELLING: u64 = 64;
/// … and beside that.
const MAX_SWELLING_BYTES: u64 = 1 << 20;

/// A file whose build-id is that of the module.
#[derive(Debug)]
pub(super) struct DebugFile {
    pub(super) path: PathBuf,
    pub(super) layout: Layout,
}

/// The folders that are searched.
#[derive(Debug)]
pub(super) struct Search {
    roots: Vec<PathBuf>,
}

impl Search {
    /// Each folder may be one as `/usr/lib/debug`, or hold that, as an unpacked
    /// package does.
    pub(super) fn new(dirs: &[PathBuf]) -> Self {
        let inner = |dir: &PathBuf| dir.join("usr/lib/debug");
        let inner = dirs.iter().map(inner).filter(|dir| dir.is_dir());
        Self {
            roots: dirs.iter().cloned().chain(inner).collect(),
        }
    }

    pub(super) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// The debug file of a module, else why there is none.
    pub(super) fn find(&self, module: &str, build_id: &str) -> Result<DebugFile, String> {
        let mut refused = None;
        for path in self.candidates(module, build_id) {
            if !path.is_file() {
                continue;
            }
            match read(&path) {
                Ok((own, ..)) if own.as_deref() != Some(build_id) => {
                    let own = own.map_or("no build-id".into(), |own| format!("build-id {own}"));
                    let reason = format!("refused: {} has {own}", path.display());
                    refused.get_or_insert(reason);
                }
                Ok((_, layout, link)) => {
                    let linked = link.and_then(|link| self.linked(module, build_id, &path, &link));
                    return Ok(linked.unwrap_or(DebugFile { path, layout }));
                }
                Err(e) => {
                    refused.get_or_insert(format!("refused: {}: {e}", path.display()));
                }
            }
        }
        Err(refused.unwrap_or_else(|| "no debug file".into()))
    }

    /// The debug file that a stripped program names: beside it, in a folder `.debug`
    /// there, or where the program would be below a folder that is searched.
    fn linked(&self, module: &str, build_id: &str, path: &Path, link: &Path) -> Option<DebugFile> {
        let beside = path.parent()?;
        let (relative, _) = within(module)?;
        let below = self.roots.iter().map(|root| root.join(&relative));
        let mut places = vec![beside.join(link), beside.join(".debug").join(link)];
        places.extend(below.map(|place| place.with_file_name(link)));
        places
            .into_iter()
            .filter(|path| path.is_file())
            .find_map(|path| {
                let (own, layout, _) = read(&path).ok()?;
                (own.as_deref() == Some(build_id)).then_some(DebugFile { path, layout })
            })
    }

    /// Where it may lie: by build-id, by the module's path as debug links are
    /// followed, by its name alone; the program itself, unless it was stripped,
    /// is as good.
    fn candidates(&self, module: &str, build_id: &str) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        let is_hex = build_id.len() > 2 && build_id.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex {
            let (first, rest) = build_id.split_at(2);
            for root in &self.roots {
                let folder = root.join(".build-id").join(first);
                paths.push(folder.join(format!("{rest}.debug")));
                paths.push(folder.join(rest));
            }
        }
        let Some((relative, name)) = within(module) else {
            return paths;
        };
        for root in &self.roots {
            for place in [relative.as_path(), Path::new(&name)] {
                let mut debug = root.join(place).into_os_string();
                debug.push(".debug");
                paths.push(debug.into());
                paths.push(root.join(place));
            }
        }
        paths
    }
}

/// A module's path below any root, and its name. A path in a recording can say
/// anything; one that leads upwards is not followed.
fn within(module: &str) -> Option<(PathBuf, String)> {
    let mut below = PathBuf::new();
    for part in Path::new(module).components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(part) => below.push(part),
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    let name = below.file_name()?.to_str()?.to_owned();
    Some((below, name))
}

/// Build-id and layout of a file; if it is stripped, the name of its debug file too.
fn read(path: &Path) -> Result<(Option<String>, Layout, Option<PathBuf>), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let cache = ReadCache::new(file);
    let elf: ElfFile64<'_, object::Endianness, _> =
        ElfFile64::parse(&cache).map_err(|e| e.to_string())?;
    for section in elf.sections() {
        let range = section.compressed_file_range().map_err(|e| e.to_string())?;
        let most = range.compressed_size.saturating_mul(MAX_SWELLING);
        if range.uncompressed_size > most.saturating_add(MAX_SWELLING_BYTES) {
            let bytes = range.uncompressed_size;
            return Err(format!("a compressed section claims to be {bytes} bytes"));
        }
    }
    let build_id = elf.build_id().map_err(|e| e.to_string())?;
    let build_id = build_id.map(hex);
    let stripped = elf.section_by_name(".debug_info").is_none();
    let link = elf.gnu_debuglink().ok().flatten().filter(|_| stripped);
    // A name only: it must not lead elsewhere.
    let link = link.and_then(|(name, _)| std::str::from_utf8(name).ok().map(Path::new));
    let link = link.and_then(Path::file_name).map(PathBuf::from);
    Ok((build_id, Layout::of(&headers(&elf)?), link))
}

fn headers<'a, R: ReadRef<'a>>(
    elf: &ElfFile64<'a, object::Endianness, R>,
) -> Result<Vec<Header>, String> {
    let endian = elf.endian();
    let headers = elf.elf_header().program_headers(endian, elf.data());
    let headers = headers.map_err(|e| e.to_string())?;
    let loadable = headers.iter().filter(|h| h.p_type(endian) == PT_LOAD);
    let header = |h: &object::elf::ProgramHeader64<object::Endianness>| Header {
        offset: h.p_offset(endian),
        address: h.p_vaddr(endian),
        file_bytes: h.p_filesz(endian),
        memory_bytes: h.p_memsz(endian),
        align: h.p_align(endian),
        is_code: (h.p_flags(endian) & PF_X) == PF_X,
    };
    Ok(loadable.map(header).collect())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_recording_leads_nowhere_but_below_the_folders() {
        let search = Search::new(&[PathBuf::from("/d")]);
        let below = |module: &str, build_id: &str| search.candidates(module, build_id);
        let paths = below("/usr/bin/x", "abcd");
        assert_eq!(paths[0], Path::new("/d/.build-id/ab/cd.debug"));
        assert!(paths.contains(&PathBuf::from("/d/usr/bin/x.debug")));
        assert!(paths.contains(&PathBuf::from("/d/x.debug")));
        assert!(below("/usr/../../etc/x", "../../x").is_empty());
        assert!(below("/", "é").is_empty());
    }
}
