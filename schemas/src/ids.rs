//! The ids that are stored in tables, and the bytes that they are made of.
//!
//! None of them means something only inside one file. A [`upid`] names a
//! process within a boot. The ids of stacks, frames and events are hashes of
//! what they name, so the same call path has the same id in every segment,
//! recording and host, and merging recordings is a union.
//!
//! The hash is XXH3 with 64 bits and seed 0 (<https://xxhash.com>), over
//! little-endian integers and length-prefixed strings in the order of the
//! functions below, stored as a signed integer.

use xxhash_rust::xxh3::Xxh3;

/// Processes per microsecond that a [`upid`] can tell apart.
pub const UPID_PID_SPAN: i64 = 16384;

/// Identity of a process within a boot: its start in microseconds since boot
/// times 16384, plus pid modulo 16384, both as the initial pid namespace sees
/// them.
///
/// ```
/// assert_eq!(whence_schemas::ids::upid(2_500, 16385), 2 * 16384 + 1);
/// ```
#[must_use]
pub const fn upid(start_ns: i64, pid: i32) -> i64 {
    (start_ns / 1_000) * UPID_PID_SPAN + (pid as i64).rem_euclid(UPID_PID_SPAN)
}

/// Start of the process in nanoseconds since boot, rounded down to a
/// microsecond.
#[must_use]
pub const fn upid_start_ns(upid: i64) -> i64 {
    upid.div_euclid(UPID_PID_SPAN).saturating_mul(1_000)
}

/// Hashes fields into an id. See the module for the rules.
struct Content(Xxh3);

impl Content {
    fn of(domain: &str) -> Self {
        Self(Xxh3::new()).text(domain)
    }
    fn int(mut self, value: i64) -> Self {
        self.0.update(&value.to_le_bytes());
        self
    }
    fn text(mut self, value: &str) -> Self {
        self.0.update(&(value.len() as u64).to_le_bytes());
        self.0.update(value.as_bytes());
        self
    }
    fn id(self) -> i64 {
        self.0.digest().cast_signed()
    }
}

/// Id of a frame: kind, the module's build-id (or its name where it has
/// none), and the offset in it; for an address in no known module, the address
/// itself.
#[must_use]
pub fn frame_id(kind: &str, module: &str, offset: i64) -> i64 {
    Content::of("frame")
        .text(kind)
        .text(module)
        .int(offset)
        .id()
}

/// Id of a call path: its frames, leaf first, whether it was cut off, and what
/// unwound it.
#[must_use]
pub fn stack_id(frame_ids: &[i64], truncated: bool, unwinder: &str) -> i64 {
    let start = Content::of("stack")
        .int(i64::from(truncated))
        .text(unwinder);
    frame_ids
        .iter()
        .fold(start, |content, id| content.int(*id))
        .id()
}

/// Id of a kind of stack event, from its name (`cpu-clock`,
/// `tracepoint:block:block_rq_complete`, …).
#[must_use]
pub fn event_id(event: &str) -> i64 {
    Content::of("event").text(event).id()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids are on disk: a change of the hash would silently stop old and new
    /// recordings from merging.
    #[test]
    fn ids_never_change() {
        assert_eq!(event_id("cpu-clock"), -6_207_845_765_379_892_059);
        assert_eq!(frame_id("kernel", "abcd", 16), -5_357_767_316_187_564_395);
        assert_eq!(stack_id(&[1, 2], false, "fp"), -7_928_068_750_455_000_618);
    }

    #[test]
    fn upid_sorts_by_start_and_gives_it_back() {
        let early = upid(1_000_000, 70_000);
        let late = upid(1_001_000, 1);
        assert!(early < late);
        assert_eq!(upid_start_ns(early), 1_000_000);
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        assert_ne!(frame_id("ab", "c", 0), frame_id("a", "bc", 0));
        assert_ne!(
            stack_id(&[1, 2], false, "fp"),
            stack_id(&[2, 1], false, "fp")
        );
    }
}
