//! Turns addresses into frames and call paths with lasting ids, each stored
//! once.
//!
//! A frame of a caller stands for the call, that is for the byte before the
//! return address, so that its offset lies in the calling function and line.

mod naming;

use std::cell::RefCell;
use std::rc::Rc;

use hashbrown::{HashMap, HashSet};
use whence_schemas::redact::Redactor;
use whence_schemas::{frame, ids, mapping, stack, symbol};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use crate::context;
use crate::decode::{Stack, UserStack};
use crate::entry::{self, Origin};
use crate::kernel::{self, Symbols};
use crate::modules::{Module, Modules, Told};
use crate::namer::{Frame, MOST_FRAMES, Namer};
use crate::processes::{Image, Processes};
use crate::unwind::Cache;

/// Frames of the deepest path that is recorded: beyond it, paths are cut.
const DEPTH: usize = 127;
/// Entries of a cache before it is emptied; bounds its memory. What is stored
/// twice thereby has the same id and the same content.
const CACHE: usize = 1 << 16;
/// Rows of a table before they are encoded; those of stacks are wide.
const MANY_ROWS: usize = 4096;

/// A kernel call path.
#[derive(Clone, Copy, Debug)]
pub struct KernelPath {
    /// Its id.
    pub stack_id: i64,
    /// The interrupt context that it shows, if any.
    pub interrupt: Option<&'static str>,
}

/// Interns call paths and collects the rows that describe them.
#[derive(Debug)]
pub struct Stacks {
    symbols: Symbols,
    kernel_build_id: String,
    /// By the hash of their addresses: those themselves would take far more memory.
    kernel_paths: HashMap<(Origin, u128), KernelPath>,
    user_paths: HashMap<(u64, bool, u128), i64>,
    known_stacks: HashSet<i64>,
    known_frames: HashSet<i64>,
    modules: Modules,
    namer: Namer,
    /// For the paths of modules.
    redactor: Rc<RefCell<Redactor>>,
    unwind_cache: Cache,
    unnamed: Vec<(Rc<Module>, Frame)>,
    /// Frames that have no name since too many were new at a time.
    passed_over: u64,
    /// Rows of `mapping` that the kernel side told of and that are not moved yet.
    told: u64,
    /// Those of code that processes have made: they may tell its names later.
    unnamed_jit: HashMap<i64, (Rc<Module>, Frame)>,
    /// Names that were found, by frame: a part that begins needs them again.
    names: HashMap<i64, String>,
    symbols_read_ns: i64,
    /// Rows of `stack`.
    pub stack_rows: stack::Builder,
    /// Rows of `frame`.
    pub frame_rows: frame::Builder,
    /// Rows of `symbol`.
    pub symbol_rows: symbol::Builder,
    /// Rows of `mapping`.
    pub mapping_rows: mapping::Builder,
}

/// A place in code, as a frame is stored.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    kind: &'static str,
    /// What stands for the module in the frame's id.
    key: &'a str,
    module: Option<&'a str>,
    build_id: Option<&'a str>,
    offset: Option<i64>,
    address: i64,
}

impl Place<'_> {
    fn unknown(address: i64) -> Self {
        Self {
            kind: "unknown",
            key: "",
            module: None,
            build_id: None,
            offset: None,
            address,
        }
    }
}

/// Whose user stack it is.
#[derive(Debug)]
pub struct Owner {
    /// The process.
    pub upid: i64,
    /// Its pid.
    pub pid: u32,
    /// The program it runs.
    pub image: Rc<Image>,
}

impl Stacks {
    /// Without any path yet, and without the kernel's symbols.
    #[must_use]
    pub fn new(
        kernel_build_id: Option<String>,
        release: &str,
        namer: Namer,
        redactor: Rc<RefCell<Redactor>>,
    ) -> Self {
        Self {
            symbols: Symbols::default(),
            kernel_build_id: kernel_build_id.unwrap_or_else(|| release.to_owned()),
            kernel_paths: HashMap::new(),
            user_paths: HashMap::new(),
            known_stacks: HashSet::new(),
            known_frames: HashSet::new(),
            modules: Modules::default(),
            namer,
            redactor,
            unwind_cache: Cache::default(),
            unnamed: Vec::new(),
            passed_over: 0,
            told: 0,
            unnamed_jit: HashMap::new(),
            names: HashMap::new(),
            symbols_read_ns: 0,
            stack_rows: stack::Builder::default(),
            frame_rows: frame::Builder::default(),
            symbol_rows: symbol::Builder::default(),
            mapping_rows: mapping::Builder::default(),
        }
    }

    /// Takes the kernel's symbols, before any kernel stack is asked for.
    pub fn know(&mut self, symbols: Symbols) {
        self.symbols = symbols;
    }

