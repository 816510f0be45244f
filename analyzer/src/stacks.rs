//! Call paths by their id: frames and the names of their functions, over all
//! recordings. Ids are content-addressed, so the union of several recordings is
//! the union of their rows; a name that one recording knows serves all.

use std::collections::HashMap;
use std::path::Path;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use whence_schemas::read::Batches;
use whence_schemas::{TableDef, frame, stack, symbol};

use crate::Result;
use crate::recording::Recordings;

/// Number of a distinct function name in [`Stacks`].
pub type Function = u32;

/// All call paths of recordings.
#[derive(Debug, Default)]
pub struct Stacks {
    /// Functions root first, by stack.
    stacks: HashMap<i64, Stack>,
    functions: Names,
    by_frame: HashMap<i64, Vec<Function>>,
    unresolved: Vec<bool>,
}

#[derive(Debug)]
struct Stack {
    functions: Vec<Function>,
    truncated: bool,
}

impl Stacks {
    /// Reads them.
    ///
    /// # Errors
    /// If a segment turns out to be damaged.
    pub fn load(recordings: &Recordings) -> Result<Self> {
        let mut this = Self::default();
        this.read_symbols(recordings)?;
        this.read_frames(recordings)?;
        this.read_stacks(recordings)?;
        Ok(this)
    }

    /// The functions of a call path, root first; empty if it is not known.
    #[must_use]
    pub fn functions(&self, stack_id: i64) -> &[Function] {
        self.stacks
            .get(&stack_id)
            .map_or(&[], |stack| &stack.functions)
    }

    /// Whether the path goes on beyond its root.
    #[must_use]
    pub fn is_truncated(&self, stack_id: i64) -> bool {
        self.stacks.get(&stack_id).is_some_and(|s| s.truncated)
    }

    /// Name of a function.
    #[must_use]
    pub fn name(&self, function: Function) -> &str {
        self.functions.name(function)
    }

    /// The function of that name, if any call path has it.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<Function> {
        self.functions.find(name)
    }

    /// Whether a function is a place without a name.
    #[must_use]
    pub fn is_unresolved(&self, function: Function) -> bool {
        self.unresolved
            .get(function as usize)
            .copied()
            .unwrap_or(false)
    }

    /// All names of functions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.names.iter().map(String::as_str)
    }

    /// Number of a name, which need not be in any call path.
    pub fn intern(&mut self, name: &str) -> Function {
        self.functions.intern(name)
    }

    /// A call path as text, root first, separated by `;`.
    #[must_use]
    pub fn text(&self, stack_id: i64) -> Option<String> {
        let stack = self.stacks.get(&stack_id)?;
        let names: Vec<&str> = stack.functions.iter().map(|f| self.name(*f)).collect();
        let cut = if stack.truncated { "[truncated];" } else { "" };
        Some(format!("{cut}{}", names.join(";")))
    }

    fn read_symbols(&mut self, recordings: &Recordings) -> Result<()> {
        let mut named: HashMap<i64, Vec<(i32, Function)>> = HashMap::new();
        let columns = ["frame_id", "inline_depth", "function"];
        each(recordings, &symbol::DEF, &columns, |batch| {
            let frames = batch.column(0).as_primitive::<Int64Type>();
            let depths = batch.column(1).as_primitive::<Int32Type>();
            let names = batch.column(2).as_string::<i32>();
            for row in (0..batch.num_rows()).filter(|row| names.is_valid(*row)) {
                let function = self.functions.intern(names.value(row));
                let of_frame = named.entry(frames.value(row)).or_default();
                let depth = depths.value(row);
                // The same frame may be named by several recordings.
                if of_frame.iter().all(|(d, _)| *d != depth) {
                    of_frame.push((depth, function));
                }
            }
        })?;
        for (frame, mut functions) in named {
            functions.sort_unstable();
            let functions = functions.into_iter().map(|(_, f)| f).collect();
            self.by_frame.insert(frame, functions);
        }
        self.unresolved = vec![false; self.functions.names.len()];
        Ok(())
    }

    fn read_frames(&mut self, recordings: &Recordings) -> Result<()> {
        let columns = ["frame_id", "module", "offset", "address"];
        each(recordings, &frame::DEF, &columns, |batch| {
            let ids = batch.column(0).as_primitive::<Int64Type>();
            let modules = batch.column(1).as_string::<i32>();
            let offsets = batch.column(2).as_primitive::<Int64Type>();
            let addresses = batch.column(3).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let id = ids.value(row);
                if self.by_frame.contains_key(&id) {
                    continue;
                }
                let place = if modules.is_valid(row) && offsets.is_valid(row) {
                    let path = Path::new(modules.value(row));
                    let module = path.file_name().unwrap_or(path.as_os_str());
                    format!("{}+0x{:x}", module.to_string_lossy(), offsets.value(row))
                } else {
                    format!("0x{:x}", addresses.value(row))
                };
                let function = self.functions.intern(&place);
                if function as usize >= self.unresolved.len() {
                    self.unresolved.resize(function as usize + 1, true);
                }
                self.by_frame.insert(id, vec![function]);
            }
        })
    }

    fn read_stacks(&mut self, recordings: &Recordings) -> Result<()> {
        let unknown = self.functions.intern("[unknown]");
        self.unresolved.resize(self.functions.names.len(), true);
        let (stacks, by_frame) = (&mut self.stacks, &self.by_frame);
        let columns = ["stack_id", "frame_ids", "truncated"];
        each(recordings, &stack::DEF, &columns, |batch| {
            let ids = batch.column(0).as_primitive::<Int64Type>();
            let frames = batch.column(1).as_list::<i32>();
            let truncated = batch.column(2).as_boolean();
            for row in 0..batch.num_rows() {
                let of_stack = frames.value(row);
                let of_stack = of_stack.as_primitive::<Int64Type>().values();
                let mut functions = Vec::with_capacity(of_stack.len());
                for frame in of_stack.iter().rev() {
                    match by_frame.get(frame) {
                        Some(names) => functions.extend_from_slice(names),
                        None => functions.push(unknown),
                    }
                }
                let truncated = truncated.is_valid(row) && truncated.value(row);
                let stack = Stack {
                    functions,
                    truncated,
                };
                stacks.insert(ids.value(row), stack);
            }
        })
    }
}

/// Calls `visit` with each batch of a table.
fn each(
    recordings: &Recordings,
    def: &'static TableDef,
    columns: &[&str],
    mut visit: impl FnMut(&RecordBatch),
) -> Result<()> {
    for recording in recordings.all.iter() {
        for segment in recording.segments_of(def) {
            for batch in Batches::open(&segment.file.path, def, columns)? {
                visit(&batch?);
            }
        }
    }
    Ok(())
}

/// Distinct names, by number.
#[derive(Debug, Default)]
struct Names {
    names: Vec<String>,
    by_name: HashMap<String, Function>,
}

impl Names {
    fn intern(&mut self, name: &str) -> Function {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let function = self.names.len() as Function;
        self.names.push(name.to_owned());
        self.by_name.insert(name.to_owned(), function);
        function
    }

    fn find(&self, name: &str) -> Option<Function> {
        self.by_name.get(name).copied()
    }

    fn name(&self, function: Function) -> &str {
        self.names.get(function as usize).map_or("", String::as_str)
    }
}
