//! Puts the page together: its frame, styles and scripts, and the data.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha2::{Digest as _, Sha256};

use super::document::Document;
use crate::{Error, Result};

const FRAME: &str = include_str!("../../report/page.html");
const STYLES: &[&str] = &[
    include_str!("../../report/base.css"),
    include_str!("../../report/views.css"),
    include_str!("../../report/print.css"),
];
/// In the order in which they need each other.
const SCRIPTS: &[&str] = &[
    include_str!("../../report/text.js"),
    include_str!("../../report/dom.js"),
    include_str!("../../report/decode.js"),
    include_str!("../../report/colours.js"),
    include_str!("../../report/canvas.js"),
    include_str!("../../report/rows.js"),
    include_str!("../../report/overview.js"),
    include_str!("../../report/timeline.js"),
    include_str!("../../report/tree.js"),
    include_str!("../../report/details.js"),
    include_str!("../../report/programs.js"),
    include_str!("../../report/changes.js"),
    include_str!("../../report/callpaths.js"),
    include_str!("../../report/flame.js"),
    include_str!("../../report/functions.js"),
    include_str!("../../report/about.js"),
    include_str!("../../report/print.js"),
    include_str!("../../report/keys.js"),
    include_str!("../../report/main.js"),
];

/// Writes it.
pub(super) fn write(document: &Document, out: &mut dyn Write) -> Result<()> {
    let style = STYLES.concat();
    let script = format!("\"use strict\";\n(() => {{\n{}\n}})();\n", SCRIPTS.concat());
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; base-uri 'none'; \
         form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        hash(&script),
        hash(&style)
    );
    // Each part goes in once, where the frame says; what went in is not looked
    // at again.
    let mut rest = FRAME;
    for (place, part) in [
        ("{{policy}}", policy.as_str()),
        ("{{style}}", &style),
        ("{{data}}", ""),
        ("{{script}}", &script),
    ] {
        let (before, after) = rest.split_once(place).unwrap_or((rest, ""));
        emit(out, before)?;
        match place {
            "{{data}}" => write_data(document, out)?,
            _ => emit(out, part)?,
        }
        rest = after;
    }
    emit(out, rest)?;
    out.flush().map_err(failed)
}

/// The data as a JSON string: base64 of zlib's deflate of JSON. No character of
/// it means anything to HTML.
fn write_data(document: &Document, out: &mut dyn Write) -> Result<()> {
    emit(out, "{\"zlib\":\"")?;
    let mut base64 = EncoderWriter::new(&mut *out, &STANDARD);
    let mut zlib = ZlibEncoder::new(&mut base64, Compression::new(7));
    serde_json::to_writer(&mut zlib, document).map_err(|e| failed(e.into()))?;
    zlib.finish().map_err(failed)?;
    base64.finish().map_err(failed)?;
    drop(base64);
    emit(out, "\"}")
}

/// As a content security policy names a script.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

fn emit(out: &mut dyn Write, text: &str) -> Result<()> {
    out.write_all(text.as_bytes()).map_err(failed)
}

fn failed(source: std::io::Error) -> Error {
    Error::Write {
        object: "the report".into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_has_each_part_once_and_in_order() {
        let places = ["{{policy}}", "{{style}}", "{{data}}", "{{script}}"];
        let found: Vec<usize> = places.iter().filter_map(|p| FRAME.find(p)).collect();
        assert_eq!(found.len(), places.len());
        assert!(found.is_sorted());
        for place in places {
            assert_eq!(FRAME.matches(place).count(), 1, "{place}");
        }
    }

    /// An element that ended early would leave the rest of the page as text.
    #[test]
    fn nothing_that_goes_in_ends_its_element() {
        for script in SCRIPTS {
            let lower = script.to_lowercase();
            assert!(!lower.contains("</script") && !lower.contains("<!--"));
        }
        for style in STYLES {
            assert!(!style.to_lowercase().contains("</style"));
        }
    }

    /// All text is set as text: there is no other way in.
    #[test]
    fn no_script_makes_markup_of_text() {
        for script in SCRIPTS {
            for way in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!script.contains(way), "{way}");
            }
        }
    }
}
