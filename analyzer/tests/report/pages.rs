//! What a reader does with the page.

use libtest_mimic::Failed;

use crate::browser::{Browser, DOWN, ENTER, ESCAPE, RIGHT};
use crate::common::on;
use crate::stories::{click_row, ksmtuned, no_complaints, open, page_of, rows, shown};
use crate::{Test, ensure, with_browser};

type Tested = Result<(), Failed>;

pub(crate) const TESTS: &[Test] = &[
    with_browser("page/opens_and_says_what_was_recorded", opens),
    with_browser("page/of_a_bundle_says_what_its_maker_had_to_say", note),
    with_browser("page/search_keeps_matches_and_their_ancestors", searches),
    with_browser("page/a_group_unfolds_by_mouse_and_by_key", unfolds),
    with_browser("page/details_keep_the_boundaries_of_arguments", details),
    with_browser("page/details_name_the_code_that_forked", caller),
    with_browser("page/call_paths_are_searched_and_turned_around", paths),
    with_browser("page/a_frame_is_zoomed_by_a_click", zooms_frames),
    with_browser("page/time_is_zoomed_and_moved_by_keys", zooms_time),
    with_browser("page/loss_is_on_the_time_axis_and_in_words", loss),
    with_browser("page/programs_are_listed_by_who_started_them", programs),
    with_browser("page/dark_and_light_follow_the_button", themes),
    with_browser("page/keys_are_explained", keys),
    with_browser("page/what_is_printed_is_text", prints),
    with_browser("page/paper_is_read_by_everyone", paper),
    with_browser("page/changes_since_another_recording", changes),
    with_browser("page/a_narrow_window_cuts_nothing_off", narrow),
    with_browser("page/nothing_is_loaded", loads_nothing),
];

fn opens() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    let title = browser.text("document.title")?;
    ensure!(title == "web1 · whence report", "{title}");
    let head = browser.text("document.getElementById('head').innerText")?;
    for said in [
        "web1",
        "2026-01-02 13:00:00",
        "33",
        "execs",
        "lost: 17 exec events",
    ] {
        ensure!(head.contains(said), "{said:?} is not in {head:?}");
    }
    let found = rows(&browser)?;
    let expected = [
        "systemd 1",
        "ksmtuned 80",
        "awk ×16",
        "sleep ×16",
        "pgrep 300",
    ];
    ensure!(found == expected, "{found:?}");
    // What did nothing is there when it is asked for.
    browser.keys("q")?;
    let found = rows(&browser)?;
    ensure!(found.contains(&"idle-daemon 90".into()), "{found:?}");
    no_complaints(&browser)
}

fn note() -> Tested {
    let folder = tempfile::tempdir()?;
    let recording = ksmtuned().write(folder.path(), "story");
    let zip = folder.path().join("bug.zip");
    let note = "It hangs <b>at</b> noon.\n\nSince the upgrade.";
    let name = zip.to_str().ok_or("no name")?;
    let output = on(&recording, &["bundle", "-o", name, "--note", note]);
    ensure!(output.status.success(), "{output:?}");
    let page = page_of(folder.path(), &zip, &[])?;
    let browser = Browser::start(1400, 900)?;
    open(&browser, &page)?;
    let said = browser.text("document.getElementById('said').innerText")?;
    ensure!(
        said.contains("<b>at</b> noon.") && said.contains("Since the upgrade."),
        "{said}"
    );
    no_complaints(&browser)?;
    // Nobody has said anything about what is no bundle.
    open(&browser, &page_of(folder.path(), &recording, &[])?)?;
    let hidden = browser.text("document.getElementById('said').hidden")?;
    ensure!(hidden == "true", "an empty note is shown");
    no_complaints(&browser)
}

