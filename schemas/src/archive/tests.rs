use std::fs;
use std::io::Write as _;

use rawzip::ZipArchiveWriter;
use rawzip::path::EntryPath;

use super::*;
use crate::manifest::Manifest;
use crate::place::Place;

/// A zip of these files.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipArchiveWriter::new(Vec::new());
    for (name, content) in files {
        let name = EntryPath::verbatim(name.as_bytes());
        let (mut entry, config) = writer.new_file(name).start().unwrap();
        let mut data = config.wrap(&mut entry);
        data.write_all(content).unwrap();
        let (_, output) = data.finish().unwrap();
        entry.finish(output).unwrap();
    }
    writer.finish().unwrap()
}

fn open(content: &[u8]) -> Result<Archive> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zip");
    fs::write(&path, content).unwrap();
    Archive::open(&path)
}

fn refused(content: &[u8]) -> String {
    open(content).unwrap_err().to_string()
}

#[test]
fn files_are_read_where_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zip");
    let content = zip(&[
        ("x/recording.json", b"{}"),
        ("x/exec/000001.parquet", b"rows"),
    ]);
    fs::write(&path, content).unwrap();
    let archive = Archive::open(&path).unwrap();
    assert_eq!(archive.read("recording.json", 10).unwrap(), b"{}");
    let (location, bytes) = archive.find("exec/000001.parquet").unwrap();
    assert_eq!(bytes, 4);
    assert_eq!(location.open().unwrap().read_at(1, 3).unwrap(), b"ows");
    assert!(
        location.open().unwrap().read_at(1, 4).is_err(),
        "beyond its end"
    );
    assert_eq!(
        Place::Archive(archive).segments_of("exec").unwrap(),
        ["000001.parquet"]
    );
}

#[test]
fn names_that_lead_out_of_a_zip_are_refused() {
    for name in [
        "../x",
        "/etc/passwd",
        "a/../../b",
        "a//b",
        "./a",
        "a\\b",
        "C:/x",
        "a\0b",
    ] {
        let said = refused(&zip(&[("recording.json", b"{}"), (name, b"")]));
        assert!(said.contains("no name for a file"), "{name:?}: {said}");
    }
    let long = "a/".repeat(300) + "b";
    assert!(refused(&zip(&[(&long, b"")])).contains("no name for a file"));
}

#[test]
fn two_files_of_one_name_are_refused() {
    let said = refused(&zip(&[
        ("recording.json", b"{}"),
        ("recording.json", b"[]"),
    ]));
    assert!(said.contains("two files named"), "{said}");
}

#[test]
fn links_are_refused() {
    let mut content = zip(&[("recording.json", b"{}"), ("exec", b"/etc")]);
    // The high half of the external attributes, in the last central header.
    let at = content
        .windows(4)
        .rposition(|w| w == b"PK\x01\x02")
        .unwrap();
    content[at + 4..at + 6].copy_from_slice(&[20, 3]);
    content[at + 40..at + 42].copy_from_slice(&0o120_777_u16.to_le_bytes());
    let said = refused(&content);
    assert!(said.contains("is a link"), "{said}");
}

#[test]
fn files_that_share_bytes_are_refused() {
    let mut content = zip(&[("recording.json", b"{}"), ("a", &[0; 4096]), ("b", b"")]);
    // The second file is said to lie where the first one does.
    let headers: Vec<usize> = (0..content.len() - 4)
        .filter(|i| content[*i..].starts_with(b"PK\x01\x02"))
        .collect();
    let first: [u8; 4] = content[headers[1] + 42..headers[1] + 46]
        .try_into()
        .unwrap();
    content[headers[2] + 42..headers[2] + 46].copy_from_slice(&first);
    let said = refused(&content);
    assert!(said.contains("share bytes"), "{said}");
}

#[test]
fn compressed_files_are_named_with_what_to_do() {
    let mut content = zip(&[("recording.json", b"{}")]);
    let at = content
        .windows(4)
        .rposition(|w| w == b"PK\x01\x02")
        .unwrap();
    content[at + 10] = 8;
    content[8] = 8;
    let archive = open(&content).unwrap();
    let said = archive.read("recording.json", 10).unwrap_err().to_string();
    assert!(said.contains("unpack"), "{said}");
}

#[test]
fn a_bomb_is_not_inflated() {
    // What is said to be a gigabyte is two bytes of another size.
    let mut content = zip(&[("recording.json", b"{}")]);
    let at = content
        .windows(4)
        .rposition(|w| w == b"PK\x01\x02")
        .unwrap();
    content[at + 24..at + 28].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    match open(&content) {
        Ok(archive) => assert!(archive.read("recording.json", 10).is_err()),
        Err(e) => assert!(matches!(e, Error::Corrupt { .. }), "{e}"),
    }
}

#[test]
fn more_files_than_a_recording_has_are_refused() {
    let names: Vec<String> = (0..=MAX_ENTRIES).map(|n| format!("{n}")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), b"".as_slice())).collect();
    let said = refused(&zip(&files));
    assert!(said.contains("more than 100000 files"), "{said}");
}

#[test]
fn a_zip_cut_or_changed_anywhere_is_an_error_or_reads_as_it_was() {
    let content = zip(&[
        ("x/recording.json", b"{\"a\": 1}"),
        ("x/exec/000001.parquet", b"r"),
    ]);
    for length in 0..content.len() {
        let cut = open(&content[..length]);
        assert!(cut.is_err(), "cut to {length} of {}", content.len());
    }
    for at in 0..content.len() {
        let mut changed = content.clone();
        changed[at] ^= 0x41;
        if let Ok(archive) = open(&changed)
            && let Ok(manifest) = archive.read("recording.json", 100)
        {
            assert_eq!(manifest, b"{\"a\": 1}", "changed at {at}");
        }
    }
}

#[test]
fn a_zip_without_a_recording_or_with_two_is_none() {
    for files in [
        vec![("a", b"".as_slice())],
        vec![
            ("a/recording.json", b"{}".as_slice()),
            ("b/recording.json", b"{}"),
        ],
        vec![("a/b/recording.json", b"{}".as_slice())],
    ] {
        let said = refused(&zip(&files));
        assert!(said.contains("exactly one recording.json"), "{said}");
    }
    assert!(refused(b"not a zip").contains("neither a folder"));
}

#[test]
fn a_manifest_is_read_from_a_zip_as_from_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zip");
    fs::write(
        &path,
        zip(&[("recording.json", b"{\"format_version\": 99}")]),
    )
    .unwrap();
    let error = Manifest::read_at(&Place::open(&path).unwrap()).unwrap_err();
    assert!(
        matches!(error, Error::NewerFormat { found: 99, .. }),
        "{error}"
    );
}
