//! What user addresses mean: the mappings of a program in execution, the files
//! behind them, and their build-ids.
//!
//! Mappings belong to an image, that is to one program in execution: a child
//! shares its parent's until it executes another program. So an address of a
//! child that is gone already can be looked up as long as its parent lives.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::rc::Rc;
use std::sync::Arc;

use crate::jit::{self, Maker};
use crate::kernel::hex;
use crate::unwind::Tables;
use crate::vdso;

/// A file whose code was seen, or all code that one process has made itself.
#[derive(Debug)]
pub struct Module {
    /// Path as the process sees it.
    pub path: String,
    /// Build-id in hexadecimal digits.
    pub build_id: Option<String>,
    /// Device and inode, as in `/proc/PID/maps`.
    pub id: FileId,
    /// The file itself, held until its functions are named: by then the path
    /// may be gone, or lie in another mount namespace.
    file: RefCell<Option<Arc<File>>>,
    /// Its unwind tables, once they were asked for.
    tables: OnceCell<Option<Tables>>,
    /// Whose code it is, if it has no file.
    maker: Option<Maker>,
}

/// Device and inode of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Device number, major and minor as `makedev` packs them.
    pub dev: u64,
    /// Inode number.
    pub inode: u64,
    /// When the inode changed last, nanoseconds since 1970; inode numbers are
    /// used again. 0 if not known.
    pub changed_ns: i64,
}

impl Module {
    /// What stands for the module in a frame's id.
    #[must_use]
    pub fn key(&self) -> &str {
        let key = self
            .build_id
            .as_ref()
            .or(self.maker.as_ref().map(|m| &m.key));
        key.unwrap_or(&self.path)
    }

    /// Whether the process has made the code itself.
    #[must_use]
    pub fn is_jit(&self) -> bool {
        self.maker.is_some()
    }

    /// The file itself, opened again if need be; `None` if it is gone. Of code that
    /// a process has made, the file that has its names.
    #[must_use]
    pub fn file(&self) -> Option<Arc<File>> {
        if let Some(maker) = &self.maker {
            return maker.names().map(Arc::new);
        }
        let mut file = self.file.borrow_mut();
        if file.is_none() {
            *file = open_again(self).map(Arc::new);
        }
        file.clone()
    }

    /// Its unwind tables, if it has any and they were read.
    #[must_use]
    pub fn tables(&self) -> Option<&Tables> {
        self.tables.get()?.as_ref()
    }
}

/// An executable mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// Offset in the file of the first address.
    pub offset: u64,
    /// The file.
    pub module: Rc<Module>,
}

impl Mapping {
    /// Whether the same part of the same file is mapped at the same place.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.start, self.end, self.offset) == (other.start, other.end, other.offset)
            && Rc::ptr_eq(&self.module, &other.module)
    }
}

/// A mapping as the kernel side tells of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// Offset in the file of the first address.
    pub offset: u64,
    /// Path as the process sees it; `None` for the vdso.
    pub path: Option<String>,
    /// The file.
    pub id: FileId,
}

/// Files seen so far, by device and inode.
#[derive(Debug, Default)]
pub struct Modules {
    files: HashMap<FileId, Rc<Module>>,
    /// Code that processes have made, by pid.
    made: HashMap<u32, Rc<Module>>,
    /// Memory taken by unwind tables.
    table_bytes: usize,
}

/// Memory for unwind tables; beyond it no more are read until some are let go.
const MAX_TABLE_BYTES: usize = 24 << 20;