fn searches() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    browser.keys("/pgrep")?;
    browser.wait("document.getElementById('matches').textContent === '1 match'")?;
    let found = rows(&browser)?;
    ensure!(
        found == ["systemd 1", "ksmtuned 80", "pgrep 300"],
        "{found:?}"
    );
    browser.keys(ENTER)?;
    browser.wait("document.querySelector('#details h2')?.textContent === 'pgrep'")?;
    browser.keys(ESCAPE)?;
    ensure!(rows(&browser)?.len() == 5, "Esc does not end the search");
    browser.keys("//MemF.ee/")?;
    browser.wait("document.getElementById('matches').textContent === '16 matches'")?;
    browser.keys(ESCAPE)?;
    browser.keys("/no such thing")?;
    browser.wait("document.getElementById('nothing').offsetHeight > 0")?;
    let said = browser.text("document.getElementById('nothing').textContent")?;
    ensure!(said == "no process matches no such thing", "{said}");
    no_complaints(&browser)
}

fn unfolds() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    let twist = "[...document.querySelectorAll('.row:not([hidden])')] \
                 .find((row) => row.children[2].textContent === 'awk').children[0]";
    browser.click(twist)?;
    let found = rows(&browser)?;
    ensure!(found.contains(&"awk 202".into()), "{found:?}");
    browser.click(twist)?;
    ensure!(rows(&browser)?.len() == 5, "it does not fold");
    click_row(&browser, "awk")?;
    browser.keys(RIGHT)?;
    browser.keys(DOWN)?;
    let found = rows(&browser)?;
    ensure!(found.contains(&"awk 230".into()), "{found:?}");
    browser
        .wait("document.querySelector('#details .details-head .dim').textContent === 'pid 200'")?;
    let expanded = browser.text(
        "document.querySelector('.row[aria-expanded=true] + .row, .row[aria-expanded=true]') !== null",
    )?;
    ensure!(expanded == "true", "no row says that it is unfolded");
    no_complaints(&browser)
}

fn details() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    click_row(&browser, "pgrep")?;
    browser.wait("document.querySelector('#details h2')?.textContent === 'pgrep'")?;
    let argv = browser.text(
        "JSON.stringify([...document.querySelectorAll('#details .argv code')].map((c) => c.textContent))",
    )?;
    let expected = r#"["pgrep","-d"," ","-f","(empty)","qemu kvm"]"#;
    ensure!(argv == expected, "{argv}");
    let life = browser.text("document.querySelector('#details .life').textContent")?;
    ensure!(life == "13:00:00.300 · ran 120 ms, exit 1", "{life}");
    let chain = browser.text("document.querySelector('#details .chain').innerText")?;
    for said in ["systemd", "ksmtuned", "/bin/bash /usr/sbin/ksmtuned"] {
        ensure!(chain.contains(said), "{said:?} is not in {chain:?}");
    }
    // The chain leads up.
    browser.click("document.querySelector('#details .chain li:last-child button')")?;
    browser.wait("document.querySelector('#details h2').textContent === 'ksmtuned'")?;
    browser.keys(ESCAPE)?;
    browser.wait("document.getElementById('details').hidden")?;
    no_complaints(&browser)
}

fn caller() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    click_row(&browser, "awk")?;
    browser.wait("document.querySelector('#details h2')?.textContent === 'awk'")?;
    let said = browser.text("document.getElementById('details').innerText")?;
    for said_of_all in [
        "×16",
        "every",
        "500 ms",
        "16×",
        "Forked by this code, 16 times".to_uppercase().as_str(),
    ] {
        ensure!(
            said.contains(said_of_all),
            "{said_of_all:?} is not in {said:?}"
        );
    }
    let frames = browser.text(
        "[...document.querySelectorAll('#details .frames code')].map((c) => c.textContent).join()",
    )?;
    ensure!(frames == "fork,make_child,execute_command,main", "{frames}");
    no_complaints(&browser)
}

const FUNCTIONS: &str = "[...document.querySelectorAll('.fn:not([hidden])')] \
    .map((row) => `${row.children[3].textContent} ${row.children[0].textContent} ${row.children[1].textContent}`).join('|')";

