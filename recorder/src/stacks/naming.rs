//! When frames get their names: those of files for each segment and at the end, those
//! of code that programs make while these are there.

use std::rc::Rc;

use hashbrown::HashMap;
use whence_schemas::symbol;

use super::{Stacks, bounded};
use crate::modules::Module;
use crate::namer::Frame;

impl Stacks {
    /// Asks for names of the user frames that are new, and takes those that were
    /// found since; then lets go of their files.
    pub fn name_frames(&mut self) {
        let mut by_module: HashMap<*const Module, (Rc<Module>, Vec<Frame>)> = HashMap::new();
        for (module, frame) in self.unnamed.drain(..) {
            if frame.of_jit {
                let waiting = bounded(&mut self.unnamed_jit);
                waiting.insert(frame.frame_id, (Rc::clone(&module), frame));
            }
            let entry = by_module.entry(Rc::as_ptr(&module));
            entry.or_insert((module, Vec::new())).1.push(frame);
        }
        for (module, frames) in by_module.into_values() {
            if let Some(file) = module.file() {
                let waiting = self.namer.ask(file, frames);
                let waiting = waiting.into_iter().map(|f| (Rc::clone(&module), f));
                self.unnamed.extend(waiting);
            }
        }
        let found = self.namer.found();
        self.take_names(found);
        self.modules.close_files();
    }

    /// Asks for names of code that processes have made and that is new: who has made
    /// it may soon have gone, and its file with it.
    pub fn name_made(&mut self) {
        if self.unnamed.iter().any(|(_, frame)| frame.of_jit) {
            self.name_frames();
        }
    }

    /// Asks once more for names of such code: they may have been told since.
    pub fn ask_again(&mut self) {
        let made = self.unnamed_jit.drain().map(|(_, frame)| frame);
        self.unnamed.extend(made);
    }

    /// Waits for the names of all frames.
    pub fn finish_naming(&mut self) {
        self.wait_for_names();
        self.ask_again();
        self.wait_for_names();
    }

    fn wait_for_names(&mut self) {
        loop {
            self.name_frames();
            let found = self.namer.wait();
            if found.is_empty() {
                return;
            }
            self.take_names(found);
        }
    }

    /// Frames that have no name since too many were new at a time.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    fn take_names(&mut self, found: Vec<(Frame, Option<String>)>) {
        for (frame, function) in found {
            if let Some(function) = function {
                push_name(&mut self.symbol_rows, &frame, &function);
                self.unnamed_jit.remove(&frame.frame_id);
                bounded(&mut self.names).insert(frame.frame_id, function);
            }
        }
    }
}

pub(super) fn push_name(rows: &mut symbol::Builder, frame: &Frame, function: &str) {
    rows.push(symbol::Row {
        frame_id: frame.frame_id,
        inline_depth: 0,
        function,
        file: None,
        line: None,
        source: if frame.of_jit { "perf-map" } else { "elf" },
        first_ns: frame.first_ns,
    });
}
