//! A recording that is sound as files go, with rows that no kernel would tell:
//! the input is read as the values to put in.
//!
//! Values come from small pools, so that references meet and trees, paths and
//! cycles arise.

use std::fs;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Int32Array, Int64Array, Int64Builder, ListBuilder,
    RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field};
use serde_json::json;
use whence_schemas::{TABLES, TableDef, layout, segment};

use super::commands;
use crate::worker::Bench;

/// Questions that are asked of each input.
const QUESTIONS: usize = 3;
/// Values at which sums, differences and casts err, beside those that are
/// plausible.
const INTEGERS: &[i64] = &[
    0,
    1,
    2,
    -1,
    1000,
    i64::MIN,
    i64::MAX,
    i32::MAX as i64,
    i32::MIN as i64 - 1,
    10_000_000_000_000,
    10_000_000_000_001,
    10_000_500_000_000,
    1 << 53,
];
const TEXTS: &[&str] = &[
    "cpu-clock",
    "off-cpu",
    "kernel:work",
    "task",
    "softirq",
    "idle",
    "user",
    "kernel",
    "fork",
    "exec",
    "snapshot",
    "inferred",
    "sample",
    "complete",
    "truncated",
    "fp",
    "elf",
    "swapper/0",
    "work",
    "/usr/bin/sh",
    "--password",
    "hunter2",
    "",
    "\u{1b}[2J\u{1b}]0;x\u{7}",
    "</script><script>alert(1)</script>",
    "\u{202e}gpj\u{2066}",
    "a\nb\tc\r\u{85}\u{9b}d",
    "../../../etc/passwd",
    "=cmd()",
    "\u{0}",
    "[secret:1]",
    "\u{1f469}\u{200d}\u{1f469}",
];

pub(super) fn run(bench: &Bench, input: &[u8]) -> Result<(), String> {
    let mut values = Values::of(input);
    let recording = bench.work.join("r.whence");
    let mut segments = Vec::new();
    for def in TABLES {
        fs::create_dir_all(recording.join(def.name)).map_err(|e| e.to_string())?;
        let batch = values.batch(def)?;
        let written = segment::write(&recording, def, 1, &[batch]).map_err(|e| e.to_string())?;
        segments.push(serde_json::to_value(&written).map_err(|e| e.to_string())?);
    }
    let state = ["finished", "recording"][values.below(2)];
    let manifest = json!({
        "format_version": 1,
        "recording_id": "hostile",
        "recorder_version": values.text(),
        "host": {"hostname": values.text(), "machine": values.text(), "cpus": 2, "os": values.text()},
        "boot_id": "boot",
        "kernel": {"release": values.text(), "version": values.text(), "build_id": null},
        "clock": {
            "boot_ns": values.integer(), "mono_ns": values.integer(), "real_ns": values.integer(),
        },
        "end_ns": values.integer(),
        "options": {"text": values.text()},
        "state": state,
        "process_complete": values.below(2) == 0,
        "events": [{"event": values.text(), "mechanism": values.text(), "weight": values.integer()}],
        "notes": [values.text()],
        "missing": [values.text()],
        "gaps": [{
            "from_ns": values.integer(), "to_ns": values.integer(), "reason": values.text(),
        }],
        "lost": {values.text(): values.integer().unsigned_abs()},
        "segments": segments,
    });
    let text = serde_json::to_vec(&manifest).map_err(|e| e.to_string())?;
    fs::write(recording.join(layout::MANIFEST), text).map_err(|e| e.to_string())?;
    let first = values.below(commands::all());
    commands::named_query(bench, &recording, values.below(usize::MAX))?;
    commands::ask(bench, &recording, first, QUESTIONS)
}

/// Values, as the input decides.
struct Values<'a> {
    input: &'a [u8],
    integers: Vec<i64>,
}

impl<'a> Values<'a> {
    fn of(input: &'a [u8]) -> Self {
        let mut this = Self {
            input,
            integers: INTEGERS.to_vec(),
        };
        // A few ids of its own for all tables to meet in.
        for _ in 0..4 {
            let mut bytes = [0; 8];
            bytes.fill_with(|| this.byte());
            this.integers.push(i64::from_le_bytes(bytes));
        }
        this
    }

    /// The next byte; zeros after the last.
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.input.split_first() else {
            return 0;
        };
        self.input = rest;
        *first
    }

    fn below(&mut self, end: usize) -> usize {
        let number = u16::from_le_bytes([self.byte(), self.byte()]);
        usize::from(number) % end
    }

    fn integer(&mut self) -> i64 {
        let at = self.below(self.integers.len());
        self.integers[at]
    }

    fn text(&mut self) -> String {
        let byte = self.byte();
        match usize::from(byte) {
            at if at < TEXTS.len() * 7 => TEXTS[at % TEXTS.len()].to_owned(),
            _ => {
                let (text, rest) = self.input.split_at(self.input.len().min(byte.into()));
                self.input = rest;
                String::from_utf8_lossy(text).into_owned()
            }
        }
    }

    fn batch(&mut self, def: &TableDef) -> Result<RecordBatch, String> {
        let rows = usize::from(self.byte()) % 8;
        let schema = def.schema();
        let boot_id = schema.fields().len() - 1;
        let columns = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(i, field)| match i == boot_id {
                true => Arc::new(StringArray::from(vec!["boot"; rows])),
                false => self.column(field, rows),
            });
        let columns = columns.collect();
        RecordBatch::try_new(schema, columns).map_err(|e| e.to_string())
    }

    fn column(&mut self, field: &Field, rows: usize) -> ArrayRef {
        if field.is_nullable() && self.byte().is_multiple_of(4) {
            return new_null_array(field.data_type(), rows);
        }
        let rows = 0..rows;
        match field.data_type() {
            DataType::Int64 => Arc::new(Int64Array::from_iter_values(rows.map(|_| self.integer()))),
            DataType::Int32 => {
                let values = rows.map(|_| self.integer() as i32);
                Arc::new(Int32Array::from_iter_values(values))
            }
            DataType::Boolean => {
                let values: Vec<bool> = rows.map(|_| self.byte() & 1 == 1).collect();
                Arc::new(BooleanArray::from(values))
            }
            DataType::Utf8 => Arc::new(StringArray::from_iter_values(rows.map(|_| self.text()))),
            DataType::Binary => Arc::new(BinaryArray::from_iter_values(rows.map(|_| self.text()))),
            DataType::Timestamp(..) => {
                let values = rows.map(|_| self.integer());
                let array = TimestampMicrosecondArray::from_iter_values(values);
                Arc::new(array.with_timezone("UTC"))
            }
            DataType::List(item) => self.lists(item, rows.len()),
            other => new_null_array(other, rows.len()),
        }
    }

    fn lists(&mut self, item: &Arc<Field>, rows: usize) -> ArrayRef {
        let item = Arc::clone(item);
        if *item.data_type() == DataType::Utf8 {
            let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item);
            for _ in 0..rows {
                (0..self.below(6)).for_each(|_| lists.values().append_value(self.text()));
                lists.append(true);
            }
            return Arc::new(lists.finish());
        }
        let mut lists = ListBuilder::new(Int64Builder::new()).with_field(item);
        for _ in 0..rows {
            (0..self.below(6)).for_each(|_| lists.values().append_value(self.integer()));
            lists.append(true);
        }
        Arc::new(lists.finish())
    }
}
