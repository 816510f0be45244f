//! The flame graph opens in a browser, and its search and zoom work.

use libtest_mimic::Failed;

use crate::browser::Browser;
use crate::common::{Story, on};
use crate::stories::{ksmtuned, no_complaints};
use crate::{Test, ensure, with_browser};

type Tested = Result<(), Failed>;

pub(crate) const TESTS: &[Test] = &[
    with_browser("flame/opens_searches_and_zooms", opens),
    with_browser("flame/draws_another_event", other_event),
    with_browser("flame/names_are_inert", inert),
];

fn drawn(story: Story, more: &[&str]) -> Result<(tempfile::TempDir, Browser), Failed> {
    let folder = tempfile::tempdir()?;
    let recording = story.write(folder.path(), "story");
    let file = folder.path().join("f.svg");
    let name = file.to_str().ok_or("no name")?;
    let output = on(&recording, &[&["flame", "-o", name], more].concat());
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let browser = Browser::start(1300, 700)?;
    browser.open(&file)?;
    browser.wait("document.querySelector('#frames g')")?;
    Ok((folder, browser))
}

const TITLES: &str =
    "[...document.querySelectorAll('#frames title')].map((t) => t.textContent).join('|')";

fn opens() -> Tested {
    let (_folder, browser) = drawn(ksmtuned(), &[])?;
    let titles = browser.text(TITLES)?;
    for said in [
        "awk (300.0 ms, 75.0%)",
        "[softirq] (100.0 ms, 25.0%)",
        "vfs_read (300.0 ms, 75.0%)",
    ] {
        ensure!(titles.contains(said), "{said:?} is not in {titles}");
    }
    let all = browser.text("document.documentElement.textContent")?;
    ensure!(
        all.contains("lost: 17 exec events"),
        "it does not say what was lost"
    );
    browser.keys("/vfs_re")?;
    browser.wait("document.getElementById('matched').textContent === '75.0%'")?;
    let marked = browser.text("document.querySelectorAll('.match').length")?;
    ensure!(marked == "1", "{marked} frames are marked");
    // A click zooms, Esc leads back.
    let hidden =
        "[...document.querySelectorAll('#frames g')].filter((g) => g.style.display).length";
    let softirq = "[...document.querySelectorAll('#frames g')].find((g) => g.textContent.startsWith('[softirq]'))";
    browser.click(&format!("{softirq}.children[1]"))?;
    browser.wait(&format!("{hidden} === 7"))?;
    browser.keys(crate::browser::ESCAPE)?;
    browser.wait(&format!("{hidden} === 0"))?;
    no_complaints(&browser)
}

fn other_event() -> Tested {
    let (_folder, browser) = drawn(ksmtuned(), &["--event", "block_rq_complete"])?;
    let titles = browser.text(TITLES)?;
    ensure!(
        titles.contains("block_rq_complete (5 hits, 100.0%)"),
        "{titles}"
    );
    no_complaints(&browser)
}

fn inert() -> Tested {
    let name = "</title><script>window.owned=1</script>;\u{202e}\u{1b}[31m";
    let story = Story::new(name).samples(3, "cpu-clock", ("task", name), &[name], &["]]>", name]);
    let (_folder, browser) = drawn(story, &[])?;
    ensure!(
        browser.text("window.owned")? == "undefined",
        "a name was run"
    );
    let titles = browser.text(TITLES)?;
    ensure!(
        titles.contains("<script>window.owned=1</script>;\\u202e\\x1b[31m"),
        "{titles}"
    );
    let raw = browser.text("/[\\u001b\\u202e]/.test(document.documentElement.textContent)")?;
    ensure!(raw == "false", "there is a raw character");
    no_complaints(&browser)
}
