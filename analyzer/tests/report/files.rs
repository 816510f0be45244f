//! The files as such, and what is said where there is none.

use std::os::unix::fs::PermissionsExt as _;

use libtest_mimic::Failed;

use crate::common::{Story, on, refused, whence};
use crate::stories::{ksmtuned, page_of, reported};
use crate::{Test, ensure, without_browser};

type Tested = Result<(), Failed>;

pub(crate) const TESTS: &[Test] = &[
    without_browser("file/the_same_recording_gives_the_same_page", same),
    without_browser("file/only_its_owner_can_read_it", private),
    without_browser("file/a_report_is_replaced_as_a_whole", replaced),
    without_browser(
        "file/nothing_is_written_into_a_recording",
        spares_recordings,
    ),
    without_browser("file/the_standard_output_is_a_dash", dash),
    without_browser("file/what_was_lost_is_said_beside_it", says_loss),
    without_browser("file/a_place_that_cannot_be_written_is_named", no_place),
    without_browser(
        "file/a_flame_graph_needs_an_event_that_was_recorded",
        no_event,
    ),
    without_browser("file/a_recording_without_stacks_has_a_report", no_stacks),
];

fn same() -> Tested {
    let folder = tempfile::tempdir()?;
    let recording = ksmtuned().write(folder.path(), "story");
    let first = std::fs::read(page_of(folder.path(), &recording, &[])?)?;
    let second = std::fs::read(page_of(folder.path(), &recording, &[])?)?;
    ensure!(first == second, "it differs");
    Ok(())
}

fn private() -> Tested {
    let (_folder, page) = reported(ksmtuned())?;
    let mode = page.metadata()?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{mode:o}");
    Ok(())
}

fn replaced() -> Tested {
    let folder = tempfile::tempdir()?;
    let recording = ksmtuned().write(folder.path(), "story");
    let page = folder.path().join("report.html");
    std::fs::write(&page, "x".repeat(10_000_000))?;
    page_of(folder.path(), &recording, &[])?;
    let text = std::fs::read_to_string(&page)?;
    ensure!(
        text.ends_with("</html>\n"),
        "the end is {:?}",
        &text[text.len() - 40..]
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())?.collect();
    ensure!(left.len() == 2, "{left:?}");
    Ok(())
}

fn spares_recordings() -> Tested {
    let folder = tempfile::tempdir()?;
    let recording = ksmtuned().write(folder.path(), "story");
    let inside = recording.join("exec/r.html");
    let inside = inside.to_str().ok_or("no name")?;
    for command in ["report", "flame"] {
        let said = refused(&on(&recording, &[command, "-o", inside]), 2);
        ensure!(said.contains("lies in the recording"), "{said}");
    }
    ensure!(!recording.join("exec/r.html").exists(), "it was written");
    Ok(())
}

fn dash() -> Tested {
    let folder = tempfile::tempdir()?;
    let recording = ksmtuned().write(folder.path(), "story");
    let page = on(&recording, &["report", "-o", "-"]);
    ensure!(page.stdout.starts_with(b"<!doctype html>"), "no page");
    let svg = on(&recording, &["flame", "-o", "-"]);
    ensure!(svg.stdout.starts_with(b"<?xml"), "no SVG");
    Ok(())
}

fn says_loss() -> Tested {
    let folder = tempfile::tempdir()?;
    let recording = ksmtuned().write(folder.path(), "story");
    for command in ["report", "flame"] {
        let output = on(&recording, &[command, "-o", "-"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            said.contains("whence: lost: 17 exec events"),
            "{command}: {said}"
        );
    }
    Ok(())
}

fn no_place() -> Tested {
    let folder = tempfile::tempdir()?;
    let recording = ksmtuned().write(folder.path(), "story");
    for place in ["/no/such/folder/r.html", "/"] {
        let said = refused(&on(&recording, &["report", "-o", place]), 1);
        ensure!(
            said.starts_with(&format!("whence: failed to write {place}: ")),
            "{said}"
        );
    }
    let said = refused(&whence(&["report", "-i", "/dev/null"]), 2);
    ensure!(said.contains("--output <FILE.html>"), "{said}");
    refused(
        &on(&recording, &["report", "-o", "-", "--max-processes", "0"]),
        2,
    );
    Ok(())
}

fn no_event() -> Tested {
    let folder = tempfile::tempdir()?;
    let recording = ksmtuned().write(folder.path(), "story");
    let said = refused(
        &on(&recording, &["flame", "-o", "-", "--event", "nothing"]),
        1,
    );
    ensure!(said.contains("no event nothing was recorded"), "{said}");
    let said = refused(&on(&recording, &["flame", "-o", "-", "--pid", "4242"]), 1);
    ensure!(said.contains("no samples of pid 4242"), "{said}");
    Ok(())
}

fn no_stacks() -> Tested {
    let folder = tempfile::tempdir()?;
    let story = Story::new("quiet").running(1, 0, "init", "/sbin/init");
    let recording = story.write(folder.path(), "story");
    page_of(folder.path(), &recording, &[])?;
    let said = refused(&on(&recording, &["flame", "-o", "-"]), 1);
    ensure!(said.contains("no stacks were recorded"), "{said}");
    Ok(())
}
