//! Table `sample`.

crate::table! {
    /// One row per stack event: a CPU sample, the hit of a probe, or a wait.
    table = "sample", time = "ts_ns", grouped = "cpu",
    pub struct Row {
        /// When, nanoseconds of CLOCK_BOOTTIME; of a wait, its end.
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
        /// What was hit: `cpu-clock`, `cycles`, `off-cpu`, or a probe as it was asked for.
        event: Text = Dict,
        /// `task`, `softirq`, `hardirq`, `nmi`, `idle`, or `guest`: a CPU sample of a virtual machine that the process runs.
        context: Text = Dict,
        /// What this row stands for: nanoseconds of CPU time for `cpu-clock`, events for `cycles` (the sampler's period), nanoseconds of the wait for `off-cpu`, 1 for the hit of a probe.
        weight: I64 = Dict,
        /// Duration in nanoseconds, for events that have one: waits.
        dur_ns: Opt<I64> = Delta,
        /// Kernel part of the call path.
        kernel_stack_id: Opt<I64> = Dict,
        /// User part of the call path.
        user_stack_id: Opt<I64> = Dict,
        /// Of a wait: the process that ended it; NULL if an interrupt did, or that is not known.
        waker_upid: Opt<I64> = Dict,
        /// Of a wait: the thread that ended it.
        waker_tid: Opt<I32> = Dict,
        /// Of a wait: the context that ended it, as in `context`; NULL if that is not known, as for a task that did not sleep but had to wait for a CPU.
        waker_context: Opt<Text> = Dict,
        /// Of a wait: the kernel's call path that ended it.
        waker_stack_id: Opt<I64> = Dict,
    }
}
