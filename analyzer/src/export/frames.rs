//! Frames of call paths with all that is known of them: module, build-id,
//! offset, and the functions with file and line.

use std::collections::HashMap;
use std::path::Path;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use futures::TryStreamExt as _;
use whence_schemas::quote::printable;

use crate::Result;
use crate::session::Session;

/// Number of a text in [`Frames`].
pub type Text = u32;

/// A function at a place: several where calls were inlined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its name, or the place if it has none.
    pub function: Text,
    /// Source file.
    pub file: Option<Text>,
    /// Line in it, 0 if not known.
    pub line: u32,
}

/// A place in code.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// Whether it is code of the kernel.
    pub is_kernel: bool,
    /// Path of the file, or name of the kernel's module.
    pub module: Option<Text>,
    /// Its build-id, hexadecimal digits.
    pub build_id: Option<Text>,
    /// Offset in the module, else the address.
    pub offset: u64,
    /// Functions, the outermost first; at least one.
    pub lines: Vec<Line>,
}

#[derive(Debug, Default)]
struct Stack {
    /// Leaf first.
    frames: Box<[u32]>,
    truncated: bool,
}

/// All call paths of recordings.
#[derive(Debug, Default)]
pub struct Frames {
    texts: Vec<String>,
    by_text: HashMap<String, Text>,
    frames: Vec<Frame>,
    by_id: HashMap<i64, u32>,
    stacks: HashMap<i64, Stack>,
}

/// Stands for a frame that is in no table.
const UNKNOWN: u32 = 0;
/// Stands above the root of a path that goes on beyond what was recorded.
const TRUNCATED: u32 = 1;

impl Frames {
    /// Reads them.
    ///
    /// # Errors
    /// What reading gives.
    pub async fn load(session: &Session) -> Result<Self> {
        let mut this = Self::default();
        for label in ["[unknown]", "[truncated]"] {
            let function = this.intern(label);
            this.frames.push(Frame {
                lines: vec![Line::named(function)],
                ..Frame::default()
            });
        }
        let mut named = HashMap::new();
        let sql = "SELECT frame_id, inline_depth, function, file, line FROM symbol";
        each(session, sql, |batch| this.read_symbols(&mut named, batch)).await?;
        let sql = "SELECT frame_id, kind, module, build_id, \"offset\", address FROM frame";
        each(session, sql, |batch| this.read_frames(&mut named, batch)).await?;
        let sql = "SELECT stack_id, frame_ids, truncated FROM stack";
        each(session, sql, |batch| this.read_stacks(batch)).await?;
        Ok(this)
    }

    /// A text.
    #[must_use]
    pub fn text(&self, text: Text) -> &str {
        self.texts.get(text as usize).map_or("", String::as_str)
    }

    /// A frame.
    #[must_use]
    pub fn frame(&self, frame: u32) -> &Frame {
        &self.frames[frame as usize]
    }

    /// How many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The frames of a call path, root first: the program's, then the kernel's.
    #[must_use]
    pub fn path(&self, user: Option<i64>, kernel: Option<i64>) -> Vec<u32> {
        let mut path = Vec::new();
        for part in [user, kernel].into_iter().flatten() {
            let Some(stack) = self.stacks.get(&part) else {
                path.push(UNKNOWN);
                continue;
            };
            if stack.truncated {
                path.push(TRUNCATED);
            }
            path.extend(stack.frames.iter().rev());
        }
        path
    }

    /// The lines of a call path, root first.
    pub fn lines(&self, user: Option<i64>, kernel: Option<i64>) -> impl Iterator<Item = Line> {
        let path = self.path(user, kernel);
        path.into_iter()
            .flat_map(|frame| self.frame(frame).lines.iter().copied())
    }

    /// Number of a text, made printable.
    fn intern(&mut self, text: &str) -> Text {
        let text = printable(text);
        if let Some(known) = self.by_text.get(text.as_ref()) {
            return *known;
        }
        let number = self.texts.len() as Text;
        self.texts.push(text.clone().into_owned());
        self.by_text.insert(text.into_owned(), number);
        number
    }