impl Modules {
    /// The executable mappings of a process, by address.
    ///
    /// `None` if the process is gone, or runs another program than `exe`.
    pub fn mappings(&mut self, pid: u32, exe: Option<&str>) -> Option<Vec<Mapping>> {
        // One file of an odd name must not hide the others.
        let text = fs::read(format!("/proc/{pid}/maps")).ok()?;
        let text = String::from_utf8_lossy(&text);
        let mut made = None;
        let mappings = text
            .lines()
            .filter_map(|line| self.mapping(pid, line, &mut made))
            .collect();
        // Asked after reading: it may have executed another program meanwhile.
        let runs = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let same = match (exe, runs) {
            (Some(exe), Some(runs)) => runs.to_string_lossy() == exe,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        same.then_some(mappings)
    }

    /// One line of `/proc/PID/maps` (proc_pid_maps(5)), if it is executable; all code
    /// that the process has `made` itself is of one module.
    fn mapping(&mut self, pid: u32, line: &str, made: &mut Option<Rc<Module>>) -> Option<Mapping> {
        let mut fields = line.splitn(6, ' ');
        let range = fields.next()?;
        let (start, end) = range.split_once('-')?;
        if fields.next()?.as_bytes().get(2) != Some(&b'x') {
            return None;
        }
        let offset = u64::from_str_radix(fields.next()?, 16).ok()?;
        let (major, minor) = fields.next()?.split_once(':')?;
        let inode = fields.next()?.parse().ok()?;
        let path = fields.next()?.trim_start();
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let id = FileId {
            dev: libc::makedev(number(major)? as u32, number(minor)? as u32),
            inode,
            changed_ns: changed_ns(pid, range),
        };
        if path == "[vsyscall]" {
            return None;
        }
        let start = number(start)?;
        let has_file = path.starts_with('/') && !path.starts_with("//anon");
        let (module, offset) = match has_file || path == vdso::NAME {
            true => (
                self.module(pid, id, path, range),
                if inode == 0 { 0 } else { offset },
            ),
            // Its addresses are all that its maker has told of.
            false => {
                *made = made.take().or_else(|| self.made_by(pid));
                (made.clone()?, start)
            }
        };
        Some(Mapping {
            start,
            end: number(end)?,
            offset,
            module,
        })
    }

    /// A mapping that these processes have or had; any of them may be gone.
    pub fn told(&mut self, told: &Told, pids: &[u32]) -> Mapping {
        let path = told.path.as_deref().unwrap_or(vdso::NAME);
        let range = format!("{:x}-{:x}", told.start, told.end);
        let known = self.files.get(&told.id).filter(|m| m.path == path);
        let module = match known.filter(|m| m.build_id.is_some()) {
            Some(module) => Rc::clone(module),
            None => {
                let file = match told.path {
                    None => vdso::file(),
                    Some(_) => open_told(told.id, path, &range, pids),
                };
                self.add(told.id, path, file)
            }
        };
        Mapping {
            start: told.start,
            end: told.end,
            offset: told.offset,
            module,
        }
    }

    fn made_by(&mut self, pid: u32) -> Option<Rc<Module>> {
        let maker = Maker::of(pid)?;
        let known = self.made.get(&pid);
        if let Some(module) = known.filter(|module| module.key() == maker.key) {
            return Some(Rc::clone(module));
        }
        let module = Rc::new(Module {
            path: jit::NAME.into(),
            build_id: None,
            id: FileId::default(),
            file: RefCell::default(),
            tables: OnceCell::from(None),
            maker: Some(maker),
        });
        self.made.insert(pid, Rc::clone(&module));
        Some(module)
    }

    fn module(&mut self, pid: u32, id: FileId, path: &str, range: &str) -> Rc<Module> {
        if let Some(module) = self.files.get(&id)
            && module.path == path
        {
            return Rc::clone(module);
        }
        let file = match path {
            vdso::NAME => vdso::file(),
            _ => open(pid, id, path, range),
        };
        self.add(id, path, file)
    }

    fn add(&mut self, id: FileId, path: &str, file: Option<File>) -> Rc<Module> {
        let build_id = file.as_ref().and_then(build_id);
        let module = Rc::new(Module {
            path: path.into(),
            build_id,
            id,
            file: RefCell::new(file.map(Arc::new)),
            tables: OnceCell::new(),
            maker: None,
        });
        self.files.insert(id, Rc::clone(&module));
        module
    }

    /// Reads the unwind tables of the files that are mapped.
    pub fn read_tables(&mut self, mappings: &[Mapping]) {
        for mapping in mappings {
            let module = &mapping.module;
            if module.tables.get().is_some() || self.table_bytes > MAX_TABLE_BYTES {
                continue;
            }
            let tables = module.file().and_then(|file| Tables::read(&file));
            self.table_bytes += tables.as_ref().map_or(0, Tables::bytes);
            let _ = module.tables.set(tables);
        }
    }

    /// Closes the files that were kept open, and forgets those that no program
    /// runs any more. What is needed later is opened again.
    pub fn close_files(&mut self) {
        for module in self.files.values() {
            module.file.borrow_mut().take();
        }
        self.files.retain(|_, module| Rc::strong_count(module) > 1);
        self.made.retain(|_, module| Rc::strong_count(module) > 1);
        let tables = self.files.values().filter_map(|module| module.tables());
        self.table_bytes = tables.map(Tables::bytes).sum();
    }
}

/// Build-id of an ELF file, in hexadecimal digits.
fn build_id(file: &File) -> Option<String> {
    use object::read::Object as _;
    let cache = object::read::ReadCache::new(file);
    let elf = object::File::parse(&cache).ok()?;
    elf.build_id().ok().flatten().map(hex)
}

fn changed_ns(pid: u32, range: &str) -> i64 {
    let metadata = fs::metadata(format!("/proc/{pid}/map_files/{range}"));
    metadata.map_or(0, |m| {
        m.ctime().saturating_mul(1_000_000_000) + m.ctime_nsec()
    })
}

/// Opens a mapped file while its process lives.
fn open(pid: u32, id: FileId, path: &str, range: &str) -> Option<File> {
    if id.inode == 0 {
        return None;
    }
    // map_files leads to the very file, deleted or not; it needs more
    // capabilities than the path as the process sees it.
    open_regular(&format!("/proc/{pid}/map_files/{range}"))
        .or_else(|| open_regular(&format!("/proc/{pid}/root{path}")))
}

/// Opens a file that was mapped by processes that may be gone: then by its path,
/// if the file there is the same.
fn open_told(id: FileId, path: &str, range: &str, pids: &[u32]) -> Option<File> {
    let is_it = |file: &File| {
        let found = file.metadata();
        found.is_ok_and(|m| m.dev() == id.dev && m.ino() == id.inode)
    };
    let mapped = |pid: &u32| open(*pid, id, path, range);
    pids.iter()
        .find_map(mapped)
        .or_else(|| open_regular(path).filter(is_it))
}

/// Opens a file that is one: opening a FIFO would wait for whoever made it, and
/// opening a device may do anything.
fn open_regular(path: &str) -> Option<File> {
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_PATH);
    let at = options.open(path).ok()?;
    let regular = at.metadata().is_ok_and(|m| m.is_file());
    let fd = at.as_raw_fd();
    regular.then(|| File::open(format!("/proc/self/fd/{fd}")).ok())?
}

/// Opens a module by its path, if the file there is still the same.
fn open_again(module: &Module) -> Option<File> {
    if module.path == vdso::NAME {
        return vdso::file();
    }
    let file = open_regular(&module.path)?;
    (module.build_id.is_some() && build_id(&file) == module.build_id).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address in this very test must come out as this test's file.
    #[test]
    fn an_own_address_is_found() {
        let pid = std::process::id();
        let mut modules = Modules::default();
        let mappings = modules.mappings(pid, None).unwrap();
        let address = an_own_address_is_found as *const () as u64;
        let mapping = mappings
            .iter()
            .find(|m| (m.start..m.end).contains(&address))
            .unwrap();
        let exe = std::env::current_exe().unwrap();
        assert_eq!(mapping.module.path, exe.to_string_lossy());
        assert!(mapping.module.build_id.is_some());
    }

    #[test]
    fn another_program_under_the_pid_is_refused() {
        let pid = std::process::id();
        assert!(
            Modules::default()
                .mappings(pid, Some("/bin/other"))
                .is_none()
        );
    }
}
