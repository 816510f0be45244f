//! Table `fork`.

crate::table! {
    /// One row per process created. Threads are not processes.
    table = "fork", time = "ts_ns",
    pub struct Row {
        /// When, nanoseconds of CLOCK_BOOTTIME.
        ts_ns: I64 = Delta,
        /// The process that forked.
        parent_upid: I64 = Dict,
        /// Its process id.
        parent_pid: I32 = Dict,
        /// The thread of it that forked.
        parent_tid: I32 = Dict,
        /// The process that was created.
        child_upid: I64 = Delta,
        /// Its process id in the initial pid namespace.
        child_pid: I32 = Delta,
        /// Name of both.
        comm: Text = Dict,
        /// Flags of clone(2).
        flags: I64 = Dict,
        /// User stack of the parent: the code that created this process.
        user_stack_id: Opt<I64> = Dict,
    }
}
