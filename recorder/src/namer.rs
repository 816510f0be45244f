//! Names user functions from the symbol tables of their files, on a thread of its
//! own: a large file takes seconds, and recording must not wait for it.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{Input, Symbolizer};
use crossbeam_channel::{Receiver, Sender};
use object::read::{Object as _, ObjectSection as _, ReadCache};

use crate::privilege;

/// A frame that waits for its name.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Its id.
    pub frame_id: i64,
    /// Where it is in the file.
    pub offset: u64,
    /// When it was first seen.
    pub first_ns: i64,
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
    requests: Option<Sender<Request>>,
    names: Receiver<(Frame, String)>,
    thread: Option<JoinHandle<()>>,
}

impl Namer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn start() -> anyhow::Result<Self> {
        // Neither is bounded by number: what waits are the frames of one
        // segment, each of which is asked for once.
        let (requests, waiting) = crossbeam_channel::unbounded::<Request>();
        let (named, names) = crossbeam_channel::unbounded();
        let work = move || {
            // It reads files of strangers, with parsers of others.
            let _ = privilege::drop_capabilities(privilege::kept(false, false));
            for request in waiting {
                for (frame, name) in request.frames.iter().zip(names_of(&request)) {
                    if let Some(name) = name {
                        let _ = named.send((*frame, name));
                    }
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("whence-namer".into())
            .spawn(work)
            .context("failed to start the thread that names functions")?;
        Ok(Self {
            requests: Some(requests),
            names,
            thread: Some(thread),
        })
    }

    /// Asks for the names of frames of a file.
    pub fn ask(&self, file: Arc<File>, frames: Vec<Frame>) {
        if let Some(requests) = &self.requests {
            let _ = requests.send(Request { file, frames });
        }
    }

    /// The names that were found since.
    pub fn found(&self) -> impl Iterator<Item = (Frame, String)> {
        self.names.try_iter()
    }

    /// Waits until all is named that was asked for.
    pub fn finish(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The same as [`functions`], of a file that may be made to break its reader: a
/// panic in it is the file's, and names of others go on.
fn names_of(request: &Request) -> Vec<Option<String>> {
    let none = || vec![None; request.frames.len()];
    if !is_plain(&request.file) {
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
        };
        let mut namer = Namer::start().unwrap();
        namer.ask(mapping.module.file().unwrap(), vec![frame]);
        namer.finish();
        let (named, name) = namer.found().next().unwrap();
        assert_eq!(named.frame_id, 7);
        assert!(name.contains("an_own_address_is_named"), "{name}");
    }
}