    /// Whether so many rows have come together that they take memory.
    #[must_use]
    pub fn has_many_rows(&self) -> bool {
        self.stack_rows.len() > MANY_ROWS || self.mapping_rows.len() > MANY_ROWS
    }

    /// Begins a part of a recording that stands alone: what was stored is stored
    /// once more when it is seen again.
    pub fn begin_part(&mut self, processes: &Processes, ts_ns: i64) {
        self.kernel_paths = HashMap::new();
        self.user_paths = HashMap::new();
        self.known_stacks = HashSet::new();
        self.known_frames = HashSet::new();
        processes.each_mapping(|upid, mapping| self.push_mapping(mapping, upid, ts_ns));
    }

    /// Forgets what was stored, and all that was found out about files.
    pub fn forget(&mut self) {
        self.kernel_paths = HashMap::new();
        self.user_paths = HashMap::new();
        self.known_stacks = HashSet::new();
        self.known_frames = HashSet::new();
        self.names = HashMap::new();
        self.unnamed_jit = HashMap::new();
        self.unwind_cache = Cache::default();
        self.modules = Modules::default();
    }

    /// The id of a kernel stack; `None` for an empty one.
    pub fn kernel(&mut self, stack: Stack<'_>, origin: Origin, ts_ns: i64) -> Option<KernelPath> {
        if stack.is_empty() {
            return None;
        }
        let key = (origin, xxh3_128(stack.0));
        if let Some(path) = self.kernel_paths.get(&key) {
            return Some(*path);
        }
        let addresses: Vec<u64> = stack.addresses().collect();
        self.read_symbols_again_for(&addresses, ts_ns);
        let sites = entry::call_sites(&addresses, origin, |address| self.is_glue(address));
        let frames: Vec<i64> = sites
            .iter()
            .map(|address| self.kernel_frame(*address, ts_ns))
            .collect();
        let names = sites
            .iter()
            .filter_map(|address| self.symbols.place(*address))
            .map(|place| place.function);
        let interrupt = context::interrupt(names);
        let truncated = addresses.len() >= DEPTH;
        let stack_id = self.push_stack(&frames, truncated, "kernel", ts_ns);
        let path = KernelPath {
            stack_id,
            interrupt,
        };
        bounded(&mut self.kernel_paths).insert(key, path);
        Some(path)
    }

    /// The id of a user stack; `None` for an empty one.
    pub fn user(&mut self, stack: &UserStack<'_>, owner: &Owner, ts_ns: i64) -> Option<i64> {
        let fp = stack.by_frame_pointers;
        let leaf = stack.leaf()?;
        // Nothing need be found out of a path that is known as it is.
        if stack.memory.is_empty() && stack.entry.is_none() {
            let key = (owner.image.number, true, xxh3_128(fp.whole()));
            if let Some(id) = self.user_paths.get(&key) {
                return Some(*id);
            }
        }
        self.know_mappings(owner, leaf, ts_ns);
        let (mut addresses, cut, unwinder) = match stack.memory.is_empty() {
            true => (fp.addresses().collect(), fp.len() >= DEPTH, "fp"),
            false => {
                let path = owner
                    .image
                    .unwind(&mut self.modules, &mut self.unwind_cache, stack);
                (path.addresses, path.cut, "dwarf")
            }
        };
        if let Some(entry) = stack.entry {
            addresses = entry.path(&addresses);
        }
        Some(self.user_path(&addresses, cut, unwinder, owner, ts_ns))
    }

    /// Whether it is known what lies at an address of a program.
    pub fn knows(&mut self, owner: &Owner, address: u64, ts_ns: i64) -> bool {
        self.know_mappings(owner, address, ts_ns);
        owner.image.has_mapped(address)
    }

    /// The id of a path of user addresses.
    fn user_path(
        &mut self,
        addresses: &[u64],
        cut: bool,
        unwinder: &str,
        owner: &Owner,
        ts_ns: i64,
    ) -> i64 {
        let key = (owner.image.number, unwinder == "fp", hash(addresses));
        if let Some(id) = self.user_paths.get(&key) {
            return *id;
        }
        let frames: Vec<i64> = entry::sites(addresses, true)
            .into_iter()
            // What follows frame pointers off the stack ends there.
            .take_while(|address| *address != 0)
            .map(|address| self.user_frame(address, owner, ts_ns))
            .collect();
        let id = self.push_stack(&frames, cut, unwinder, ts_ns);
        bounded(&mut self.user_paths).insert(key, id);
        id
    }

    /// Takes a mapping that the kernel side has told of.
    pub fn tell(&mut self, told: &Told, owner: &Owner, ts_ns: i64) {
        let mapping = self.modules.told(told, &owner.image.pids(owner.pid));
        if owner.image.add_mapping(&mapping) {
            self.told += 1;
            self.push_mapping(&mapping, owner.upid, ts_ns);
        }
    }

