//! `docs/tables.md` is made from the definitions of the tables.

use std::fmt::Write as _;
use std::path::Path;

use arrow::datatypes::DataType;
use whence_schemas::{TABLES, TableDef};

const HEAD: &str = "\
# Tables of a recording

Made from the definitions in `schemas/src/tables/`; `make bless` writes it anew.

Times ending in `_ns` are nanoseconds of CLOCK_BOOTTIME, which goes on while the
host sleeps. Every table also has `boot_id`, the kernel's random id of the boot:
across hosts and boots, a process is named by `(boot_id, upid)`.
";

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int64 => "BIGINT".into(),
        DataType::Int32 => "INTEGER".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Utf8 => "VARCHAR".into(),
        DataType::Binary => "BLOB".into(),
        DataType::Timestamp(..) => "TIMESTAMP (UTC, microseconds)".into(),
        DataType::List(item) => format!("{}[]", type_name(item.data_type())),
        other => other.to_string(),
    }
}

fn one_line(doc: &str) -> String {
    let words: Vec<&str> = doc.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

fn section(page: &mut String, def: &TableDef) {
    let _ = write!(page, "\n## {}\n\n{}\n\n", def.name, one_line(def.doc));
    page.push_str("| column | type | meaning |\n| --- | --- | --- |\n");
    for column in def.columns {
        let nullable = if column.nullable { ", may be NULL" } else { "" };
        let _ = writeln!(
            page,
            "| `{}` | {}{nullable} | {} |",
            column.name,
            type_name(&(column.data_type)()),
            one_line(column.doc),
        );
    }
}

#[test]
fn the_page_says_what_the_definitions_say() {
    let mut page = HEAD.to_owned();
    for def in TABLES {
        section(&mut page, def);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tables.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == page, "docs/tables.md is stale: run make bless");
}

/// A table without a time column could not be placed in time, and one whose
/// time may be NULL would break the segment's range.
#[test]
fn every_table_has_a_time_that_is_always_there() {
    for def in TABLES {
        let column = def.column(def.time_column).unwrap();
        assert!(!column.nullable, "{}", def.name);
        assert_eq!((column.data_type)(), DataType::Int64, "{}", def.name);
    }
}

/// Released columns stay, with their type and in their order: what was added
/// since comes after them, or is listed in its place here.
#[test]
fn no_column_of_format_1_is_gone() {
    let frozen = include_str!("frozen/format-1.txt");
    for line in frozen.lines() {
        let (table, rest) = line.split_once('.').unwrap();
        let (column, data_type) = rest.split_once(' ').unwrap();
        let def = whence_schemas::table(table).unwrap();
        let found = def.column(column).map(|c| type_name(&(c.data_type)()));
        assert_eq!(found.as_deref(), Some(data_type), "{table}.{column}");
    }
}
