//! The file format of speedscope.app: one profile of call paths with their
//! weights, the process at the root.

use std::collections::HashMap;

use serde::Serialize;
use whence_schemas::quote::printable;

use super::events::Weighted;
use super::frames::{Frames, Text};
use super::{About, Out, failed_json};
use crate::Result;

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'a str,
    name: &'a str,
    exporter: &'a str,
    #[serde(rename = "activeProfileIndex")]
    active: usize,
    shared: Shared,
    profiles: [Profile<'a>; 1],
}

#[derive(Serialize)]
struct Shared {
    frames: Vec<Frame>,
}

#[derive(Serialize)]
struct Frame {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
struct Profile<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    name: &'a str,
    unit: &'a str,
    #[serde(rename = "startValue")]
    start: i64,
    #[serde(rename = "endValue")]
    end: i64,
    samples: Vec<Vec<u32>>,
    weights: Vec<i64>,
}

/// Distinct frames. A function is one, wherever in it the call is.
#[derive(Default)]
struct Table {
    frames: Vec<Frame>,
    functions: HashMap<(Text, Option<Text>), u32>,
    processes: HashMap<String, u32>,
}

impl Table {
    fn process(&mut self, comm: &str) -> u32 {
        let next = self.frames.len() as u32;
        let frame = *self.processes.entry(comm.to_owned()).or_insert(next);
        if frame == next {
            self.frames.push(Frame {
                name: printable(comm).into_owned(),
                file: None,
            });
        }
        frame
    }

    fn function(&mut self, frames: &Frames, function: Text, file: Option<Text>) -> u32 {
        let next = self.frames.len() as u32;
        let frame = *self.functions.entry((function, file)).or_insert(next);
        if frame == next {
            self.frames.push(Frame {
                name: frames.text(function).to_owned(),
                file: file.map(|file| frames.text(file).to_owned()),
            });
        }
        frame
    }
}

pub(super) fn write(rows: &[Weighted], frames: &Frames, about: &About, out: Out<'_>) -> Result<()> {
    let mut table = Table::default();
    let mut samples = Vec::with_capacity(rows.len());
    let mut weights = Vec::with_capacity(rows.len());
    for row in rows {
        let mut path = vec![table.process(&row.comm)];
        for line in frames.lines(row.user, row.kernel) {
            path.push(table.function(frames, line.function, line.file));
        }
        samples.push(path);
        weights.push(row.weight);
    }
    let name = format!(
        "{} of {}; {}",
        about.event,
        about.hosts,
        about.losses.join("; ")
    );
    let name = printable(&name);
    let unit = match about.unit() {
        "count" => "none",
        unit => unit,
    };
    let file = File {
        schema: SCHEMA,
        name: &name,
        exporter: concat!("whence ", env!("CARGO_PKG_VERSION")),
        active: 0,
        shared: Shared {
            frames: table.frames,
        },
        profiles: [Profile {
            kind: "sampled",
            name: &name,
            unit,
            start: 0,
            end: weights
                .iter()
                .fold(0, |sum, w| i64::saturating_add(sum, *w)),
            samples,
            weights,
        }],
    };
    serde_json::to_writer(out, &file).map_err(failed_json)
}