    /// Events whose rows of `mapping` have come since this was asked last.
    pub fn take_told(&mut self) -> u64 {
        std::mem::take(&mut self.told)
    }

    /// Reads the mappings of a program unless they hold this address: the kernel
    /// side cannot tell of them everywhere.
    fn know_mappings(&mut self, owner: &Owner, address: u64, ts_ns: i64) {
        if owner.image.has_mapped(address) {
            return;
        }
        let read = owner
            .image
            .read_mappings(&mut self.modules, owner.pid, ts_ns);
        for mapping in read {
            self.push_mapping(&mapping, owner.upid, ts_ns);
        }
    }

    /// Whether an address belongs to BPF or what calls it, not to the code that
    /// was hit.
    fn is_glue(&self, address: u64) -> bool {
        const PREFIXES: [&str; 9] = [
            "bpf_trace_run",
            "__bpf_trace_",
            "__traceiter_",
            "bpf_get_stack",
            "bpf_trampoline_",
            "kprobe_",
            "ftrace_",
            "fprobe_",
            "arch_ftrace_",
        ];
        self.symbols.place(address).is_some_and(|place| {
            let function = place.function;
            place.module == "bpf" || PREFIXES.iter().any(|prefix| function.starts_with(prefix))
        })
    }

    /// Modules and BPF programs come and go: an address without a name may have
    /// one by now.
    fn read_symbols_again_for(&mut self, addresses: &[u64], ts_ns: i64) {
        const AT_MOST_EVERY_NS: i64 = 10_000_000_000;
        let unknown = addresses.iter().any(|a| self.symbols.place(*a).is_none());
        if unknown && ts_ns - self.symbols_read_ns > AT_MOST_EVERY_NS {
            self.symbols = Symbols::read();
            self.symbols_read_ns = ts_ns;
            self.kernel_paths.clear();
        }
    }

    fn kernel_frame(&mut self, address: u64, ts_ns: i64) -> i64 {
        let signed = address.cast_signed();
        let Some(place) = self.symbols.place(address) else {
            return self.push_frame(&Place::unknown(signed), ts_ns).0;
        };
        let (module, offset) = (place.module.to_owned(), place.offset);
        let function = place.function.to_owned();
        let build_id = match module.as_str() {
            kernel::KERNEL => Some(self.kernel_build_id.clone()),
            "bpf" => Some(function.clone()),
            module => kernel::module_build_id(module),
        };
        let place = Place {
            kind: "kernel",
            key: build_id.as_deref().unwrap_or(&module),
            module: Some(&module),
            build_id: build_id.as_deref(),
            offset: Some(offset),
            address: signed,
        };
        let (frame_id, new) = self.push_frame(&place, ts_ns);
        if new {
            self.symbol_rows.push(symbol::Row {
                frame_id,
                inline_depth: 0,
                function: &function,
                file: None,
                line: None,
                source: "kallsyms",
                first_ns: ts_ns,
            });
        }
        frame_id
    }

    fn user_frame(&mut self, address: u64, owner: &Owner, ts_ns: i64) -> i64 {
        let signed = address.cast_signed();
        self.know_mappings(owner, address, ts_ns);
        let Some(mapping) = owner.image.mapping(address) else {
            return self.push_frame(&Place::unknown(signed), ts_ns).0;
        };
        let module = mapping.module;
        let offset = address - mapping.start + mapping.offset;
        let place = Place {
            kind: "user",
            key: module.key(),
            module: Some(&module.path),
            build_id: module.build_id.as_deref(),
            offset: Some(offset.cast_signed()),
            address: signed,
        };
        let (frame_id, new) = self.push_frame(&place, ts_ns);
        let frame = Frame {
            frame_id,
            offset,
            first_ns: ts_ns,
            of_jit: module.is_jit(),
        };
        match self.names.get(&frame_id) {
            Some(name) if new => naming::push_name(&mut self.symbol_rows, &frame, name),
            None if new && self.unnamed.len() >= MOST_FRAMES => self.passed_over += 1,
            None if new => self.unnamed.push((module, frame)),
            _ => {}
        }
        frame_id
    }

    /// Stores a frame unless it is stored; says whether it was new.
    fn push_frame(&mut self, place: &Place<'_>, first_ns: i64) -> (i64, bool) {
        let offset = place.offset.unwrap_or(place.address);
        // An id is a hash that anybody can make of a name, too.
        let redacted = |path| self.redactor.borrow_mut().text(path);
        let by_name = place.module.filter(|path| *path == place.key);
        let name = by_name.map(redacted);
        let key = name.as_deref().unwrap_or(place.key);
        let frame_id = ids::frame_id(place.kind, key, offset);
        let new = bounded_set(&mut self.known_frames).insert(frame_id);
        if new {
            let module = name.or_else(|| place.module.map(redacted));
            self.frame_rows.push(frame::Row {
                frame_id,
                kind: place.kind,
                module: module.as_deref(),
                build_id: place.build_id,
                offset: place.offset,
                address: place.address,
                first_ns,
            });
        }
        (frame_id, new)
    }

