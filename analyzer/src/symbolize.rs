//! Adds to a recording what debug files know of its user frames: functions,
//! functions inlined there, source files and lines.
//!
//! Debug files are found in folders that the user names, never elsewhere on
//! this host, and are used only if their build-id is that of the frame's
//! module. Rows of table `symbol` that become better are replaced: the table is
//! written anew as one segment, and `recording.json` names it in the same step
//! in which it lets go of the old ones.

mod debug_file;
mod layout;
mod table;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolizer};
use futures::TryStreamExt as _;

use crate::Result;
use crate::recording::Recording;
use crate::session::Session;
use debug_file::{DebugFile, Search};

/// A frame that may be named better.
#[derive(Clone, Copy, Debug)]
struct Frame {
    frame_id: i64,
    /// In the module's file.
    offset: u64,
    first_ns: i64,
}

/// A function at a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    name: String,
    file: Option<String>,
    line: Option<i32>,
}

/// What became of the frames of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Path of the module on the host that was recorded.
    pub module: String,
    /// Its build-id; without one, no debug file can be told to be its own.
    pub build_id: Option<String>,
    /// Its frames.
    pub frames: usize,
    /// Those that were named from the debug file.
    pub named: usize,
    /// Those of them with file and line.
    pub lines: usize,
    /// The debug file that was used.
    pub debug_file: Option<PathBuf>,
    /// Why none was, or why one was refused.
    pub reason: Option<String>,
}

/// Names the frames of a recording from debug files in `dirs`, and stores the
/// names in it.
///
/// # Errors
/// [`crate::Error::Usage`] for a recording that is not finished; what reading and
/// writing give.
pub async fn symbolize(
    session: &Session,
    recording: &Recording,
    dirs: &[PathBuf],
) -> Result<Vec<Outcome>> {
    table::check(recording)?;
    let search = Search::new(dirs);
    let mut found = Vec::new();
    let mut outcomes = Vec::new();
    for ((module, build_id), frames) in modules(session).await? {
        let mut outcome = Outcome {
            frames: frames.len(),
            module,
            build_id,
            ..Outcome::default()
        };
        let Some(build_id) = &outcome.build_id else {
            outcome.reason = Some("the module has no build-id".into());
            outcomes.push(outcome);
            continue;
        };
        match search.find(&outcome.module, build_id) {
            Ok(file) => {
                let named = functions(&file, &search, &frames);
                let named: Vec<(Frame, Vec<Function>)> = frames
                    .into_iter()
                    .zip(named)
                    .filter(|(_, functions)| !functions.is_empty())
                    .collect();
                outcome.named = named.len();
                let has_line = |f: &[Function]| f.iter().any(|f| f.line.is_some());
                outcome.lines = named.iter().filter(|(_, f)| has_line(f)).count();
                if named.is_empty() {
                    outcome.reason = Some("it names none of the frames".into());
                }
                outcome.debug_file = Some(file.path);
                found.extend(named);
            }
            Err(reason) => outcome.reason = Some(reason),
        }
        outcomes.push(outcome);
    }
    if !found.is_empty() {
        table::replace(session, recording, &found).await?;
    }
    outcomes.sort_by(|a, b| b.frames.cmp(&a.frames).then(a.module.cmp(&b.module)));
    Ok(outcomes)
}

/// A module's path and build-id.
type Module = (String, Option<String>);

/// User frames by module.
async fn modules(session: &Session) -> Result<BTreeMap<Module, Vec<Frame>>> {
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::Int64Type;
    let sql = "SELECT module, build_id, frame_id, \"offset\", min(first_ns) FROM frame \
               WHERE kind = 'user' AND module IS NOT NULL AND \"offset\" IS NOT NULL \
               GROUP BY module, build_id, frame_id, \"offset\" ORDER BY frame_id";
    let mut modules: BTreeMap<Module, Vec<Frame>> = BTreeMap::new();
    let mut batches = session.frame(sql, vec![]).await?.execute_stream().await?;
    while let Some(batch) = batches.try_next().await? {
        let text = |column: usize, row: usize| {
            let column = batch.column(column).as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let int = |column: usize| batch.column(column).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let key = (text(0, row).unwrap_or_default(), text(1, row));
            modules.entry(key).or_default().push(Frame {
                frame_id: int(2).value(row),
                offset: int(3).value(row).cast_unsigned(),
                first_ns: int(4).value(row),
            });
        }
    }
    Ok(modules)
}

/// The functions at each frame, the outermost first; none where the file knows
/// none.
fn functions(file: &DebugFile, search: &Search, frames: &[Frame]) -> Vec<Vec<Function>> {
    // Outside of every segment there is no code.
    let address = |frame: &Frame| file.layout.address(frame.offset).unwrap_or(0);
    let addresses: Vec<u64> = frames.iter().map(address).collect();
    // A panic in a decoder is a defect of the file, as everywhere.
    let work = AssertUnwindSafe(|| symbolized(file, search, &addresses));
    catch_unwind(work).unwrap_or_else(|_| vec![Vec::new(); frames.len()])
}

fn symbolized(file: &DebugFile, search: &Search, addresses: &[u64]) -> Vec<Vec<Function>> {
    let symbolizer = Symbolizer::builder()
        .enable_code_info(true)
        .enable_inlined_fns(true)
        .enable_demangling(true)
        // A link in the file leads to where the user said, not to this host's.
        .set_debug_dirs(Some(search.roots()))
        .build();
    let source = Source::Elf(Elf::new(&file.path));
    match symbolizer.symbolize(&source, Input::VirtOffset(addresses)) {
        Ok(symbols) => symbols
            .iter()
            .zip(addresses)
            .map(|(symbol, address)| match symbol.as_sym() {
                Some(symbol) if *address > 0 => at_frame(symbol),
                _ => Vec::new(),
            })
            .collect(),
        Err(_) => vec![Vec::new(); addresses.len()],
    }
}

fn at_frame(symbol: &Sym<'_>) -> Vec<Function> {
    if symbol.name.is_empty() {
        return Vec::new();
    }
    let outermost = function(&symbol.name, symbol.code_info.as_deref());
    let inlined = symbol.inlined.iter();
    let inlined = inlined.map(|f| function(&f.name, f.code_info.as_ref()));
    std::iter::once(outermost).chain(inlined).collect()
}

fn function(name: &str, code: Option<&CodeInfo<'_>>) -> Function {
    Function {
        name: name.to_owned(),
        file: code.map(|code| code.to_path().display().to_string()),
        line: code.and_then(|code| i32::try_from(code.line?).ok()),
    }
}
