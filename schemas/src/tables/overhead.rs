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
    }
}
