//! Table `clock`.

crate::table! {
    /// Readings of the clocks at one moment, to convert between them.
    table = "clock", time = "ts_ns",
    pub struct Row {
        /// CLOCK_BOOTTIME in nanoseconds.
        ts_ns: I64 = Delta,
        /// CLOCK_MONOTONIC in nanoseconds.
        mono_ns: I64 = Delta,
        /// CLOCK_REALTIME in nanoseconds since 1970.
        real_ns: I64 = Delta,
        /// The same as wall-clock time, UTC.
        time: Wall = Delta,
    }
}
