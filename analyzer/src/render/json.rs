//! A JSON array of objects, one a line: valid for any reader of JSON, and still
//! for people to look at.

use arrow::array::RecordBatch;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use whence_schemas::quote::printable;

use super::rows::Out;
use crate::{Error, Result};

pub(super) struct Json<'a> {
    out: Out<'a>,
    rows: usize,
}

impl<'a> Json<'a> {
    pub(super) fn new(out: Out<'a>) -> Self {
        Self { out, rows: 0 }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut lines = Vec::new();
        let builder = WriterBuilder::new().with_explicit_nulls(true);
        let mut writer = builder.build::<_, LineDelimited>(&mut lines);
        writer.write(batch)?;
        writer.finish()?;
        drop(writer);
        for line in String::from_utf8_lossy(&lines).lines() {
            let before = if self.rows == 0 { "[\n" } else { ",\n" };
            self.rows += 1;
            write!(self.out, "{before}{}", escaped(line)).map_err(Error::output)?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(Error::output)
    }

    pub(super) fn finish(self) -> Result<()> {
        let end = if self.rows == 0 { "[]\n" } else { "\n]\n" };
        write!(self.out, "{end}")
            .and_then(|()| self.out.flush())
            .map_err(Error::output)
    }
}

/// JSON must escape only the first 32 control characters; others act on a
/// terminal too.
fn escaped(line: &str) -> String {
    if line.bytes().all(|b| (b' '..0x7f).contains(&b)) {
        return line.to_owned();
    }
    let mut text = String::with_capacity(line.len());
    let mut units = [0; 2];
    for c in line.chars() {
        let mut utf8 = [0; 4];
        if printable(c.encode_utf8(&mut utf8)).len() == c.len_utf8() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_and_reads_back() {
        let value = "a\u{9b}31m\u{202e}é\u{e0001}";
        let line = serde_json::to_string(value).unwrap();
        let safe = escaped(&line);
        assert_eq!(safe, r#""a\u009b31m\u202eé\udb40\udc01""#);
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), value);
    }
}