    fn read_symbols(&mut self, named: &mut Named, batch: &RecordBatch) {
        let frames = batch.column(0).as_primitive::<Int64Type>();
        let depths = batch.column(1).as_primitive::<Int32Type>();
        let functions = batch.column(2).as_string::<i32>();
        let files = batch.column(3).as_string::<i32>();
        let lines = batch.column(4).as_primitive::<Int32Type>();
        for row in (0..batch.num_rows()).filter(|row| functions.is_valid(*row)) {
            let line = Line {
                function: self.intern(functions.value(row)),
                file: files.is_valid(row).then(|| self.intern(files.value(row))),
                line: match lines.is_valid(row) {
                    true => u32::try_from(lines.value(row)).unwrap_or(0),
                    false => 0,
                },
            };
            let depth = depths.value(row);
            let of_frame = named.entry(frames.value(row)).or_default();
            // The same frame may be named by several recordings.
            if of_frame.iter().all(|(d, _)| *d != depth) {
                of_frame.push((depth, line));
            }
        }
    }

    fn read_frames(&mut self, named: &mut Named, batch: &RecordBatch) {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let text = |column: usize, row: usize| {
            let column = batch.column(column).as_string::<i32>();
            column.is_valid(row).then(|| column.value(row))
        };
        let offsets = batch.column(4).as_primitive::<Int64Type>();
        let addresses = batch.column(5).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let id = ids.value(row);
            if self.by_id.contains_key(&id) {
                continue;
            }
            let offset = offsets.is_valid(row).then(|| offsets.value(row));
            let mut lines = named.remove(&id).unwrap_or_default();
            lines.sort_unstable_by_key(|(depth, _)| *depth);
            let mut lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).collect();
            if lines.is_empty() {
                let place = place_name(text(2, row), offset, addresses.value(row));
                lines.push(Line::named(self.intern(&place)));
            }
            let frame = Frame {
                is_kernel: text(1, row) == Some("kernel"),
                module: text(2, row).map(|module| self.intern(module)),
                build_id: text(3, row).map(|id| self.intern(id)),
                offset: offset.unwrap_or(addresses.value(row)).cast_unsigned(),
                lines,
            };
            self.by_id.insert(id, self.frames.len() as u32);
            self.frames.push(frame);
        }
    }

    fn read_stacks(&mut self, batch: &RecordBatch) {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let frames = batch.column(1).as_list::<i32>();
        let truncated = batch.column(2).as_boolean();
        for row in (0..batch.num_rows()).filter(|row| frames.is_valid(*row)) {
            let of_stack = frames.value(row);
            let of_stack = of_stack.as_primitive::<Int64Type>().values();
            let known = |id: &i64| self.by_id.get(id).copied().unwrap_or(UNKNOWN);
            let stack = Stack {
                frames: of_stack.iter().map(known).collect(),
                truncated: truncated.is_valid(row) && truncated.value(row),
            };
            self.stacks.insert(ids.value(row), stack);
        }
    }
}

/// Lines of frames with their depth.
type Named = HashMap<i64, Vec<(i32, Line)>>;

impl Line {
    fn named(function: Text) -> Self {
        Self {
            function,
            file: None,
            line: 0,
        }
    }
}

/// What a frame without a symbol is called: module and offset, else its address.
fn place_name(module: Option<&str>, offset: Option<i64>, address: i64) -> String {
    let (Some(module), Some(offset)) = (module, offset) else {
        return format!("0x{address:x}");
    };
    let name = Path::new(module).file_name().and_then(|name| name.to_str());
    format!("{}+0x{offset:x}", name.unwrap_or(module))
}

/// Calls `visit` with each batch of an answer.
async fn each(session: &Session, sql: &str, mut visit: impl FnMut(&RecordBatch)) -> Result<()> {
    let mut batches = session.frame(sql, vec![]).await?.execute_stream().await?;
    while let Some(batch) = batches.try_next().await? {
        visit(&batch);
    }
    Ok(())
}