fn paths() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    browser.keys("3")?;
    browser.wait("document.querySelectorAll('.fn:not([hidden])').length === 8")?;
    let functions = browser.text(FUNCTIONS)?;
    let expected = "vfs_read 75.0 % 75.0 %|blk_done_softirq 25.0 % 25.0 %|";
    ensure!(functions.starts_with(expected), "{functions}");
    ensure!(functions.contains("main 0.0 % 75.0 %"), "{functions}");
    browser.keys("/vfs")?;
    browser.wait("document.getElementById('matches').textContent === '75.0 %'")?;
    browser.keys(ESCAPE)?;
    // Around one function: what is above it are its callers.
    browser.click(
        "[...document.querySelectorAll('.fn:not([hidden])')].find((f) => f.innerText.includes('ksys_read'))",
    )?;
    browser.wait("document.querySelector('.crumb')?.textContent.includes('callers and callees of ksys_read')")?;
    browser.keys("r")?;
    browser.wait("!document.querySelector('.crumb')")?;
    // Another event, of one thread only.
    browser.run(
        "const choose = (id, label) => { const box = document.getElementById(id); \
         box.value = [...box.options].find((o) => o.textContent.includes(label)).value; \
         box.dispatchEvent(new Event('change')); }; \
         choose('event', 'block_rq_complete'); choose('of', 'dd');",
    )?;
    browser.wait(&format!(
        "({FUNCTIONS}).startsWith('block_rq_complete 100.0 %')"
    ))?;
    let whole = browser.text("document.getElementById('crumbs').textContent")?;
    ensure!(whole == "5 hits", "{whole}");
    no_complaints(&browser)
}

fn zooms_frames() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    browser.keys("3")?;
    browser.wait("document.querySelectorAll('.fn:not([hidden])').length === 8")?;
    let at = browser.run(
        "const box = document.getElementById('flame').getBoundingClientRect(); \
         return [Math.round(box.x + 60), Math.round(box.y + 4 + 18 * 2 + 9)]",
    )?;
    let at = |i: usize| at[i].as_i64().unwrap_or_default();
    browser.click_at(at(0), at(1))?;
    browser.wait("document.querySelector('.crumb')?.textContent.startsWith('zoomed to main')")?;
    browser.click("document.querySelector('.crumb')")?;
    browser.wait("!document.querySelector('.crumb')")?;
    no_complaints(&browser)
}

fn zooms_time() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    let picture = "document.getElementById('axis').toDataURL()";
    let whole = browser.text(picture)?;
    browser.keys("www")?;
    browser.wait(&format!("{picture} !== '{whole}'"))?;
    let near = browser.text(picture)?;
    browser.keys("d")?;
    browser.wait(&format!("{picture} !== '{near}'"))?;
    browser.keys("0")?;
    browser.wait(&format!("{picture} === '{whole}'"))?;
    click_row(&browser, "pgrep")?;
    browser.keys("f")?;
    browser.wait(&format!("{picture} !== '{whole}'"))?;
    no_complaints(&browser)
}

/// Share of the pixels in a part of a canvas that are as red as loss is drawn.
fn red(canvas: &str, from: f64, to: f64) -> String {
    format!(
        "(() => {{ const c = document.getElementById('{canvas}'); \
         const [x, w] = [Math.round(c.width * {from}), Math.round(c.width * ({to} - {from}))]; \
         const data = c.getContext('2d').getImageData(x, 0, w, c.height).data; let n = 0; \
         for (let i = 0; i < data.length; i += 4) \
           if (data[i] > 180 && data[i + 1] < 110 && data[i + 2] < 120 && data[i + 3] > 60) n++; \
         return n / (w * c.height); }})()"
    )
}

