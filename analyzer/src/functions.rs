//! What whence adds to SQL: functions of rows (`cmdline`, `stack_text`,
//! `basename`) and of whole recordings (`process_tree`, `ancestors`,
//! `descendants`, `call_paths`).

mod call_paths;
mod scalar;
mod trees;

use std::sync::{Arc, OnceLock};

use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;

use crate::forest::{Forest, Forests};
use crate::recording::Recordings;
use crate::stacks::Stacks;

pub use call_paths::rows as call_path_rows;

/// Functions that stand in FROM.
pub const TABLE_FUNCTIONS: &[&str] = &["ancestors", "call_paths", "descendants", "process_tree"];

/// Makes the functions known to a session.
///
/// # Errors
/// Never, but for a broken engine.
pub fn register(context: &SessionContext, recordings: &Recordings) -> Result<()> {
    let shared = Arc::new(Shared {
        recordings: recordings.clone(),
        forests: OnceLock::new(),
        stacks: OnceLock::new(),
    });
    context.register_udf(ScalarUDF::new_from_impl(scalar::Cmdline::new()));
    context.register_udf(ScalarUDF::new_from_impl(scalar::Basename::new()));
    context.register_udf(ScalarUDF::new_from_impl(scalar::StackText::new(
        Arc::clone(&shared),
    )));
    for walk in trees::Walk::ALL {
        let function = trees::TreeFunction::new(walk, Arc::clone(&shared));
        context.register_udtf(walk.name(), Arc::new(function));
    }
    let function = call_paths::CallPaths::new(shared);
    context.register_udtf("call_paths", Arc::new(function));
    Ok(())
}

/// What functions read of the recordings, once and only if it is needed.
#[derive(Debug)]
struct Shared {
    recordings: Recordings,
    forests: OnceLock<Result<Forests, String>>,
    stacks: OnceLock<Result<Stacks, String>>,
}

impl Shared {
    fn forests(&self) -> Result<Forests> {
        let load = || match Forest::load_all(&self.recordings) {
            Ok(forests) => Ok(Arc::new(forests)),
            Err(e) => Err(e.to_string()),
        };
        self.forests
            .get_or_init(load)
            .clone()
            .map_err(DataFusionError::Execution)
    }

    fn stacks(&self) -> Result<&Stacks> {
        let load = || Stacks::load(&self.recordings).map_err(|e| e.to_string());
        match self.stacks.get_or_init(load) {
            Ok(stacks) => Ok(stacks),
            Err(e) => Err(DataFusionError::Execution(e.clone())),
        }
    }
}
