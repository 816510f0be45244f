//! `whence verify`: whether a recording is what it says it is.

use std::io::IsTerminal as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use whence_schemas::quote::printable;

use super::{Answer, open};
use crate::cli::Verify;
use crate::integrity::verify::{Finding, verify};
use crate::render::text;
use crate::{Error, Result};

/// Checks each recording and lists what is wrong.
///
/// # Errors
/// [`Error::Corrupt`] if anything is.
pub fn run(args: &Verify) -> Result<()> {
    let recordings = open(&args.source)?;
    let mut answer = Answer::begin(args.output.format, &recordings)?;
    let human = args.output.format.is_human();
    let shown = std::io::stderr().is_terminal();
    let mut all: Vec<Finding> = Vec::new();
    all.extend(recordings.unreadable.iter().map(|reason| Finding {
        object: "recording".into(),
        finding: reason.clone(),
    }));
    for recording in recordings.all.iter() {
        let at = |table: &str| {
            if shown {
                eprint!("\r\x1b[Kchecking {table}");
            }
        };
        let report = verify(recording, &at);
        if shown {
            eprint!("\r\x1b[K");
        }
        let report = report?;
        if human {
            let defects = text::counted(report.findings.len() as i64, "defect", "defects");
            answer.line(&format!(
                "{}: {} in {} segments with {} rows",
                printable(&recording.name()),
                if report.findings.is_empty() {
                    "no defect".into()
                } else {
                    defects
                },
                text::count(report.segments.cast_signed()),
                text::count(report.rows.cast_signed()),
            ))?;
        }
        all.extend(report.findings);
    }
    if human {
        for found in &all {
            let line = format!("  {}: {}", found.object, found.finding);
            answer.line(&printable(&line))?;
        }
    } else {
        let rows = rows(&all)?;
        answer.rows(&rows.schema(), &[rows])?;
    }
    answer.finish()?;
    match all.len() {
        0 => Ok(()),
        n => Err(Error::Corrupt(format!(
            "{} found",
            text::counted(n as i64, "defect was", "defects were")
        ))),
    }
}

fn rows(findings: &[Finding]) -> Result<RecordBatch> {
    let objects = findings.iter().map(|f| f.object.as_str());
    let texts = findings.iter().map(|f| f.finding.as_str());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(objects)),
        Arc::new(StringArray::from_iter_values(texts)),
    ];
    let schema = Schema::new(vec![
        Field::new("object", DataType::Utf8, false),
        Field::new("finding", DataType::Utf8, false),
    ]);
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}
