//! The leaf of a call path, which depends on what took the path.
//!
//! A program that the kernel calls is on the path itself, with what called it.
//! And a function that is just being entered has not set up its frame, so that
//! frame pointers skip whoever called it; the word on top of the stack has it.

/// How a path came to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By interrupting what ran: the path begins where that was.
    Interrupt,
    /// By a program that was called: the path begins in that program.
    Called,
    /// At the entry of a function.
    Entry(Entry),
}

/// A function that is being entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its address.
    pub function: u64,
    /// Where it returns to; 0 if that could not be read.
    pub caller: u64,
}

/// The call to what records ends within this much of a function's begin.
const ENTRY_BYTES: u64 = 16;
/// How many frames what records may have.
const MOST_GLUE: usize = 16;

impl Entry {
    fn holds(self, address: u64) -> bool {
        (self.function..=self.function.saturating_add(ENTRY_BYTES)).contains(&address)
    }

    /// The path from the function on, the same whatever mechanism took it.
    #[must_use]
    pub fn path(self, addresses: &[u64]) -> Vec<u64> {
        let leaf = addresses
            .iter()
            .take(MOST_GLUE)
            .position(|address| self.holds(*address));
        let callers = leaf.map_or(addresses, |leaf| &addresses[leaf + 1..]);
        let mut path = vec![self.function];
        if self.caller != 0 && callers.first() != Some(&self.caller) {
            path.push(self.caller);
        }
        path.extend_from_slice(callers);
        path
    }
}

/// The places of the calls that make a kernel path, leaf first: what recorded it
/// is left out, as `is_glue` tells.
#[must_use]
pub fn call_sites(addresses: &[u64], origin: Origin, is_glue: impl Fn(u64) -> bool) -> Vec<u64> {
    // The last one counts: helpers between them have names of many kinds.
    let glue = |addresses: &[u64]| {
        let last = addresses.iter().take(8).rposition(|a| is_glue(*a));
        last.map_or(0, |last| last + 1)
    };
    match origin {
        Origin::Interrupt => sites(addresses, true),
        Origin::Called => sites(&addresses[glue(addresses)..], glue(addresses) == 0),
        Origin::Entry(entry) => sites(&entry.path(&addresses[glue(addresses)..]), true),
    }
}

/// What stands for each frame: a caller is known by the last byte of its call,
/// since the call may be the last instruction of a function.
#[must_use]
pub fn sites(addresses: &[u64], leaf_is_exact: bool) -> Vec<u64> {
    let site = |(i, address): (usize, &u64)| match i == 0 && leaf_is_exact {
        true => *address,
        false => address.saturating_sub(1),
    };
    addresses.iter().enumerate().map(site).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLUE: [u64; 2] = [0x9000, 0x9100];
    const ENTRY: Entry = Entry {
        function: 0x100,
        caller: 0x205,
    };

    fn path(addresses: &[u64]) -> Vec<u64> {
        call_sites(addresses, Origin::Entry(ENTRY), |a| GLUE.contains(&a))
    }

    /// fentry shows the trampoline and a return address inside the function,
    /// kprobes its begin; by frame pointers both lack the caller.
    #[test]
    fn a_function_that_is_entered_has_one_path_whatever_took_it() {
        let expected = [0x100, 0x204, 0x304];
        assert_eq!(path(&[0x100, 0x205, 0x305]), expected, "kprobe");
        assert_eq!(path(&[0x101, 0x305]), expected, "kprobe, frame pointers");
        assert_eq!(
            path(&[0x9000, 0x9100, 0x105, 0x205, 0x305]),
            expected,
            "fentry"
        );
        assert_eq!(
            path(&[0x9000, 0x9100, 0x105, 0x305]),
            expected,
            "fentry, frame pointers"
        );
        assert_eq!(
            path(&[0x9000, 0x9100]),
            [0x100, 0x204],
            "nothing but itself"
        );
    }

    #[test]
    fn a_function_called_by_itself_keeps_every_call() {
        let entry = Entry {
            function: 0x100,
            caller: 0x142,
        };
        let path = call_sites(&[0x101, 0x142, 0x305], Origin::Entry(entry), |_| false);
        assert_eq!(path, [0x100, 0x141, 0x304]);
    }

    #[test]
    fn what_was_called_to_record_is_no_part_of_the_path() {
        let is_glue = |a| GLUE.contains(&a);
        assert_eq!(
            call_sites(&[0x9000, 0x7, 0x9100, 0x205], Origin::Called, is_glue),
            [0x204]
        );
        assert_eq!(
            call_sites(&[0x101, 0x205], Origin::Interrupt, is_glue),
            [0x101, 0x204]
        );
    }
}
