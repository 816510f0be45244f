//! `whence report` and `whence flame`, looked at with a real browser.
//!
//! Where there is none the tests that need one are ignored and the reason is
//! printed; they never pass without having run.

mod browser;
#[path = "../common/mod.rs"]
mod common;
mod files;
mod hostile;
mod large;
mod pages;
mod stories;
mod svg;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test, and whether it needs a browser.
struct Test {
    name: &'static str,
    browser: bool,
    run: fn() -> Result<(), Failed>,
}

const fn with_browser(name: &'static str, run: fn() -> Result<(), Failed>) -> Test {
    Test {
        name,
        browser: true,
        run,
    }
}

const fn without_browser(name: &'static str, run: fn() -> Result<(), Failed>) -> Test {
    Test {
        name,
        browser: false,
        run,
    }
}

/// Fails the test, with what is given, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err(format!("{}:{}: {}", file!(), line!(), format_args!($($what)+)).into());
        }
    };
}
use ensure;

fn main() {
    let obstacle = browser::obstacle();
    if let Some(reason) = &obstacle {
        eprintln!("skipped: all tests that need a browser: {reason}");
    }
    let all = [
        files::TESTS,
        pages::TESTS,
        hostile::TESTS,
        large::TESTS,
        svg::TESTS,
    ];
    let trials = all
        .into_iter()
        .flatten()
        .map(|test| {
            let is_ignored = test.browser && obstacle.is_some();
            Trial::test(test.name, test.run).with_ignored_flag(is_ignored)
        })
        .collect();
    let mut arguments = Arguments::from_args();
    // A browser is many processes; a few at a time are enough for any machine.
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(2).min(2));
    libtest_mimic::run(&arguments, trials).exit();
}
