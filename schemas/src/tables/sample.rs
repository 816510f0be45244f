//! Table `sample`.

crate::table! {
    /// One row per stack event: a CPU sample or the hit of a probe.
    table = "sample", time = "ts_ns",
    pub struct Row {
        /// When, nanoseconds of CLOCK_BOOTTIME.
        ts_ns: I64 = Delta,
        /// Id of `event`; see `ids`.
        event_id: I64 = Dict,
        /// The process that ran; in interrupt context, the one that was interrupted. NULL for the idle task.
        upid: Opt<I64> = Dict,
        /// Its process id in the initial pid namespace.
        pid: I32 = Dict,
        /// Its thread.
        tid: I32 = Dict,
        /// CPU on which it happened.
        cpu: I32 = Dict,
        /// Name of the thread.
        comm: Text = Dict,
        /// What was hit: `cpu-clock`, `cycles`, or a probe as it was asked for.
        event: Text = Dict,
        /// `task`, `softirq`, `hardirq`, `nmi` or `idle`.
        context: Text = Dict,
        /// What this row stands for: nanoseconds of CPU time for `cpu-clock`, events for `cycles`, 1 for the hit of a probe.
        weight: I64 = Dict,
        /// Duration in nanoseconds, for events that have one.
        dur_ns: Opt<I64> = Delta,
        /// Kernel part of the call path.
        kernel_stack_id: Opt<I64> = Dict,
        /// User part of the call path.
        user_stack_id: Opt<I64> = Dict,
    }
}
