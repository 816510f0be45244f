//! Secrets out of rows that are there already.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryArray, ListArray, ListBuilder, RecordBatch,
    StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use whence_schemas::quote::command_line;
use whence_schemas::redact::Redactor;
use whence_schemas::{TableDef, exec, frame, mapping, process, symbol};

/// Columns that hold a path, by table.
pub(super) const PATHS: &[(&TableDef, &[&str])] = &[
    (
        &exec::DEF,
        &["filename", "interpreter", "exe", "cwd", "cgroup_path"],
    ),
    (&process::DEF, &["exe", "cwd", "cgroup_path"]),
    (&mapping::DEF, &["module"]),
    (&frame::DEF, &["module"]),
    (&symbol::DEF, &["file"]),
];

/// The batch without secrets.
pub(super) fn rows(
    def: &TableDef,
    batch: RecordBatch,
    redactor: &mut Redactor,
) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let mut columns = batch.columns().to_vec();
    let at = |name: &str| schema.index_of(name).ok();
    if let (Some(argv), Some(cmdline)) = (at("argv"), at("cmdline")) {
        let raw = at("argv_raw");
        let exact = raw.map(|raw| columns[raw].as_binary::<i32>().clone());
        let list = columns[argv].as_list::<i32>().clone();
        let line = columns[cmdline].as_string::<i32>().clone();
        if let Some(changed) = Arguments::of(&list, exact.as_ref(), redactor) {
            columns[argv] = changed.list(&list);
            columns[cmdline] = changed.lines(&line);
            if let (Some(raw), Some(exact)) = (raw, &exact) {
                columns[raw] = changed.raw(exact);
            }
        }
    }
    if let Some(env) = at("env")
        && let Some(list) = columns[env].as_list_opt::<i32>()
        && let Some(changed) = Arguments::of(&list.clone(), None, redactor)
    {
        columns[env] = changed.list(list);
    }
    let paths = PATHS.iter().filter(|(table, _)| table.name == def.name);
    for column in paths
        .flat_map(|(_, columns)| *columns)
        .filter_map(|name| at(name))
    {
        columns[column] = texts(&columns[column], redactor);
    }
    RecordBatch::try_new(schema, columns)
}

fn texts(column: &ArrayRef, redactor: &mut Redactor) -> ArrayRef {
    let texts = column.as_string::<i32>();
    let replaced: Vec<Option<Cow<'_, str>>> = texts
        .iter()
        .map(|text| text.map(|text| redactor.text(text)))
        .collect();
    let changed = |text: &Option<Cow<'_, str>>| matches!(text, Some(Cow::Owned(_)));
    match replaced.iter().any(changed) {
        true => Arc::new(replaced.into_iter().collect::<StringArray>()),
        false => Arc::clone(column),
    }
}

/// Arguments by row, of those rows where a secret was replaced.
struct Arguments(Vec<Option<Vec<Vec<u8>>>>);

impl Arguments {
    /// `None` if no row has a secret.
    fn of(list: &ListArray, exact: Option<&BinaryArray>, redactor: &mut Redactor) -> Option<Self> {
        let values = list.values().as_string_opt::<i32>()?;
        let rows = (0..list.len()).map(|row| {
            if list.is_null(row) {
                return None;
            }
            let exact = exact.filter(|exact| exact.is_valid(row));
            let args: Vec<&[u8]> = match exact.map(|exact| exact.value(row)) {
                Some(bytes) => {
                    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
                    bytes.split(|byte| *byte == 0).collect()
                }
                None => {
                    let offsets = list.value_offsets();
                    let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                    let items = start..end;
                    items
                        .filter(|i| values.is_valid(*i))
                        .map(|i| values.value(i).as_bytes())
                        .collect()
                }
            };
            redactor.args(&args)
        });
        let rows: Vec<_> = rows.collect();
        rows.iter().any(Option::is_some).then_some(Self(rows))
    }

    fn list(&self, before: &ListArray) -> ArrayRef {
        let item = Field::new("item", DataType::Utf8, false);
        let mut list = ListBuilder::new(StringBuilder::new()).with_field(item);
        for (row, replaced) in self.0.iter().enumerate() {
            match replaced {
                _ if before.is_null(row) => list.append(false),
                Some(args) => {
                    for arg in args {
                        list.values().append_value(String::from_utf8_lossy(arg));
                    }
                    list.append(true);
                }
                None => {
                    let args = before.value(row);
                    for arg in args.as_string::<i32>().iter() {
                        list.values().append_value(arg.unwrap_or_default());
                    }
                    list.append(true);
                }
            }
        }
        Arc::new(list.finish())
    }

    fn lines(&self, before: &StringArray) -> ArrayRef {
        let lines = self
            .0
            .iter()
            .enumerate()
            .map(|(row, replaced)| match replaced {
                Some(args) => Some(Cow::Owned(command_line(args.iter().map(Vec::as_slice)))),
                None => before.is_valid(row).then(|| before.value(row).into()),
            });
        Arc::new(lines.collect::<StringArray>())
    }

    /// Exact bytes, only where they were kept.
    fn raw(&self, before: &BinaryArray) -> ArrayRef {
        let rows = self.0.iter().enumerate().map(|(row, replaced)| {
            let was = before.is_valid(row).then(|| before.value(row));
            match (was, replaced) {
                (Some(_), Some(args)) => {
                    let mut bytes = args.join(&0);
                    bytes.push(0);
                    Some(bytes)
                }
                (was, _) => was.map(<[u8]>::to_vec),
            }
        });
        Arc::new(rows.collect::<BinaryArray>())
    }
}

#[cfg(test)]
mod tests {
    use whence_schemas::exec;
    use whence_schemas::redact::Rules;

    use super::*;

    #[test]
    fn all_forms_of_the_arguments_lose_the_secret_and_others_stay() {
        let mut builder = exec::Builder::default();
        let plain = ["ls", "-la"];
        let secret = ["mysql", "-phunter2", "\u{fffd}"];
        for (argv, raw) in [
            (&plain[..], None),
            (&secret[..], Some(b"mysql\0-phunter2\0\xff\0")),
        ] {
            builder.push(exec::Row {
                argv,
                argv_raw: raw.map(|r| r.as_slice()),
                cmdline: "as it was -phunter2",
                cwd: Some("/srv/a"),
                ..exec::Row::default()
            });
        }
        let batch = builder.finish("boot").unwrap();
        let mut redactor = Redactor::new(Rules::builtin());
        let found = rows(&exec::DEF, batch.clone(), &mut redactor).unwrap();
        assert_eq!(found.schema(), batch.schema());
        let argv = found
            .column_by_name("argv")
            .unwrap()
            .as_list::<i32>()
            .value(1);
        assert_eq!(argv.as_string::<i32>().value(1), "-p[secret:1]");
        let raw = found.column_by_name("argv_raw").unwrap().as_binary::<i32>();
        assert!(raw.is_null(0));
        assert_eq!(raw.value(1), b"mysql\0-p[secret:1]\0\xff\0");
        let cmdline = found.column_by_name("cmdline").unwrap().as_string::<i32>();
        assert_eq!(
            cmdline.value(0),
            "as it was -phunter2",
            "not of these arguments"
        );
        assert_eq!(cmdline.value(1), r"mysql '-p[secret:1]' $'\xff'");
    }
}
