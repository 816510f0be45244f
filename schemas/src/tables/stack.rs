//! Table `stack`.

crate::table! {
    /// One row per distinct call path.
    table = "stack", time = "first_ns",
    pub struct Row {
        /// Hash of the frames; see `ids`.
        stack_id: I64 = Dict,
        /// Frames, leaf first.
        frame_ids: List<I64> = Dict,
        /// Whether the path goes on beyond what was recorded.
        truncated: Bool = Dict,
        /// What unwound it: `kernel`, `dwarf` (unwind tables) or `fp` (frame pointers).
        unwinder: Text = Dict,
        /// When this recording first saw it, nanoseconds of CLOCK_BOOTTIME.
        first_ns: I64 = Delta,
    }
}
