//! Call paths by their id: frames and the names of their functions, over all
//! recordings. Ids are content-addressed, so the union of several recordings is
//! the union of their rows; a name that one recording knows serves all.

use std::path::Path;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::{HashMap, HashSet};
use whence_schemas::read::{Batches, Texts};
use whence_schemas::{TableDef, frame, stack, symbol};

use crate::Result;
use crate::names::Names;
use crate::recording::{Recording, Recordings};
use crate::scan;

/// Number of a distinct function name in [`Stacks`].
pub type Function = u32;

/// All call paths of recordings.
#[derive(Debug, Default)]
pub struct Stacks {
    /// Number of a call path, by its id.
    numbers: HashMap<i64, u32>,
    paths: Paths,
    functions: Names,
    by_frame: HashMap<i64, Vec<Function>>,
    unresolved: Vec<bool>,
    /// What all of this takes.
    memory: Option<MemoryReservation>,
}

/// Call paths one after the other, by number.
#[derive(Debug, Default)]
struct Paths {
    ids: Vec<i64>,
    truncated: Vec<bool>,
    /// Where the functions of each end.
    ends: Vec<usize>,
    /// Root first.
    functions: Vec<Function>,
}

impl Paths {
    fn of(&self, number: u32) -> &[Function] {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.functions[start..self.ends[number]]
    }

    fn bytes(&self) -> usize {
        self.ids.capacity() * 8
            + self.truncated.capacity()
            + self.ends.capacity() * 8
            + self.functions.capacity() * 4
    }

    fn append(&mut self, mut other: Self) {
        let before = self.functions.len();
        self.ids.append(&mut other.ids);
        self.truncated.append(&mut other.truncated);
        self.ends.extend(other.ends.iter().map(|end| end + before));
        self.functions.append(&mut other.functions);
    }
}

impl Stacks {
    /// Reads them.
    ///
    /// # Errors
    /// If a segment turns out to be damaged.
    pub fn load(recordings: &Recordings) -> Result<Self> {
        let mut this = Self::empty(recordings);
        this.read_symbols(recordings, |_| true)?;
        this.read_frames(recordings, |_| true)?;
        this.read_stacks(recordings)?;
        Ok(this)
    }

