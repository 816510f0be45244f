//! Names user functions from the symbol tables of their files, or from what has made
//! them, on a thread of its own: a large file takes seconds, and recording must not
//! wait for it. What waits for the thread, or was named and not fetched, is bounded;
//! what finds no room is given back to who asks.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::Context as _;
use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Symbolizer};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use object::read::{Object as _, ObjectSection as _, ReadCache};

use crate::{jit, privilege};

/// Frames that may be under way, some 100 bytes each once they are named.
pub const MOST_FRAMES: usize = 1 << 16;
/// Files that may be under way: each is open.
const MOST_FILES: usize = 64;

/// A frame that waits for its name.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Its id.
    pub frame_id: i64,
    /// Where it is in the file.
    pub offset: u64,
    /// When it was first seen.
    pub first_ns: i64,
    /// Whether its process has made the code: the file has names only.
    pub of_jit: bool,
}

/// Frames of one file.
#[derive(Debug)]
struct Request {
    file: Arc<File>,
    frames: Vec<Frame>,
}

/// The thread, and what it has named so far.
#[derive(Debug)]
pub struct Namer {
    requests: Sender<Request>,
    names: Receiver<(Frame, Option<String>)>,
    /// Frames that were asked for and whose answer was not fetched.
    under_way: usize,
}

impl Namer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn start() -> anyhow::Result<Self> {
        let (requests, waiting) = crossbeam_channel::bounded::<Request>(MOST_FILES);
        // Bounded by what may be under way.
        let (named, names) = crossbeam_channel::unbounded();
        let work = move || {
            // It reads files of strangers, with parsers of others.
            let _ = privilege::drop_capabilities(privilege::kept(false, false));
            for request in waiting {
                for (frame, name) in request.frames.iter().zip(names_of(&request)) {
                    if named.send((*frame, name)).is_err() {
                        return;
                    }
                }
            }
        };
        std::thread::Builder::new()
            .name("whence-namer".into())
            .spawn(work)
            .context("failed to start the thread that names functions")?;
        Ok(Self {
            requests,
            names,
            under_way: 0,
        })
    }

    /// Asks for the names of frames of a file; gives them back if too much is under
    /// way already.
    pub fn ask(&mut self, file: Arc<File>, frames: Vec<Frame>) -> Vec<Frame> {
        let count = frames.len();
        if self.under_way + count > MOST_FRAMES {
            return frames;
        }
        match self.requests.try_send(Request { file, frames }) {
            Ok(()) => {
                self.under_way += count;
                Vec::new()
            }
            Err(TrySendError::Full(r) | TrySendError::Disconnected(r)) => r.frames,
        }
    }

    /// The frames that were looked up since, those that have a name with it.
    pub fn found(&mut self) -> Vec<(Frame, Option<String>)> {
        let found: Vec<_> = self.names.try_iter().collect();
        self.under_way -= found.len();
        found
    }

    /// Waits until at least one frame more was looked up, and gives all that were;
    /// none if none is under way.
    pub fn wait(&mut self) -> Vec<(Frame, Option<String>)> {
        if self.under_way == 0 {
            return Vec::new();
        }
        let first = self.names.recv().ok();
        // If the thread has died, nothing more will come.
        self.under_way = match first {
            Some(_) => self.under_way - 1,
            None => 0,
        };
        first.into_iter().chain(self.found()).collect()
    }
}

/// The same as [`functions`], of a file that may be made to break its reader: a
/// panic in it is the file's, and names of others go on.
fn names_of(request: &Request) -> Vec<Option<String>> {
    let none = || vec![None; request.frames.len()];
    let of_jit = request.frames.first().is_some_and(|frame| frame.of_jit);
    if !of_jit && !is_plain(&request.file) {
        return none();
    }
    catch_unwind(AssertUnwindSafe(|| functions(request))).unwrap_or_else(|_| none())
}

/// Whether no section is compressed but those for debuggers, which are not read.
/// A few bytes of such a section can claim any size, and memory would be taken
/// for it.
fn is_plain(file: &File) -> bool {
    let cache = ReadCache::new(file);
    let Ok(elf) = object::File::parse(&cache) else {
        return false;
    };
    elf.sections().all(|section| {
        let is_debug = section.name().is_ok_and(|name| name.starts_with(".debug_"));
        let stored = section.compressed_file_range();
        is_debug || stored.is_ok_and(|range| range.compressed_size == range.uncompressed_size)
    })
}

/// The names of the functions at these places of a file, as far as they have any.
fn functions(request: &Request) -> Vec<Option<String>> {
    let offsets: Vec<u64> = request.frames.iter().map(|f| f.offset).collect();
    if request.frames.first().is_some_and(|frame| frame.of_jit) {
        return jit::functions(&request.file, &offsets);
    }
    let mut elf = Elf::new(format!("/proc/self/fd/{}", request.file.as_raw_fd()));
    // Symbol tables only: names are the same, at a hundredth of the memory.
    elf.debug_syms = false;
    // One per file: its caches would grow with each program that ever ran.
    let symbolizer = Symbolizer::builder()
        .enable_code_info(false)
        .enable_inlined_fns(false)
        .build();
    match symbolizer.symbolize(&Source::Elf(elf), Input::FileOffset(&offsets)) {
        Ok(symbols) => symbols
            .iter()
            .map(|s| s.as_sym().map(|sym| sym.name.to_string()))
            .collect(),
        Err(_) => vec![None; offsets.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Modules;

    /// An address in this very test must be named after the function it lies in.
    #[test]
    fn an_own_address_is_named() {
        let mappings = Modules::default()
            .mappings(std::process::id(), None)
            .unwrap();
        let address = an_own_address_is_named as *const () as u64;
        let mapping = mappings
            .iter()
            .find(|m| (m.start..m.end).contains(&address))
            .unwrap();
        let frame = Frame {
            frame_id: 7,
            offset: address - mapping.start + mapping.offset,
            first_ns: 0,
            of_jit: false,
        };
        let mut namer = Namer::start().unwrap();
        let file = mapping.module.file().unwrap();
        assert!(namer.ask(Arc::clone(&file), vec![frame]).is_empty());
        let (named, name) = namer.wait().pop().unwrap();
        assert_eq!(named.frame_id, 7);
        let name = name.unwrap();
        assert!(name.contains("an_own_address_is_named"), "{name}");
        assert!(namer.wait().is_empty());
    }

    /// However much is asked for, no more than that waits in memory.
    #[test]
    fn what_finds_no_room_is_given_back() {
        let file = Arc::new(File::open("/proc/self/exe").unwrap());
        let mut namer = Namer::start().unwrap();
        let frame = Frame {
            frame_id: 7,
            offset: 0,
            first_ns: 0,
            of_jit: false,
        };
        let many = vec![frame; MOST_FRAMES];
        assert!(namer.ask(Arc::clone(&file), many).is_empty());
        assert_eq!(namer.ask(Arc::clone(&file), vec![frame]).len(), 1);
        while namer.under_way > 0 {
            namer.wait();
        }
        assert!(namer.ask(file, vec![frame]).is_empty());
    }
}
