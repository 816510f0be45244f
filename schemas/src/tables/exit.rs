//! Table `exit`.

crate::table! {
    /// One row per process that ended, when its last thread has gone.
    table = "exit", time = "ts_ns", grouped = "reaper_upid",
    pub struct Row {
        /// When, nanoseconds of CLOCK_BOOTTIME.
        ts_ns: I64 = Delta,
        /// The process.
        upid: I64 = Delta,
        /// Its process id in the initial pid namespace.
        pid: I32 = Delta,
        /// Its name at the end.
        comm: Text = Dict,
        /// Exit status, 0 to 255; NULL if it died of a signal.
        exit_code: Opt<I32> = Dict,
        /// Signal that ended it; NULL if none did.
        exit_signal: Opt<I32> = Dict,
        /// Whether memory was dumped.
        core_dumped: Bool = Dict,
        /// CPU time in user mode of all its threads, in nanoseconds, whole microseconds as getrusage(2) gives them.
        utime_ns: I64 = Dict,
        /// CPU time in the kernel of all its threads, in nanoseconds, whole microseconds too.
        stime_ns: I64 = Dict,
        /// Peak resident memory in bytes.
        max_rss_bytes: I64 = Dict,
        /// Page faults served without I/O.
        min_flt: I64 = Dict,
        /// Page faults that needed I/O.
        maj_flt: I64 = Dict,
        /// Bytes that it caused to be read from storage.
        read_bytes: I64 = Dict,
        /// Bytes that it caused to be written to storage.
        write_bytes: I64 = Dict,
        /// The parent that is told of the end: the creator, or whoever adopted the process since.
        reaper_upid: Opt<I64> = Dict,
    }
}
