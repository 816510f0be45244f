//! Ten thousand processes and ten thousand call paths, and more than a page may
//! hold.

use libtest_mimic::Failed;
use serde_json::json;
use whence_schemas::ids;

use crate::browser::Browser;
use crate::common::Story;
use crate::stories::{no_complaints, open, page_of, reported, rows};
use crate::{Test, ensure, with_browser};

type Tested = Result<(), Failed>;

pub(crate) const TESTS: &[Test] = &[
    with_browser(
        "large/ten_thousand_processes_and_stacks_are_quick",
        ten_thousand,
    ),
    with_browser("large/what_is_left_out_is_said", left_out),
];

const PROCESSES: i32 = 10_000;
const STACKS: i64 = 10_000;
const FUNCTIONS: i64 = 3_000;
/// Bytes of a page that any tracker takes.
const SMALL: u64 = 5_000_000;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: i64) -> i64 {
        // Knuth's linear congruential generator.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n.unsigned_abs()) as i64
    }
}

/// A build with ten thousand processes, no two alike, and as many call paths of
/// twenty to fifty functions.
fn build() -> Story {
    let mut numbers = Numbers(7);
    let mut story = Story::new("build1")
        .running(1, 0, "systemd", "/sbin/init")
        .running(50, 1, "make", "make -j64 all");
    let shells = PROCESSES / 20;
    for i in 0..PROCESSES {
        let (pid, ms) = (1_000 + i, 10 + i64::from(i) * 6);
        let parent = if i % 20 == 0 { 50 } else { 1_000 + i - i % 20 };
        let file = format!("src/module{}/part{i}.c", i % 97);
        let hash = format!(
            "-DBUILD_ID={:08x}{:08x}",
            numbers.below(1 << 31),
            numbers.below(1 << 31)
        );
        let name = ["sh", "gcc", "cc1", "as", "ld"][(i % 20).min(4) as usize];
        let argv = [
            name,
            "-O2",
            "-I/usr/include/project",
            &hash,
            "-c",
            &file,
            "-o",
            "out.o",
        ];
        story = story.fork(ms, parent, pid).exec(ms + 1, pid, parent, &argv);
        if i % 20 != 0 || i / 20 < shells - 1 {
            story = story.exit(ms + 20 + numbers.below(400), pid, i32::from(i % 333 == 0));
        }
    }
    stacks(story, &mut numbers)
}

fn stacks(mut story: Story, numbers: &mut Numbers) -> Story {
    for function in 0..FUNCTIONS {
        story = story
            .row("frame", json!({"frame_id": function, "kind": "user", "address": function}))
            .row("symbol", json!({"frame_id": function, "source": "elf",
                "function": format!("project::module{}::function_number_{function}", function % 89)}));
    }
    for stack in 0..STACKS {
        // Calls go on from a function to a few others, as in a real program.
        let mut at = 0;
        let mut frames: Vec<i64> = (0..20 + numbers.below(30))
            .map(|_| {
                at = (at * 3 + 1 + numbers.below(3)) % FUNCTIONS;
                at
            })
            .collect();
        frames.reverse();
        story = story
            .row(
                "stack",
                json!({"stack_id": stack, "frame_ids": frames, "unwinder": "dwarf"}),
            )
            .row(
                "sample",
                json!({
                    "ts_ns": 10_000_000_000_000_i64 + stack * 6_000_000,
                    "event_id": ids::event_id("cpu-clock"), "pid": 1, "tid": 1, "comm": "cc1",
                    "event": "cpu-clock", "context": "task", "weight": 10_000_000,
                    "user_stack_id": stack,
                }),
            );
    }
    story
}

fn ten_thousand() -> Tested {
    let (_folder, page) = reported(build())?;
    let bytes = page.metadata()?.len();
    ensure!(bytes < SMALL, "the page has {bytes} bytes");
    let browser = Browser::start(1400, 900)?;
    open(&browser, &page)?;
    let ready = browser.text("Math.round(performance.now())")?;
    println!("{bytes} bytes; ready within {ready} ms");
    let head = browser.text("document.getElementById('counts').innerText.replace(/\\s+/g, ' ')")?;
    ensure!(head.starts_with("10,002 processes 10,000 execs"), "{head}");
    // Only what is on the screen exists.
    browser.keys("q")?;
    let elements: usize = browser
        .text("document.querySelectorAll('*').length")?
        .parse()?;
    ensure!(elements < 1_000, "{elements} elements");
    browser
        .run("const box = document.getElementById('rows'); box.scrollTop = box.scrollHeight;")?;
    let last = rows(&browser)?;
    ensure!(
        last.iter()
            .any(|row| row.ends_with("10999") || row.contains('×')),
        "{last:?}"
    );
    browser.keys("/part4242.c")?;
    browser.wait("document.getElementById('matches').textContent === '1 match'")?;
    ensure!(
        rows(&browser)?.iter().any(|row| row.ends_with(" 5242")),
        "{:?}",
        rows(&browser)?
    );
    browser.keys(crate::browser::ESCAPE)?;
    browser.keys("3")?;
    browser.wait("document.querySelectorAll('.fn:not([hidden])').length > 10")?;
    let functions = browser.text("document.querySelector('#functions .sheet').style.height")?;
    ensure!(
        functions.trim_end_matches("px").parse::<i64>()? > 1_000 * 22,
        "{functions}"
    );
    no_complaints(&browser)
}

/// One parent with a thousand runs of one program and one of another: the other
/// is shown too, and what is missing is said.
fn left_out() -> Tested {
    let mut story = Story::new("storm")
        .running(1, 0, "init", "/sbin/init")
        .running(9, 1, "cron", "cron");
    for i in 0..1_000 {
        story = story.run(10 + i * 3, 9, 100 + i as i32, &["true", &i.to_string()]);
    }
    let story = story.run(5_000, 9, 5_000, &["rare", "thing"]);
    let folder = tempfile::tempdir()?;
    let recording = story.write(folder.path(), "story");
    let page = page_of(folder.path(), &recording, &["--max-processes", "50"])?;
    let browser = Browser::start(1400, 900)?;
    open(&browser, &page)?;
    let found = rows(&browser)?;
    ensure!(
        found == ["init 1", "cron 9", "true ×47", "rare 5000"],
        "{found:?}"
    );
    let said = browser.text("document.getElementById('loss').innerText")?;
    ensure!(said.contains("50 of 1,003 processes are shown"), "{said}");
    let line = browser.text("document.querySelectorAll('.row')[1].innerText")?;
    ensure!(line.contains("+953 children not shown"), "{line}");
    no_complaints(&browser)
}
