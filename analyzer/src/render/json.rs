//! A JSON array of objects, one a line: valid for any reader of JSON, and still
//! for people to look at.

use arrow::array::RecordBatch;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use whence_schemas::quote::printable;

use super::rows::Out;
use crate::{Error, Result, scan};

/// Rows that one thread makes text of at a time.
const PART_ROWS: usize = 8 * 1024;
/// Parts that are held until they are written.
const PARTS: usize = 8;

pub(super) struct Json<'a> {
    out: Out<'a>,
    rows: usize,
}

impl<'a> Json<'a> {
    pub(super) fn new(out: Out<'a>) -> Self {
        Self { out, rows: 0 }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let starts: Vec<usize> = (0..batch.num_rows()).step_by(PART_ROWS).collect();
        for starts in starts.chunks(PARTS) {
            let parts = scan::each(starts.len(), Vec::new, |parts, at| {
                let rows = PART_ROWS.min(batch.num_rows() - starts[at]);
                parts.push((at, lines(&batch.slice(starts[at], rows))?));
                Ok(())
            })?;
            let mut parts: Vec<_> = parts.into_iter().flatten().collect();
            parts.sort_unstable_by_key(|(at, _)| *at);
            for (_, lines) in parts {
                self.write_lines(&lines).map_err(Error::output)?;
            }
        }
        Ok(())
    }

    fn write_lines(&mut self, lines: &[u8]) -> std::io::Result<()> {
        let is_plain = lines
            .iter()
            .all(|b| (b' '..0x7f).contains(b) || *b == b'\n');
        for line in lines.split_inclusive(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let before: &[u8] = if self.rows == 0 { b"[\n" } else { b",\n" };
            self.rows += 1;
            self.out.write_all(before)?;
            if is_plain {
                self.out.write_all(line)?;
            } else {
                let line = String::from_utf8_lossy(line);
                self.out.write_all(escaped(&line).as_bytes())?;
            }
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

/// A line for each row.
fn lines(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, LineDelimited>(&mut lines);
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(lines)
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
