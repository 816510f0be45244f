//! What would leave the house: commands, users, paths, hosts, and strings that
//! look like secrets and that no rule took.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use regex::Regex;
use whence_schemas::read::Batches;
use whence_schemas::redact::suspicious;
use whence_schemas::{TableDef, exec, process};

use super::{Part, redact};
use crate::Result;

/// Different values of a kind that are remembered.
const MAX_VALUES: usize = 1 << 20;

/// Kinds of what is in a part, in the order in which they are told.
pub const KINDS: &[&str] = &["suspicious", "secret", "host", "user", "command", "path"];

/// Counts by kind and value.
#[derive(Debug, Default)]
pub struct Inventory {
    counts: BTreeMap<&'static str, HashMap<String, i64>>,
}

impl Inventory {
    /// What is in a part.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(part: &Part) -> Result<Self> {
        let mut this = Self::default();
        this.add("host", &part.manifest.host.hostname);
        this.texts(part, &exec::DEF, &["comm"], |this, text| {
            this.add("command", text)
        })?;
        for (def, columns) in redact::PATHS {
            for column in *columns {
                let is_folder = matches!(*column, "cwd" | "cgroup_path");
                this.texts(part, def, &[column], |this, text| {
                    this.path(text, is_folder);
                })?;
            }
        }
        for (def, column) in [
            (&exec::DEF, "argv"),
            (&process::DEF, "argv"),
            (&exec::DEF, "env"),
        ] {
            this.lists(part, def, column)?;
        }
        this.users(part)?;
        Ok(this)
    }

    fn add(&mut self, kind: &'static str, value: &str) {
        let of_kind = self.counts.entry(kind).or_default();
        if let Some(count) = of_kind.get_mut(value) {
            *count += 1;
        } else if of_kind.len() < MAX_VALUES {
            of_kind.insert(value.to_owned(), 1);
        }
    }

    fn path(&mut self, path: &str, is_folder: bool) {
        let folder = match path.rsplit_once('/') {
            Some((folder, _)) if !is_folder => folder,
            _ => path,
        };
        self.add("path", if folder.is_empty() { "/" } else { folder });
        if let Some(found) = suspicious(path) {
            self.add("suspicious", found);
        }
    }

    fn argument(&mut self, text: &str) {
        static HOST: LazyLock<Option<Regex>> = LazyLock::new(|| {
            let host = r"://(?:[^/@\s]*@)?([\w.-]+)|[\w.-]+@([\w-]+(?:\.[\w-]+)+)\b|\b(\d{1,3}(?:\.\d{1,3}){3})\b";
            Regex::new(host).ok()
        });
        static SECRET: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"\[secret:\d+\]").ok());
        for found in HOST.iter().flat_map(|host| host.captures_iter(text)) {
            for host in found.iter().skip(1).flatten() {
                self.add("host", host.as_str());
            }
        }
        for found in SECRET.iter().flat_map(|secret| secret.find_iter(text)) {
            self.add("secret", found.as_str());
        }
        if let Some(found) = suspicious(text) {
            self.add("suspicious", found);
        }
    }

    fn batches(
        &mut self,
        part: &Part,
        def: &'static TableDef,
        columns: &[&str],
        mut each: impl FnMut(&mut Self, &RecordBatch),
    ) -> Result<()> {
        for segment in part.manifest.segments_of(def.name) {
            let path = part.dir.join(&segment.file);
            for batch in Batches::open(&path, def, columns)? {
                each(self, &batch?);
            }
        }
        Ok(())
    }

    fn texts(
        &mut self,
        part: &Part,
        def: &'static TableDef,
        columns: &[&str],
        each: impl Fn(&mut Self, &str),
    ) -> Result<()> {
        self.batches(part, def, columns, |this, batch| {
            for column in batch.columns() {
                for text in column.as_string::<i32>().iter().flatten() {
                    each(this, text);
                }
            }
        })
    }

    fn lists(&mut self, part: &Part, def: &'static TableDef, column: &str) -> Result<()> {
        self.batches(part, def, &[column], |this, batch| {
            for list in batch.column(0).as_list::<i32>().iter().flatten() {
                for text in list.as_string::<i32>().iter().flatten() {
                    this.argument(text);
                }
            }
        })
    }

    fn users(&mut self, part: &Part) -> Result<()> {
        self.batches(part, &process::DEF, &["uid"], |this, batch| {
            for uid in batch.column(0).as_primitive::<Int64Type>().iter().flatten() {
                this.add("user", &format!("uid {uid}"));
            }
        })
    }

    /// Values of a kind, the most frequent first.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Vec<(&str, i64)> {
        let of_kind = self.counts.get(kind).into_iter().flatten();
        let mut values: Vec<_> = of_kind.map(|(v, n)| (v.as_str(), *n)).collect();
        values.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
        values
    }

    /// All of it as rows.
    ///
    /// # Errors
    /// None; the columns fit.
    pub fn rows(&self) -> Result<RecordBatch> {
        let all = KINDS.iter().flat_map(|kind| {
            let values = self.of_kind(kind).into_iter();
            values.map(|(value, count)| (*kind, value, count))
        });
        let all: Vec<_> = all.collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(all.iter().map(|r| r.0))),
            Arc::new(StringArray::from_iter_values(all.iter().map(|r| r.1))),
            Arc::new(Int64Array::from_iter_values(all.iter().map(|r| r.2))),
        ];
        let schema = Schema::new(vec![
            Field::new("kind", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, false),
            Field::new("count", DataType::Int64, false),
        ]);
        Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
    }
}
