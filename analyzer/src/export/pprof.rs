//! The format of pprof: samples as lists of locations, with the process and
//! the context as labels.

mod proto;

use std::collections::HashMap;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use whence_schemas::quote::printable;

use super::events::Weighted;
use super::frames::{Frame, Frames, Text};
use super::{About, Out, failed};
use crate::Result;
use proto::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};

/// Writes the profile, gzipped as pprof expects it.
pub(super) fn write(rows: &[Weighted], frames: &Frames, about: &About, out: Out<'_>) -> Result<()> {
    let mut builder = Builder::default();
    builder.text("");
    builder.head(about);
    for row in rows {
        builder.sample(frames, row);
    }
    let bytes = builder.profile.encode_to_vec();
    let mut gz = GzEncoder::new(out, Compression::default());
    std::io::Write::write_all(&mut gz, &bytes).map_err(failed)?;
    gz.finish().map(drop).map_err(failed)
}

/// A profile in the making, with the numbers of what it has already.
#[derive(Default)]
struct Builder {
    profile: Profile,
    texts: HashMap<String, i64>,
    locations: HashMap<u32, u64>,
    functions: HashMap<(Text, Option<Text>), u64>,
    mappings: HashMap<(Option<Text>, Option<Text>), u64>,
}

impl Builder {
    fn text(&mut self, text: &str) -> i64 {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let number = self.profile.string_table.len() as i64;
        self.profile.string_table.push(text.to_owned());
        self.texts.insert(text.to_owned(), number);
        number
    }

    fn head(&mut self, about: &About) {
        let of = |kind: i64, unit: i64| ValueType { kind, unit };
        let count = self.text("count");
        let samples = self.text("samples");
        let (kind, unit) = match about.event.as_str() {
            "cpu-clock" => (self.text("cpu"), self.text(about.unit())),
            event => (self.text(&printable(event)), count),
        };
        self.profile.sample_type = vec![of(samples, count), of(kind, unit)];
        self.profile.period_type = Some(of(kind, unit));
        self.profile.default_sample_type = kind;
        self.profile.time_nanos = about.begin_ns;
        self.profile.duration_nanos = about.duration_ns;
        let host = format!("host: {}", about.hosts);
        let said = std::iter::once(&host).chain(&about.losses);
        self.profile.comment = said.map(|line| self.text(&printable(line))).collect();
    }

    fn sample(&mut self, frames: &Frames, row: &Weighted) {
        let mut path = frames.path(row.user, row.kernel);
        path.reverse();
        let location_id = path
            .into_iter()
            .map(|frame| self.location(frames, frame))
            .collect();
        let labels = [("process", row.comm.as_str()), ("context", &row.context)];
        let label = labels.map(|(key, value)| Label {
            key: self.text(key),
            str: self.text(&printable(value)),
        });
        if self.profile.period == 0 && row.samples > 0 {
            self.profile.period = row.weight / row.samples;
        }
        self.profile.sample.push(Sample {
            location_id,
            value: vec![row.samples, row.weight],
            label: label.to_vec(),
        });
    }

    fn location(&mut self, frames: &Frames, number: u32) -> u64 {
        if let Some(known) = self.locations.get(&number) {
            return *known;
        }
        let frame = frames.frame(number);
        let mapping_id = self.mapping(frames, frame);
        // The innermost first.
        let line = frame
            .lines
            .iter()
            .rev()
            .map(|line| Line {
                function_id: self.function(frames, line.function, line.file),
                line: i64::from(line.line),
            })
            .collect();
        let id = self.profile.location.len() as u64 + 1;
        self.profile.location.push(Location {
            id,
            mapping_id,
            address: frame.offset,
            line,
        });
        self.locations.insert(number, id);
        id
    }

    fn function(&mut self, frames: &Frames, name: Text, file: Option<Text>) -> u64 {
        if let Some(known) = self.functions.get(&(name, file)) {
            return *known;
        }
        let text = self.text(frames.text(name));
        let filename = file.map_or(0, |file| self.text(frames.text(file)));
        let id = self.profile.function.len() as u64 + 1;
        self.profile.function.push(Function {
            id,
            name: text,
            system_name: text,
            filename,
        });
        self.functions.insert((name, file), id);
        id
    }

    /// The module of a frame; 0, for none, if it has none.
    fn mapping(&mut self, frames: &Frames, frame: &Frame) -> u64 {
        let Some(module) = frame.module else {
            return 0;
        };
        let key = (frame.module, frame.build_id);
        if let Some(known) = self.mappings.get(&key) {
            return *known;
        }
        let filename = self.text(frames.text(module));
        let build_id = frame.build_id.map_or(0, |id| self.text(frames.text(id)));
        let id = self.profile.mapping.len() as u64 + 1;
        self.profile.mapping.push(Mapping {
            id,
            memory_limit: u64::MAX,
            filename,
            build_id,
            // Or pprof would look for names in the files of this host.
            has_functions: true,
        });
        self.mappings.insert(key, id);
        id
    }
}