fn loss() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    let said = browser.text("document.getElementById('loss').innerText")?;
    ensure!(
        said.starts_with("lost: 17 exec events between 13:00:02 and 13:00:03 (ring full)"),
        "{said}"
    );
    // The recording is 8 seconds long; loss is from the second to the third.
    for canvas in ["overview", "axis"] {
        browser.wait(&format!("{} > 0.05", red(canvas, 0.26, 0.35)))?;
        let elsewhere: f64 = browser.text(&red(canvas, 0.45, 0.9))?.parse()?;
        let is_white = elsewhere < 0.02;
        ensure!(
            is_white,
            "{canvas} shows loss where there was none: {elsewhere}"
        );
    }
    browser.keys("4")?;
    browser.wait("document.getElementById('about').innerText.includes('ring full')")?;
    no_complaints(&browser)
}

fn programs() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    browser.keys("2")?;
    browser.wait("document.querySelectorAll('#programs tbody tr').length === 3")?;
    let first = browser
        .text("document.querySelector('#programs tbody tr').innerText.replace(/\\s+/g, ' ')")?;
    ensure!(
        first == "awk awk '/^MemFree:/ {print $2}' /proc/meminfo 16 500 ms 5 ms systemd → ksmtuned",
        "{first}"
    );
    browser.click("document.querySelector('#programs tbody tr')")?;
    browser.wait("document.querySelector('#details h2')?.textContent === 'awk'")?;
    no_complaints(&browser)
}

fn themes() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    let paper = "getComputedStyle(document.body).backgroundColor";
    browser.keys("t")?;
    let dark = browser.text(paper)?;
    ensure!(dark == "rgb(18, 21, 26)", "{dark}");
    browser.keys("t")?;
    let light = browser.text(paper)?;
    ensure!(light == "rgb(251, 250, 248)", "{light}");
    no_complaints(&browser)
}

fn keys() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    browser.keys("?")?;
    browser.wait("document.getElementById('keys').open")?;
    let said = browser.text("document.getElementById('keys').innerText")?;
    for key in ["search", "fold and unfold", "Backspace"] {
        ensure!(said.contains(key), "{key:?} is not in {said:?}");
    }
    browser.keys(ESCAPE)?;
    browser.wait("!document.getElementById('keys').open")?;
    no_complaints(&browser)
}

fn prints() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    browser.run("dispatchEvent(new Event('beforeprint'))")?;
    let paper = browser.text("document.getElementById('paper').textContent")?;
    for said in ["ksmtuned", "awk ×16", "exit 1", "vfs_read"] {
        ensure!(paper.contains(said), "{said:?} is not in {paper:?}");
    }
    no_complaints(&browser)
}

/// Whatever the screen showed, and in whichever colours.
fn paper() -> Tested {
    let (_folder, page) = crate::stories::reported(ksmtuned())?;
    // As wide as A4 at 96 dots per inch.
    let browser = crate::browser::Browser::start(794, 1123)?;
    crate::stories::open(&browser, &page)?;
    browser.keys("t3")?;
    browser.run("dispatchEvent(new Event('beforeprint'))")?;
    browser.as_on_paper()?;
    let visible = |id: &str| {
        browser.wait(&format!("document.getElementById('{id}').offsetHeight > 0"))?;
        browser.text(&format!("document.getElementById('{id}').innerText"))
    };
    ensure!(visible("host")? == "web1", "the title is not printed");
    let loss = visible("loss")?;
    ensure!(loss.starts_with("lost: 17 exec events"), "{loss}");
    let processes = visible("paper")?;
    ensure!(processes.contains("/^MemFree:/"), "{processes}");
    let hidden = browser.text(
        "['bar', 'details', 'programs', 'paths', 'about'] \
         .filter((id) => document.getElementById(id).offsetHeight > 0).join()",
    )?;
    ensure!(hidden.is_empty(), "{hidden} is of no use on paper");
    let clipped = browser.text(
        "[document.documentElement, ...document.querySelectorAll('#head, #head *, #paper, #paper *')] \
         .filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0) \
         .map((e) => `${e.tagName}#${e.id} ${e.scrollWidth} of ${e.clientWidth}`).join()",
    )?;
    ensure!(clipped.is_empty(), "cut off: {clipped}");
    // The page was dark on the screen; ink is not.
    let pale = browser.text(
        "[...document.querySelectorAll('#head *, #paper *')].filter((e) => { \
           const [r, g, b] = getComputedStyle(e).color.match(/\\d+/g).map(Number); \
           return e.textContent.trim() && 0.3 * r + 0.6 * g + 0.1 * b > 150; \
         }).map((e) => `${e.tagName} ${getComputedStyle(e).color}`).slice(0, 5).join()",
    )?;
    ensure!(pale.is_empty(), "too pale for paper: {pale}");
    let pdf = browser.print()?;
    ensure!(pdf.starts_with(b"%PDF"), "{} bytes are no PDF", pdf.len());
    no_complaints(&browser)
}

