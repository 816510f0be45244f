//! `whence diff`: what is new, gone or changed between two recordings.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use whence_schemas::quote::printable;

use super::Answer;
use crate::Result;
use crate::cli::{self, Source};
use crate::diff::{self, Change, Diff, Kind, words};
use crate::loss::Completeness;
use crate::render::text;
use crate::session::Session;

/// Compares and writes the differences that matter.
///
/// # Errors
/// What reading gives.
pub async fn run(args: &cli::Diff) -> Result<()> {
    let session = |path: &std::path::PathBuf| {
        let source = Source {
            input: vec![path.clone()],
            max_memory: args.max_memory,
        };
        super::session(&source, false)
    };
    let sides = [session(&args.a)?, session(&args.b)?];
    let mut diff = diff::compare(&sides[0], &sides[1]).await?;
    if !args.all {
        diff.changes.retain(|change| change.notable);
    }
    let mut answer = Answer::silent(args.output.format);
    if !args.output.format.is_human() {
        for line in heads(&sides, &diff).iter().flatten() {
            eprintln!("whence: {line}");
        }
        let rows = rows(&diff)?;
        answer.rows(&rows.schema(), &[rows])?;
        return answer.finish();
    }
    for lines in heads(&sides, &diff) {
        for (i, line) in lines.iter().enumerate() {
            let line = match (i, line.starts_with("complete")) {
                (0, _) => answer.screen.bold(line),
                (_, true) => format!("   {}", answer.screen.dim(line)),
                (_, false) => format!("   {}", answer.screen.warning(line)),
            };
            answer.line(&line)?;
        }
    }
    tell(&mut answer, &diff, args.rows)?;
    answer.finish()
}

/// Which recordings these are, and what each cannot know.
fn heads(sides: &[Session; 2], diff: &Diff) -> [Vec<String>; 2] {
    [0, 1].map(|side| {
        let recordings = &sides[side].recordings;
        let names: Vec<String> = recordings.all.iter().map(|r| r.name()).collect();
        let mut hosts: Vec<String> = recordings.boots().into_iter().map(|b| b.host).collect();
        hosts.dedup();
        let ns = (diff.seconds[side] * 1e9) as i64;
        let head = format!(
            "{}  {}: {} of {}",
            ["A", "B"][side],
            printable(&names.join(", ")),
            text::duration(ns),
            printable(&hosts.join(", ")),
        );
        let mut lines = vec![head];
        lines.extend(Completeness::of(recordings).lines());
        lines
    })
}

fn tell(answer: &mut Answer, diff: &Diff, most: usize) -> Result<()> {
    for (event, side) in &diff.one_sided {
        let line = format!(
            "{} was recorded only in {}; it is not compared",
            printable(event),
            ["A", "B"][*side]
        );
        answer.line(&answer.screen.dim(&line))?;
    }
    if diff.changes.is_empty() {
        return answer.line("\nno difference that is more than chance; --all lists every value");
    }
    for kind in Kind::ALL {
        let mut of_kind: Vec<&Change> = diff.changes.iter().filter(|c| c.kind == kind).collect();
        while let Some(first) = of_kind.first() {
            let event = first.event.clone();
            let (same, rest): (Vec<&Change>, Vec<&Change>) =
                of_kind.into_iter().partition(|c| c.event == event);
            section(answer, kind, event.as_deref(), &same, most)?;
            of_kind = rest;
        }
    }
    Ok(())
}

fn section(
    answer: &mut Answer,
    kind: Kind,
    event: Option<&str>,
    changes: &[&Change],
    most: usize,
) -> Result<()> {
    answer.title(&words::title(kind, event))?;
    answer.line("                   A          B   ratio")?;
    for change in changes.iter().take(most) {
        let [a, b] = words::amounts(change);
        let head = format!(
            "{:<7}  {a:>10}  {b:>10}  {:>6}  ",
            change.novelty().name(),
            words::times(change).unwrap_or_default()
        );
        let name = printable(&change.name);
        let room = answer.screen.line(false).saturating_sub(text::width(&head));
        let name = match kind {
            // What ends a path tells more than where it begins.
            Kind::Path | Kind::Chain => text::fit_end(&name, room),
            _ => text::fit(&name, room),
        };
        answer.line(&format!("{head}{name}"))?;
    }
    match changes.len().saturating_sub(most) {
        0 => Ok(()),
        more => answer.line(&answer.screen.dim(&format!("{more} more; -n shows them"))),
    }
}

/// One row for each difference: `kind`, `event`, `name`, `change` (`new`, `gone`,
/// `changed` or `same`), `a_count`, `b_count`, `a_value`, `b_value` (per second, or the
/// share of the whole), `unit` (`per_second` or `share`), `ratio`, `deviation`
/// (in standard errors) and `notable`.
fn rows(diff: &Diff) -> Result<RecordBatch> {
    let all = || diff.changes.iter();
    let text = |of: &dyn Fn(&Change) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(all().map(of)))
    };
    let float = |of: &dyn Fn(&Change) -> Option<f64>| -> ArrayRef {
        Arc::new(Float64Array::from_iter(all().map(of)))
    };
    let int = |of: &dyn Fn(&Change) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(all().map(of)))
    };
    let unit = |kind: Kind| {
        if kind.is_share() {
            "share"
        } else {
            "per_second"
        }
    };
    let notable = BooleanArray::from_iter(all().map(|c| Some(c.notable)));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("kind", text(&|c| Some(c.kind.name().into()))),
        ("event", text(&|c| c.event.clone())),
        ("name", text(&|c| Some(c.name.clone()))),
        ("change", text(&|c| Some(c.novelty().name().into()))),
        ("a_count", int(&|c| c.seen[0].count)),
        ("b_count", int(&|c| c.seen[1].count)),
        ("a_value", float(&|c| Some(c.seen[0].value()))),
        ("b_value", float(&|c| Some(c.seen[1].value()))),
        ("unit", text(&|c| Some(unit(c.kind).into()))),
        ("ratio", float(&|c| c.ratio())),
        ("deviation", float(&|c| Some(c.deviation))),
        ("notable", Arc::new(notable)),
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