    /// Reads only those with these ids.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_some(recordings: &Recordings, ids: &HashSet<i64>) -> Result<Self> {
        let mut this = Self::empty(recordings);
        let mut chosen = Vec::new();
        each(recordings, &stack::DEF, &COLUMNS, |batch| {
            let of_batch = batch.column(0).as_primitive::<Int64Type>();
            let is_chosen = of_batch.iter().map(|id| Some(ids.contains(&id?)));
            chosen.push(filter_record_batch(batch, &is_chosen.collect())?);
            Ok(())
        })?;
        let frames: HashSet<i64> = chosen.iter().flat_map(frames).collect();
        this.read_symbols(recordings, |frame| frames.contains(&frame))?;
        this.read_frames(recordings, |frame| frames.contains(&frame))?;
        let unknown = this.unknown();
        for batch in &chosen {
            add_paths(&mut this.paths, batch, &this.by_frame, unknown);
        }
        this.number_paths();
        Ok(this)
    }

    fn empty(recordings: &Recordings) -> Self {
        Self {
            memory: Some(recordings.reserve("call paths")),
            ..Self::default()
        }
    }

    /// The functions of a call path, root first; empty if it is not known.
    #[must_use]
    pub fn functions(&self, stack_id: i64) -> &[Function] {
        match self.numbers.get(&stack_id) {
            Some(number) => self.paths.of(*number),
            None => &[],
        }
    }

    /// Whether the path goes on beyond its root.
    #[must_use]
    pub fn is_truncated(&self, stack_id: i64) -> bool {
        let number = self.numbers.get(&stack_id);
        number.is_some_and(|number| self.paths.truncated[*number as usize])
    }

    /// The ids of the call paths through a function.
    pub fn through(&self, function: Function) -> impl Iterator<Item = i64> {
        let numbers = 0..self.paths.ids.len() as u32;
        let passing = numbers.filter(move |number| self.paths.of(*number).contains(&function));
        passing.map(|number| self.paths.ids[number as usize])
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
        self.functions.iter()
    }

    /// Number of a name, which need not be in any call path.
    pub fn intern(&mut self, name: &str) -> Function {
        self.functions.intern(name)
    }

    /// A call path as text, root first, separated by `;`.
    #[must_use]
    pub fn text(&self, stack_id: i64) -> Option<String> {
        let number = *self.numbers.get(&stack_id)?;
        let functions = self.paths.of(number).iter();
        let names: Vec<&str> = functions.map(|f| self.name(*f)).collect();
        let is_cut = self.paths.truncated[number as usize];
        let cut = if is_cut { "[truncated];" } else { "" };
        Some(format!("{cut}{}", names.join(";")))
    }

    fn read_symbols(
        &mut self,
        recordings: &Recordings,
        is_wanted: impl Fn(i64) -> bool,
    ) -> Result<()> {
        let mut named: HashMap<i64, Vec<(i32, Function)>> = HashMap::new();
        let columns = ["frame_id", "inline_depth", "function"];
        each(recordings, &symbol::DEF, &columns, |batch| {
            let frames = batch.column(0).as_primitive::<Int64Type>();
            let depths = batch.column(1).as_primitive::<Int32Type>();
            let names = batch.column(2).as_string::<i32>();
            let rows = 0..batch.num_rows();
            let is_wanted = |row: &usize| names.is_valid(*row) && is_wanted(frames.value(*row));
            for row in rows.filter(is_wanted) {
                let function = self.functions.intern(names.value(row));
                let of_frame = named.entry(frames.value(row)).or_default();
                let depth = depths.value(row);
                // The same frame may be named by several recordings.
                if of_frame.iter().all(|(d, _)| *d != depth) {
                    of_frame.push((depth, function));
                }
            }
            Ok(())
        })?;
        for (frame, mut functions) in named {
            functions.sort_unstable();
            let functions = functions.into_iter().map(|(_, f)| f).collect();
            self.by_frame.insert(frame, functions);
        }
        self.unresolved = vec![false; self.functions.len()];
        Ok(())
    }

    fn read_frames(
        &mut self,
        recordings: &Recordings,
        is_wanted: impl Fn(i64) -> bool,
    ) -> Result<()> {
        let columns = ["frame_id", "module", "offset", "address"];
        each(recordings, &frame::DEF, &columns, |batch| {
            let ids = batch.column(0).as_primitive::<Int64Type>();
            let modules = batch.column(1).as_string::<i32>();
            let offsets = batch.column(2).as_primitive::<Int64Type>();
            let addresses = batch.column(3).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let id = ids.value(row);
                if self.by_frame.contains_key(&id) || !is_wanted(id) {
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
            Ok(())
        })
    }

    /// The function of frames that no table knows.
    fn unknown(&mut self) -> Function {
        let unknown = self.functions.intern("[unknown]");
        self.unresolved.resize(self.functions.len(), true);
        unknown
    }

    fn read_stacks(&mut self, recordings: &Recordings) -> Result<()> {
        let unknown = self.unknown();
        let by_frame = &self.by_frame;
        let all: Vec<&Recording> = recordings.all.iter().collect();
        let read = scan::rows(
            &all,
            &stack::DEF,
            &COLUMNS,
            Texts::Values,
            || (Vec::new(), recordings.reserve("call paths")),
            |(read, memory): &mut (Vec<_>, MemoryReservation), place, batch| {
                let mut paths = Paths::default();
                add_paths(&mut paths, &batch, by_frame, unknown);
                memory.try_grow(paths.bytes())?;
                read.push((place, paths));
                Ok(())
            },
        )?;
        let (mut read, _held): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        let mut read: Vec<_> = read.drain(..).flatten().collect();
        // Threads come to an end in any order; the numbers should not.
        read.sort_unstable_by_key(|(place, _)| *place);
        let count = read.iter().map(|(_, paths)| paths.ids.len()).sum();
        let functions = read.iter().map(|(_, paths)| paths.functions.len()).sum();
        if let Some(memory) = &self.memory {
            memory.try_grow(functions * 4 + count * 40)?;
        }
        self.paths.functions.reserve_exact(functions);
        self.paths.ids.reserve_exact(count);
        for (_, paths) in read {
            self.paths.append(paths);
        }
        self.number_paths();
        Ok(())
    }

    fn number_paths(&mut self) {
        self.numbers.reserve(self.paths.ids.len());
        for (number, id) in self.paths.ids.iter().enumerate() {
            self.numbers.insert(*id, number as u32);
        }
    }
}

/// Columns of a call path.
const COLUMNS: [&str; 3] = ["stack_id", "frame_ids", "truncated"];

/// The frames of the call paths of a batch.
fn frames(batch: &RecordBatch) -> Vec<i64> {
    let of_stacks = batch.column(1).as_list::<i32>();
    let ends = of_stacks.value_offsets();
    let all = of_stacks.values().as_primitive::<Int64Type>().values();
    let used = ends.first().zip(ends.last());
    used.map_or_else(Vec::new, |(first, last)| {
        all[*first as usize..*last as usize].to_vec()
    })
}

/// Adds the call paths of a batch of table `stack`.
fn add_paths(
    paths: &mut Paths,
    batch: &RecordBatch,
    by_frame: &HashMap<i64, Vec<Function>>,
    unknown: Function,
) {
    let ids = batch.column(0).as_primitive::<Int64Type>();
    let frames = batch.column(1).as_list::<i32>();
    let truncated = batch.column(2).as_boolean();
    let all = frames.values().as_primitive::<Int64Type>().values();
    paths.functions.reserve(all.len());
    for row in 0..batch.num_rows() {
        let ends = frames.value_offsets();
        let of_stack = &all[ends[row] as usize..ends[row + 1] as usize];
        for frame in of_stack.iter().rev() {
            match by_frame.get(frame).map(Vec::as_slice) {
                // Nearly always: nothing is inlined.
                Some([name]) => paths.functions.push(*name),
                Some(names) => paths.functions.extend_from_slice(names),
                None => paths.functions.push(unknown),
            }
        }
        paths.ids.push(ids.value(row));
        paths.ends.push(paths.functions.len());
        let truncated = truncated.is_valid(row) && truncated.value(row);
        paths.truncated.push(truncated);
    }
}

/// Calls `visit` with each batch of a table.
fn each(
    recordings: &Recordings,
    def: &'static TableDef,
    columns: &[&str],
    mut visit: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    for recording in recordings.all.iter() {
        for segment in recording.segments_of(def) {
            for batch in Batches::open(&segment.file.path, def, columns)? {
                visit(&batch?)?;
            }
        }
    }
    Ok(())
}
