//! An event as a line of text.

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use whence_schemas::line::{Exec, Hit};
use whence_schemas::quote::printable;

use crate::commands::steps::{self, Steps};

/// A row of [`EVENTS`](super::EVENTS).
pub(super) struct Event<'a> {
    pub(super) batch: &'a RecordBatch,
    pub(super) row: usize,
}

impl Event<'_> {
    fn text(&self, column: &str) -> &str {
        let column = self.batch.column_by_name(column);
        let column = column.and_then(|c| c.as_string_opt::<i32>());
        match column.filter(|column| column.is_valid(self.row)) {
            Some(column) => column.value(self.row),
            None => "",
        }
    }

    fn int(&self, column: &str) -> i32 {
        let column = self.batch.column_by_name(column);
        let column = column.and_then(|c| c.as_primitive_opt::<Int32Type>());
        match column.filter(|column| column.is_valid(self.row)) {
            Some(column) => column.value(self.row),
            None => 0,
        }
    }

    fn long(&self, column: &str) -> Option<i64> {
        let column = self.batch.column_by_name(column)?;
        let column = column.as_primitive_opt::<Int64Type>()?;
        column.is_valid(self.row).then(|| column.value(self.row))
    }

    /// When, microseconds since 1970.
    pub(super) fn wall_us(&self) -> i64 {
        let column = self.batch.column_by_name("time");
        let column = column.and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
        match column.filter(|column| column.is_valid(self.row)) {
            Some(column) => column.value(self.row),
            None => 0,
        }
    }

    /// Whether it is but a step of a search along `PATH`.
    pub(super) fn is_step(&self, steps: &Steps) -> bool {
        match (self.long("upid"), self.long("ts_ns")) {
            (Some(upid), Some(ts_ns)) if self.int("errno") != 0 => {
                steps.contains(self.text("boot_id"), upid, ts_ns)
            }
            _ => false,
        }
    }

    /// Whether it is an exec that found no such file, as the steps of a search
    /// are.
    pub(super) fn is_missing(&self) -> bool {
        self.text("event") == "exec" && self.int("errno") == libc::ENOENT
    }

    /// By which the steps of searches are found.
    pub(super) fn exec(&self) -> Option<steps::Exec> {
        let key = (
            self.text("boot_id").to_owned(),
            self.long("upid")?,
            self.long("ts_ns")?,
        );
        Some((key, self.text("cmdline").to_owned()))
    }

    /// What was to be executed, where it failed and the arguments do not say.
    fn tried(&self) -> Option<String> {
        let filename = self.text("filename");
        let first = self.text("cmdline").split(' ').next();
        let said = filename.is_empty() || first == Some(filename);
        (self.int("errno") != 0 && !said).then(|| format!(", tried {}", printable(filename)))
    }

    pub(super) fn line(&self) -> String {
        if self.text("event") != "exec" {
            return Hit {
                wall_us: self.wall_us(),
                pid: self.int("pid"),
                comm: self.text("comm"),
                cpu: self.int("cpu"),
                event: self.text("event"),
                context: self.text("context"),
            }
            .line();
        }
        let line = Exec {
            wall_us: self.wall_us(),
            ppid: self.int("ppid"),
            parent_comm: self.text("parent_comm"),
            pid: self.int("pid"),
            cmdline: self.text("cmdline"),
            errno: self.int("errno"),
            complete: self.text("argv_state") == "complete",
        }
        .line();
        match self.tried() {
            Some(tried) => line + &tried,
            None => line,
        }
    }
}
