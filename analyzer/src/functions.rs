//! What whence adds to SQL: functions of rows ([`SCALAR_FUNCTIONS`]) and of
//! whole recordings ([`TABLE_FUNCTIONS`]). `docs/sql.md` describes each.

mod call_paths;
mod call_tree;
mod scalar;
mod trees;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;

use crate::forest::{Column, Forest, Forests};
use crate::recording::Recordings;
use crate::stacks::Stacks;

pub use call_paths::rows as call_path_rows;

/// Functions that stand in FROM.
pub const TABLE_FUNCTIONS: &[&str] = &[
    "ancestors",
    "call_paths",
    "call_tree",
    "descendants",
    "process_tree",
];

/// Functions of one row.
pub const SCALAR_FUNCTIONS: &[&str] = &[
    "basename",
    "boot_ns",
    "chain_text",
    "cmdline",
    "errno_name",
    "format_bytes",
    "format_duration",
    "signal_name",
    "stack_functions",
    "stack_text",
    "systemd_unit",
    "time_bucket",
    "wall_time",
];

/// What functions have to say beside their rows.
#[derive(Clone, Debug)]
pub struct Notes(Arc<Shared>);

impl Notes {
    /// Takes what was said since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        let mut notes = self.0.notes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut notes)
    }
}

/// Makes the functions known to a session.
///
/// # Errors
/// Never, but for a broken engine.
pub fn register(context: &SessionContext, recordings: &Recordings) -> Result<Notes> {
    let shared = Arc::new(Shared {
        recordings: recordings.clone(),
        forests: Mutex::new(None),
        stacks: OnceLock::new(),
        notes: Mutex::new(Vec::new()),
    });
    for function in scalar::all(&shared) {
        context.register_udf(function);
    }
    for walk in trees::Walk::ALL {
        let function = trees::TreeFunction::new(walk, Arc::clone(&shared));
        context.register_udtf(walk.name(), Arc::new(function));
    }
    let paths = call_paths::CallPaths::new(Arc::clone(&shared));
    context.register_udtf("call_paths", Arc::new(paths));
    let tree = call_tree::CallTree::new(Arc::clone(&shared));
    context.register_udtf("call_tree", Arc::new(tree));
    Ok(Notes(shared))
}

/// An error of this crate on its way through the engine.
fn external(error: crate::Error) -> DataFusionError {
    DataFusionError::Execution(error.to_string())
}

/// What functions read of the recordings, once and only if it is needed.
#[derive(Debug)]
struct Shared {
    recordings: Recordings,
    /// The forests that were read last, and the columns that they have.
    forests: Mutex<Option<(Vec<Column>, Forests)>>,
    stacks: OnceLock<Result<Stacks, String>>,
    /// What there is to say beside the rows, such as near names.
    notes: Mutex<Vec<String>>,
}

impl Shared {
    fn note(&self, text: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&text) {
            notes.push(text);
        }
    }

    /// The forests, with at least these columns.
    fn forests(&self, columns: &[Column]) -> Result<Forests> {
        let mut read = self.forests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, forests)) = &*read
            && columns.iter().all(|column| known.contains(column))
        {
            return Ok(Arc::clone(forests));
        }
        // What is there has to make room first.
        *read = None;
        let forests = Forest::load_all_with(&self.recordings, columns).map_err(external)?;
        let forests = Arc::new(forests);
        *read = Some((columns.to_vec(), Arc::clone(&forests)));
        Ok(forests)
    }

    fn stacks(&self) -> Result<&Stacks> {
        let load = || Stacks::load(&self.recordings).map_err(|e| e.to_string());
        match self.stacks.get_or_init(load) {
            Ok(stacks) => Ok(stacks),
            Err(e) => Err(DataFusionError::Execution(e.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::UnboundedMemoryPool;

    use super::*;

    /// What is offered by completion and described in the docs is what is there.
    #[test]
    fn the_lists_name_every_function() {
        let recordings = Recordings {
            all: Arc::default(),
            unreadable: Arc::default(),
            memory: Arc::new(UnboundedMemoryPool::default()),
        };
        let context = SessionContext::new();
        let known = |context: &SessionContext| {
            let state = context.state();
            let scalar: Vec<String> = state.scalar_functions().keys().cloned().collect();
            let table: Vec<String> = state.table_functions().keys().cloned().collect();
            (scalar, table)
        };
        let before = known(&context);
        register(&context, &recordings).unwrap();
        let after = known(&context);
        let new = |before: Vec<String>, after: Vec<String>| {
            let mut new: Vec<String> = after
                .into_iter()
                .filter(|name| !before.contains(name))
                .collect();
            new.sort();
            new
        };
        assert_eq!(new(before.0, after.0), SCALAR_FUNCTIONS);
        assert_eq!(new(before.1, after.1), TABLE_FUNCTIONS);
    }
}
