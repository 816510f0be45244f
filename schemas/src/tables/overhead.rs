//! Table `overhead`.

crate::table! {
    /// What recording itself cost, per interval.
    table = "overhead", time = "t0_ns",
    pub struct Row {
        /// Begin of the interval, nanoseconds of CLOCK_BOOTTIME.
        t0_ns: I64 = Delta,
        /// End of the interval.
        t1_ns: I64 = Delta,
        /// `recorder` for the program, else the name of a BPF program.
        subject: Text = Dict,
        /// CPU time in nanoseconds; NULL for BPF programs where the kernel does not count it.
        cpu_ns: Opt<I64> = Dict,
        /// How often the BPF program ran; NULL where the kernel does not count it.
        runs: Opt<I64> = Dict,
        /// Bytes written to the recording.
        bytes_written: Opt<I64> = Dict,
        /// Resident memory of the recorder in bytes, at the end of the interval.
        rss_bytes: Opt<I64> = Dict,
        /// Of the recorder: events between CPU samples in the interval, and so the weight of each; NULL without CPU samples. It is longer than was asked for while sampling is slowed down.
        sample_period: Opt<I64> = Dict,
        /// Of the recorder: bytes of user stack memory that were allowed per CPU and tenth of a second; beyond, user paths follow frame pointers; NULL without a bound.
        memory_budget_bytes: Opt<I64> = Dict,
    }
}
