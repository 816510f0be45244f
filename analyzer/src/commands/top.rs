//! `whence top`: where CPU time, or any other event, goes: by function and by
//! process.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use whence_schemas::quote::printable;

use super::{Answer, negative, no_samples, session};
use crate::cli::Top;
use crate::paths::samples::{Filter, Samples, Weighted, aggregate};
use crate::paths::select::{CPU_EVENTS, short};
use crate::render::text;
use crate::stacks::{Function, Stacks};
use crate::{Error, Result, scan};

/// Columns of a line before the name of a function.
const BEFORE_NAME: usize = 18;

/// Weights of one function: where it runs itself, and where it is on the path.
#[derive(Clone, Copy, Default)]
struct Weights {
    own: i64,
    total: i64,
}

/// The event's weights added up.
struct Sums {
    functions: Vec<(String, Weights)>,
    processes: Vec<(String, i64)>,
    whole: i64,
}

/// Adds up and writes the heaviest.
///
/// # Errors
/// [`Error::Nothing`] if there is no such event.
pub async fn run(args: &Top) -> Result<()> {
    let session = session(&args.source, false)?;
    let filter = Filter {
        pid: args.pid,
        through: None,
    };
    let weighted = aggregate(&session.state(), &session.recordings, &filter).await?;
    let event = match (args.pid, weighted.is_empty()) {
        (Some(pid), true) => Err(no_samples(&session, pid).await?),
        _ => chosen(&weighted, args.event.as_deref(), args.pid),
    };
    let event = event.map_err(|e| negative(&session.recordings, e))?;
    let stacks = Stacks::load(&session.recordings)?;
    let mut sums = sums(&weighted, &stacks, &event)?;
    sums.functions.truncate(args.rows);
    sums.processes.truncate(args.rows);
    let mut answer = Answer::begin(args.output.format, &session.recordings)?;
    if !args.output.format.is_human() {
        let rows = rows(&sums, &event)?;
        answer.rows(&rows.schema(), &[rows])?;
        return answer.finish();
    }
    let is_time = event == "cpu-clock";
    let amount = |weight: i64| match is_time {
        true => text::duration(weight),
        false => text::count(weight),
    };
    answer.title(&format!(
        "{event}: {} outside the idle task",
        amount(sums.whole)
    ))?;
    answer.line("")?;
    // Whole where nobody looks at it: it may be searched for names.
    let columns = match answer.screen.is_terminal {
        true => answer.screen.width.saturating_sub(BEFORE_NAME),
        false => usize::MAX,
    };
    answer.line("    self   total  function")?;
    for (name, weights) in &sums.functions {
        let line = format!(
            "  {:>6}  {:>6}  {}",
            text::share(weights.own, sums.whole),
            text::share(weights.total, sums.whole),
            text::fit(&printable(name), columns)
        );
        answer.line(&line)?;
    }
    answer.line("")?;
    answer.line("   share  process")?;
    for (name, weight) in &sums.processes {
        let line = format!(
            "  {:>6}  {}  {}",
            text::share(*weight, sums.whole),
            printable(name),
            answer.screen.dim(&amount(*weight))
        );
        answer.line(&line)?;
    }
    answer.finish()
}

pub(super) fn chosen(weighted: &Samples, wanted: Option<&str>, pid: Option<i32>) -> Result<String> {
    let recorded = weighted.iter().map(|row| row.event);
    chosen_of(recorded, wanted, pid)
}

/// The same among names of events.
pub(super) fn chosen_of<'a>(
    recorded: impl Iterator<Item = &'a str>,
    wanted: Option<&str>,
    pid: Option<i32>,
) -> Result<String> {
    let mut events: Vec<&str> = recorded.collect();
    events.dedup();
    let named = |event: &&&str| match wanted {
        Some(wanted) => **event == wanted || short(event) == wanted,
        None => CPU_EVENTS.contains(event),
    };
    if let Some(event) = events.iter().find(named) {
        return Ok((*event).to_owned());
    }
    let recorded = match events.is_empty() {
        true => "no stacks were recorded; record with --sample or --stack".into(),
        false => format!("recorded: {}; choose with --event", events.join(", ")),
    };
    let of_pid = pid.map_or(String::new(), |pid| format!(" of pid {pid}"));
    Err(Error::Nothing(match wanted {
        Some(wanted) => format!("no event {wanted}{of_pid} was recorded; {recorded}"),
        None => format!("no CPU samples{of_pid} were recorded; {recorded}"),
    }))
}

/// Rows that a thread adds up at once.
const PART_ROWS: usize = 64 * 1024;

