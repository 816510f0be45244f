//! What the tests look at.

use std::path::{Path, PathBuf};

use libtest_mimic::Failed;

use crate::browser::Browser;
use crate::common::{Story, on};

/// A shell script that was there before runs awk and sleep again and again, by
/// a call path that is known; something fails, and some execs are lost.
pub(crate) fn ksmtuned() -> Story {
    let script = &["main", "execute_command", "make_child", "fork"];
    let mut story = Story::new("web1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(80, 1, "ksmtuned", "/bin/bash /usr/sbin/ksmtuned")
        .running(90, 1, "idle-daemon", "/usr/sbin/idle-daemon --wait");
    for i in 0..16 {
        let (ms, pid) = (100 + i * 500, 200 + 2 * i as i32);
        story = story
            .fork_from(ms, 80, pid, script)
            .exec(
                ms + 1,
                pid,
                80,
                &["awk", "/^MemFree:/ {print $2}", "/proc/meminfo"],
            )
            .exit(ms + 6, pid, 0)
            .fork_from(ms + 10, 80, pid + 1, script)
            .exec(ms + 11, pid + 1, 80, &["sleep", "0.4"])
            .exit(ms + 410, pid + 1, 0);
    }
    let story = story
        .fork(300, 80, 300)
        .exec(301, 300, 80, &["pgrep", "-d", " ", "-f", "", "qemu kvm"])
        .exit(420, 300, 1)
        .samples(
            30,
            "cpu-clock",
            ("task", "awk"),
            &["entry_SYSCALL_64", "ksys_read", "vfs_read"],
            &["_start", "main", "yyparse"],
        )
        .samples(
            10,
            "cpu-clock",
            ("softirq", "awk"),
            &["asm_common_interrupt", "blk_done_softirq"],
            &[],
        )
        .samples(
            5,
            "tracepoint:block:block_rq_complete",
            ("task", "dd"),
            &["entry_SYSCALL_64", "blk_update_request"],
            &["main", "copy"],
        );
    story.lost("exec", "ring full", 2_000, 3_000, 17)
}

/// A report of a story, in a folder that lives as long as the test.
pub(crate) fn reported(story: Story) -> Result<(tempfile::TempDir, PathBuf), Failed> {
    let folder = tempfile::tempdir()?;
    let recording = story.write(folder.path(), "story");
    let page = page_of(folder.path(), &recording, &[])?;
    Ok((folder, page))
}

/// A report of a recording.
pub(crate) fn page_of(folder: &Path, recording: &Path, more: &[&str]) -> Result<PathBuf, Failed> {
    let page = folder.join("report.html");
    let name = page.to_str().ok_or("no name")?;
    let output = on(recording, &[&["report", "-o", name], more].concat());
    match output.status.success() {
        true => Ok(page),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

/// A browser that shows the report of a story.
pub(crate) fn shown(story: Story) -> Result<(tempfile::TempDir, Browser), Failed> {
    let (folder, page) = reported(story)?;
    let browser = Browser::start(1400, 900)?;
    open(&browser, &page)?;
    Ok((folder, browser))
}

/// Opens a report and waits until it is drawn.
pub(crate) fn open(browser: &Browser, page: &Path) -> Result<(), Failed> {
    browser.open(page)?;
    browser.wait("document.body?.dataset.ready || document.querySelector('.notice')")?;
    browser.wait("document.querySelector('.row:not([hidden])')")
}

/// Names of the rows of the tree that are on the screen, with what stands
/// beside them: `awk ×16`.
pub(crate) fn rows(browser: &Browser) -> Result<Vec<String>, Failed> {
    // Rows are drawn with the next frame.
    let script = "return new Promise((done) => requestAnimationFrame(() => \
        requestAnimationFrame(() => done([...document.querySelectorAll('.row:not([hidden])')] \
        .sort((a, b) => a.index - b.index) \
        .map((row) => `${row.children[2].textContent} ${row.children[3].textContent}`)))))";
    let rows = browser.run(script)?;
    let rows = rows.as_array().cloned().unwrap_or_default();
    let text = |row: &serde_json::Value| row.as_str().unwrap_or_default().to_owned();
    Ok(rows.iter().map(text).collect())
}

/// Clicks the row of the tree with this name.
pub(crate) fn click_row(browser: &Browser, name: &str) -> Result<(), Failed> {
    let element = format!(
        "[...document.querySelectorAll('.row:not([hidden])')] \
         .find((row) => row.children[2].textContent === '{name}')?.children[2]"
    );
    browser.click(&element)
}

/// Fails if the browser complained of anything but of pixels being read, which
/// only a test does.
pub(crate) fn no_complaints(browser: &Browser) -> Result<(), Failed> {
    let mut complaints = browser.complaints()?;
    complaints.retain(|complaint| !complaint.contains("willReadFrequently"));
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(format!("the browser complains: {complaints:?}").into()),
    }
}
