//! A recording of a stranger who means harm: whatever its names are, they are
//! text.

use libtest_mimic::Failed;
use serde_json::json;

use crate::common::Story;
use crate::stories::{click_row, no_complaints, reported, rows, shown};
use crate::{Test, ensure, with_browser, without_browser};

type Tested = Result<(), Failed>;

pub(crate) const TESTS: &[Test] = &[
    with_browser("hostile/names_are_inert_everywhere", inert),
    with_browser(
        "hostile/no_control_or_bidi_character_reaches_the_page",
        printable,
    ),
    with_browser(
        "hostile/the_policy_forbids_what_the_page_does_not_need",
        policy,
    ),
    with_browser("hostile/times_beyond_all_bounds_are_drawn", times),
    without_browser(
        "hostile/no_string_of_the_recording_is_in_the_file_as_it_is",
        not_as_is,
    ),
];

const SCRIPT: &str = "<script>window.owned=1</script>";
const CLOSING: &str = "</script><img src=x onerror=window.owned=2>";
const BIDI: &str = "a\u{202e}b\u{1b}[31mc\u{7}\u{2066}d";

fn story() -> Story {
    Story::new(SCRIPT)
        .running(1, 0, SCRIPT, CLOSING)
        .running(2, 1, BIDI, BIDI)
        .fork_from(100, 1, 20, &[SCRIPT, CLOSING, BIDI])
        .exec_with(
            101,
            20,
            1,
            &[CLOSING, BIDI, "<b>bold</b>"],
            json!({"comm": CLOSING, "cwd": SCRIPT}),
        )
        .exit(300, 20, 1)
        .fork(400, 1, 21)
        .exec_with(
            401,
            21,
            1,
            &["x", "__proto__"],
            json!({"comm": "__proto__"}),
        )
        .exit(500, 21, 0)
        .samples(
            3,
            "cpu-clock",
            ("task", CLOSING),
            &[SCRIPT, BIDI],
            &[CLOSING, "constructor"],
        )
        .samples(3, SCRIPT, ("task", BIDI), &[CLOSING], &["toString"])
        .lost(CLOSING, BIDI, 100, 200, 5)
}

/// Goes through all that can be seen.
const TOUR: &[&str] = &["2", "3", "4", "1", "q"];

fn inert() -> Tested {
    let (_folder, browser) = shown(story())?;
    let found = rows(&browser)?;
    ensure!(
        found.iter().any(|row| row.starts_with(CLOSING)),
        "{found:?}"
    );
    for key in TOUR {
        browser.keys(key)?;
        browser.run("dispatchEvent(new Event('beforeprint'))")?;
        let markup = browser
            .text("document.querySelectorAll('img, b b, body script:not([id]) ~ script').length")?;
        ensure!(
            markup == "0",
            "after {key}: {markup} elements were made of names"
        );
    }
    browser.run(
        "[...document.querySelectorAll('.row:not([hidden])')] \
         .find((row) => row.textContent.includes('onerror') && row.textContent.includes('20')) \
         .children[2].click()",
    )?;
    browser.wait("document.querySelectorAll('#details .argv code').length === 3")?;
    let argv = browser.text("document.querySelector('#details .argv').innerText")?;
    ensure!(argv.contains("<b>bold</b>"), "{argv}");
    let details = browser.text("document.getElementById('details').textContent")?;
    ensure!(details.contains(SCRIPT), "{details}");
    ensure!(
        browser.text("window.owned")? == "undefined",
        "a name was run"
    );
    click_row(&browser, "__proto__")?;
    browser.wait("document.querySelector('#details h2').textContent === '__proto__'")?;
    no_complaints(&browser)
}

fn printable() -> Tested {
    let (_folder, browser) = shown(story())?;
    for key in TOUR {
        browser.keys(key)?;
        browser.run("dispatchEvent(new Event('beforeprint'))")?;
        let raw = browser.text(
            "/[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]/ \
             .test(document.documentElement.textContent + document.title)",
        )?;
        ensure!(raw == "false", "after {key} there is a raw character");
    }
    let shown = browser.text("document.body.textContent.includes('a\\\\u202eb\\\\x1b[31mc')")?;
    ensure!(shown == "true", "the escapes are not to be seen");
    no_complaints(&browser)
}

fn policy() -> Tested {
    let (_folder, browser) = shown(story())?;
    // Script made of text, an image of the network, and a request: all refused.
    browser.run(
        "const s = document.createElement('script'); \
         try { s.textContent = 'window.owned = 3'; document.body.append(s); } catch {} \
         try { document.body.insertAdjacentHTML('beforeend', '<p id=made>'); } catch {} \
         window.answer = 'none'; \
         fetch('http://127.0.0.1:9/').then(() => (window.answer = 'came'), () => (window.answer = 'refused'));",
    )?;
    browser.wait("window.answer !== 'none'")?;
    ensure!(
        browser.text("window.owned")? == "undefined",
        "a script was run"
    );
    ensure!(
        browser.text("document.getElementById('made')")? == "null",
        "markup was made"
    );
    let complaints = browser.complaints()?.join("\n");
    for refused in ["TrustedScript", "TrustedHTML", "connect-src"] {
        ensure!(
            complaints.contains(refused),
            "{refused} was not refused: {complaints}"
        );
    }
    Ok(())
}

fn times() -> Tested {
    let far = i64::MAX - 5;
    let story = Story::new("far")
        .running(1, 0, "init", "/sbin/init")
        .run(100, 1, 20, &["true"])
        .row("loss", json!({"stream": "exec", "cause": "ring full", "t0_ns": -far, "t1_ns": far, "count": far}))
        .row("sample", json!({"ts_ns": 0, "event": "cpu-clock", "context": "task", "weight": far, "comm": "x"}))
        .row("sample", json!({"ts_ns": 0, "event": "cpu-clock", "context": "task", "weight": -far, "comm": "x"}));
    let (_folder, browser) = shown(story)?;
    for key in ["3", "4", "2", "1", "w", "d", "0"] {
        browser.keys(key)?;
    }
    ensure!(
        rows(&browser)?.contains(&"true 20".into()),
        "{:?}",
        rows(&browser)?
    );
    no_complaints(&browser)
}

fn not_as_is() -> Tested {
    let (_folder, page) = reported(story())?;
    let text = std::fs::read_to_string(&page)?;
    for name in ["owned", "onerror", "\u{202e}", "\u{1b}"] {
        ensure!(!text.contains(name), "{name:?} is in the file as it is");
    }
    ensure!(
        text.matches("<script").count() == 2,
        "there are other scripts"
    );
    ensure!(
        text.matches("</script").count() == 2,
        "there are other ends of scripts"
    );
    Ok(())
}
