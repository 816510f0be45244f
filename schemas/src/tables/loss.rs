//! Table `loss`.

crate::table! {
    /// Events that happened and were not recorded. For each stream, generated = recorded + lost.
    table = "loss", time = "t0_ns",
    pub struct Row {
        /// What was lost: `fork`, `exec`, `exit`, `snapshot`, `sample`, `probe`, `off-cpu`, `caller`: the stacks of an exec's caller, or `mapping`: code whose stacks then have no names.
        stream: Text = Dict,
        /// Why: `ring full`, `map full`, `program recursion`, `throttled`, `decode`; `cpu limit`: CPU samples that were left out to keep to `--max-cpu`, for which others have more weight; or `disk full`, `size limit`, `memory limit`, `write failed` where the recorder had no room.
        cause: Text = Dict,
        /// CPU on which it happened; NULL if not known.
        cpu: Opt<I32> = Dict,
        /// Begin of the interval, nanoseconds of CLOCK_BOOTTIME.
        t0_ns: I64 = Delta,
        /// End of the interval.
        t1_ns: I64 = Delta,
        /// How many events.
        count: I64 = Dict,
    }
}
