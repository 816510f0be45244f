//! What tests that bring their own main have in common.

use libtest_mimic::Failed;

/// A test: its name, what it needs beyond recording, and what it does.
#[derive(Debug)]
pub struct Test {
    /// What holds if it passes.
    pub name: &'static str,
    /// Why it cannot run here.
    pub obstacle: fn() -> Option<String>,
    /// Does it.
    pub run: fn() -> Result<(), Failed>,
}

/// A test that needs nothing but to record.
#[must_use]
pub const fn test(name: &'static str, run: fn() -> Result<(), Failed>) -> Test {
    Test {
        name,
        obstacle: || None,
        run,
    }
}

/// Fails the test unless both are equal.
#[macro_export]
macro_rules! equal {
    ($left:expr, $right:expr) => {
        match (&$left, &$right) {
            (left, right) if left == right => {}
            (left, right) => {
                let place = concat!(file!(), ":", line!());
                return Err(format!("{place}: {left:?} is not {right:?}").into());
            }
        }
    };
}

/// Fails the test, with what is given, unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err(format!("{}:{}: {}", file!(), line!(), format_args!($($what)+)).into());
        }
    };
}