    fn push_stack(&mut self, frames: &[i64], truncated: bool, unwinder: &str, ts_ns: i64) -> i64 {
        let stack_id = ids::stack_id(frames, truncated, unwinder);
        if bounded_set(&mut self.known_stacks).insert(stack_id) {
            self.stack_rows.push(stack::Row {
                stack_id,
                frame_ids: frames,
                truncated,
                unwinder,
                first_ns: ts_ns,
            });
        }
        stack_id
    }

    fn push_mapping(&mut self, mapping: &crate::modules::Mapping, upid: i64, ts_ns: i64) {
        let module = &mapping.module;
        self.mapping_rows.push(mapping::Row {
            ts_ns,
            upid,
            start_address: mapping.start.cast_signed(),
            end_address: mapping.end.cast_signed(),
            file_offset: mapping.offset.cast_signed(),
            module: &self.redactor.borrow_mut().text(&module.path),
            build_id: module.build_id.as_deref(),
            dev: module.id.dev.cast_signed(),
            inode: module.id.inode.cast_signed(),
        });
    }
}

fn hash(addresses: &[u64]) -> u128 {
    let mut hasher = Xxh3Default::new();
    for address in addresses {
        hasher.update(&address.to_ne_bytes());
    }
    hasher.digest128()
}

fn bounded<K, V>(map: &mut HashMap<K, V>) -> &mut HashMap<K, V> {
    if map.len() >= CACHE {
        map.clear();
    }
    map
}

fn bounded_set(set: &mut HashSet<i64>) -> &mut HashSet<i64> {
    if set.len() >= CACHE * 4 {
        set.clear();
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(addresses: &[u64]) -> Vec<u8> {
        addresses.iter().flat_map(|a| a.to_ne_bytes()).collect()
    }

    fn stacks(base: u64) -> Stacks {
        let kallsyms = format!(
            "{base:x} T _stext\n{:x} T do_fork\n{:x} T handle_softirqs\n{:x} T __traceiter_x\n{:x} T bpf_trace_run2\n",
            base + 0x100,
            base + 0x200,
            base + 0x300,
            base + 0x400
        );
        let namer = Namer::start().unwrap();
        let mut stacks = Stacks::new(Some("cafe".into()), "6.1", namer, Rc::default());
        stacks.know(Symbols::parse(kallsyms.as_bytes(), ""));
        stacks
    }

    #[test]
    fn a_path_has_the_same_id_wherever_the_kernel_lies() {
        let id = |base: u64| {
            let raw = bytes(&[base + 0x110, base + 0x210]);
            stacks(base).kernel(Stack(&raw), Origin::Called, 1).unwrap()
        };
        let here = id(0xffff_ffff_8100_0000);
        let there = id(0xffff_ffff_9a00_0000);
        assert_eq!(here.stack_id, there.stack_id);
        assert_eq!(here.interrupt, Some("softirq"));
    }

    #[test]
    fn the_tracepoint_itself_is_not_part_of_the_path() {
        let base = 0xffff_ffff_8100_0000;
        let mut stacks = stacks(base);
        let raw = bytes(&[base + 0x410, base + 0x310, base + 0x110]);
        stacks.kernel(Stack(&raw), Origin::Called, 1);
        assert_eq!(stacks.frame_rows.len(), 1);
    }

    #[test]
    fn the_id_of_a_frame_does_not_tell_a_secret_in_the_name_of_its_module() {
        let mut stacks = stacks(0xffff_ffff_8100_0000);
        let path = "/srv/token=hunter2";
        let place = |build_id: Option<&'static str>| Place {
            kind: "user",
            key: build_id.unwrap_or(path),
            module: Some(path),
            build_id,
            offset: Some(16),
            address: 16,
        };
        let (named, _) = stacks.push_frame(&place(None), 1);
        assert_eq!(named, ids::frame_id("user", "/srv/token=[secret:1]", 16));
        let (built, _) = stacks.push_frame(&place(Some("cafe")), 1);
        assert_eq!(built, ids::frame_id("user", "cafe", 16));
    }

    #[test]
    fn a_path_is_stored_once() {
        let base = 0xffff_ffff_8100_0000;
        let mut stacks = stacks(base);
        let raw = bytes(&[base + 0x110]);
        stacks.kernel(Stack(&raw), Origin::Called, 1);
        stacks.kernel(Stack(&raw), Origin::Called, 2);
        assert_eq!(stacks.stack_rows.len(), 1);
        assert!(stacks.kernel(Stack(&[]), Origin::Called, 3).is_none());
    }
}