fn changes() -> Tested {
    let folder = tempfile::tempdir()?;
    let before = ksmtuned().write(folder.path(), "before");
    let mut story = ksmtuned();
    for i in 0..40 {
        let argv = ["logger", "</td><script>alert(1)</script>"];
        story = story.run(i64::from(i) * 150, 80, 600 + i, &argv);
    }
    let now = story.write(folder.path(), "now");
    let before = before.to_str().ok_or("no name")?;
    let page = crate::stories::page_of(folder.path(), &now, &["--against", before])?;
    let browser = crate::browser::Browser::start(1400, 900)?;
    crate::stories::open(&browser, &page)?;
    browser.keys("5")?;
    browser.wait("!document.getElementById('changes').hidden")?;
    let said = browser.text("document.getElementById('changes').innerText")?;
    for part in [
        "before.whence",
        "lost: 17 exec events",
        "Programs, runs in a time",
    ] {
        ensure!(said.contains(part), "{part:?} is not in {said:?}");
    }
    let first = "document.querySelector('#changes tbody tr')";
    let cells = browser.text(&format!(
        "[...{first}.children].map((cell) => cell.textContent).join('|')"
    ))?;
    ensure!(
        cells.starts_with("new|-|") && cells.ends_with("|logger"),
        "{cells}"
    );
    // Nothing before, so its bar has no length.
    let bars = browser.text(&format!(
        "[...{first}.querySelectorAll('i')].map((bar) => Math.sign(bar.offsetWidth)).join()"
    ))?;
    ensure!(bars == "0,1", "{bars}");
    browser.keys("/no such change")?;
    browser.wait("document.getElementById('matches').textContent === '0 matches'")?;
    browser.keys(ESCAPE)?;
    browser.run("dispatchEvent(new Event('beforeprint'))")?;
    let paper = browser.text("document.getElementById('paper').textContent")?;
    ensure!(paper.contains("before.whence"), "changes are not printed");
    no_complaints(&browser)?;
    // Without another recording there is no such tab.
    let (_folder, browser) = shown(ksmtuned())?;
    let tabs = browser.text("document.getElementById('tabs').innerText")?;
    ensure!(!tabs.contains("Changes"), "{tabs}");
    browser.keys("5")?;
    no_complaints(&browser)
}

fn narrow() -> Tested {
    let (_folder, page) = crate::stories::reported(ksmtuned())?;
    let browser = crate::browser::Browser::start(500, 800)?;
    crate::stories::open(&browser, &page)?;
    for tab in ["1", "2", "3", "4"] {
        browser.keys(tab)?;
        let wide = browser.text("document.documentElement.scrollWidth - innerWidth")?;
        ensure!(
            wide.parse::<i64>()? <= 0,
            "tab {tab} is {wide} pixels too wide"
        );
    }
    no_complaints(&browser)
}

fn loads_nothing() -> Tested {
    let (_folder, browser) = shown(ksmtuned())?;
    for tab in ["2", "3", "4", "1"] {
        browser.keys(tab)?;
    }
    let loaded =
        browser.text("performance.getEntriesByType('resource').map((r) => r.name).join()")?;
    ensure!(loaded.is_empty(), "it loads {loaded}");
    no_complaints(&browser)
}
