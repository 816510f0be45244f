//! `docs/queries.md` is made from the comments of the queries.

use std::fmt::Write as _;
use std::path::Path;

use whence_queries::{QUERIES, Query, params};

const HEAD: &str = "\
# Named queries

Made from the comments in `queries/*.sql`; `make bless` writes it anew.

`whence query NAME` runs one, `--param name=value` sets a parameter, `whence query
--list` lists them. They are plain files of SQL: copy one to begin your own, and
run it with `whence query -f FILE`.
";

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn section(page: &mut String, query: &Query) {
    let _ = write!(page, "\n## {}\n\n{}\n\n", query.name, query.purpose());
    let params = params(query.sql);
    if !params.is_empty() {
        page.push_str("| parameter | default | meaning |\n| --- | --- | --- |\n");
        for param in params {
            let default = match (param.is_number(), param.default.as_str()) {
                (false, "") => "''".to_owned(),
                (_, default) => default.to_owned(),
            };
            let meaning = cell(&param.meaning);
            let _ = writeln!(page, "| `{}` | `{default}` | {meaning} |", param.name);
        }
        page.push('\n');
    }
    page.push_str("| column | meaning |\n| --- | --- |\n");
    for column in query.columns() {
        let names: Vec<String> = column.names.iter().map(|n| format!("`{n}`")).collect();
        let _ = writeln!(page, "| {} | {} |", names.join(", "), cell(&column.meaning));
    }
}

#[test]
fn the_page_of_queries_is_up_to_date() {
    let mut page = HEAD.to_owned();
    for query in QUERIES {
        section(&mut page, query);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/queries.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/queries.md is out of date; make bless");
}