/// Adds up by function and by process. Time in the idle task is no use of a CPU
/// and is left out.
fn sums(weighted: &Samples, stacks: &Stacks, event: &str) -> Result<Sums> {
    let parts = scan::each(
        weighted.len().div_ceil(PART_ROWS),
        || Part::new(stacks),
        |part, at| {
            let start = at * PART_ROWS;
            let rows = weighted.some(start..(start + PART_ROWS).min(weighted.len()));
            let busy = |row: &Weighted<'_>| row.event == event && row.context != "idle";
            rows.filter(busy).for_each(|row| part.add(&row, stacks));
            Ok(())
        },
    )?;
    let mut all = Part::new(stacks);
    parts.iter().for_each(|part| all.put(part));
    let functions = all.functions.into_iter().enumerate();
    let mut functions: Vec<(String, Weights)> = functions
        .filter(|(function, _)| all.met[*function] != NEVER)
        .map(|(function, weights)| (stacks.name(function as Function).to_owned(), weights))
        .collect();
    functions.sort_by(|a, b| {
        let key = |w: &Weights| (w.own, w.total);
        key(&b.1).cmp(&key(&a.1)).then_with(|| a.0.cmp(&b.0))
    });
    let processes = all.processes.into_iter();
    let mut processes: Vec<(String, i64)> = processes
        .map(|(comm, weight)| (comm.to_owned(), weight))
        .collect();
    processes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(Sums {
        functions,
        processes,
        whole: all.whole,
    })
}

/// A function that was not met.
const NEVER: usize = usize::MAX;

/// What one thread has added up.
struct Part<'a> {
    functions: Vec<Weights>,
    /// The row in which each function was met last.
    met: Vec<usize>,
    rows: usize,
    processes: BTreeMap<&'a str, i64>,
    whole: i64,
}

impl<'a> Part<'a> {
    fn new(stacks: &Stacks) -> Self {
        let functions = stacks.names().count();
        Self {
            functions: vec![Weights::default(); functions],
            met: vec![NEVER; functions],
            rows: 0,
            processes: BTreeMap::new(),
            whole: 0,
        }
    }

    fn add(&mut self, row: &Weighted<'a>, stacks: &Stacks) {
        self.rows += 1;
        self.whole = self.whole.saturating_add(row.weight);
        let of_process = self.processes.entry(row.comm).or_default();
        *of_process = of_process.saturating_add(row.weight);
        let user = row.user.map_or(&[][..], |id| stacks.functions(id));
        let kernel = row.kernel.map_or(&[][..], |id| stacks.functions(id));
        let path = || user.iter().chain(kernel);
        // A function that recurses is on the path once.
        for function in path() {
            let function = *function as usize;
            if std::mem::replace(&mut self.met[function], self.rows) != self.rows {
                let weights = &mut self.functions[function];
                weights.total = weights.total.saturating_add(row.weight);
            }
        }
        if let Some(leaf) = path().last() {
            let weights = &mut self.functions[*leaf as usize];
            weights.own = weights.own.saturating_add(row.weight);
        }
    }

    fn put(&mut self, other: &Self) {
        self.whole = self.whole.saturating_add(other.whole);
        for (comm, weight) in &other.processes {
            let of_process = self.processes.entry(comm).or_default();
            *of_process = of_process.saturating_add(*weight);
        }
        for (function, weights) in other.functions.iter().enumerate() {
            let own = &mut self.functions[function];
            own.own = own.own.saturating_add(weights.own);
            own.total = own.total.saturating_add(weights.total);
            self.met[function] = self.met[function].min(other.met[function]);
        }
    }
}

/// One row for each function and process: `event`, `kind` (`function` or
/// `process`), `name`, `self_weight`, `total_weight`, `self_share`,
/// `total_share`.
fn rows(sums: &Sums, event: &str) -> Result<RecordBatch> {
    let process = |weight: i64| Weights {
        own: weight,
        total: weight,
    };
    let all: Vec<(&str, &str, Weights)> = sums
        .functions
        .iter()
        .map(|(name, weights)| ("function", name.as_str(), *weights))
        .chain(
            sums.processes
                .iter()
                .map(|(name, weight)| ("process", name.as_str(), process(*weight))),
        )
        .collect();
    let text = |of: fn(&(&'_ str, &'_ str, Weights)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(all.iter().map(of)))
    };
    let weight = |of: fn(&Weights) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(all.iter().map(|r| of(&r.2))))
    };
    let whole = sums.whole.max(1) as f64;
    let share = |of: fn(&Weights) -> i64| -> ArrayRef {
        let shares = all.iter().map(|r| of(&r.2) as f64 / whole);
        Arc::new(Float64Array::from_iter_values(shares))
    };
    let events = StringArray::from_iter_values(vec![event; all.len()]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("event", Arc::new(events)),
        ("kind", text(|r| r.0.to_owned())),
        ("name", text(|r| r.1.to_owned())),
        ("self_weight", weight(|w| w.own)),
        ("total_weight", weight(|w| w.total)),
        ("self_share", share(|w| w.own)),
        ("total_share", share(|w| w.total)),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}
