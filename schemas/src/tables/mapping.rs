//! Table `mapping`.

crate::table! {
    /// One row per executable mapping of a process whose user stacks were recorded.
    table = "mapping", time = "ts_ns",
    pub struct Row {
        /// When it was seen, nanoseconds of CLOCK_BOOTTIME.
        ts_ns: I64 = Delta,
        /// The process.
        upid: I64 = Delta,
        /// First address.
        start_address: I64 = Dict,
        /// Address after the last.
        end_address: I64 = Dict,
        /// Offset in the file of the first address.
        file_offset: I64 = Dict,
        /// Path of the file as the process sees it.
        module: Text = Dict,
        /// Build-id of the file, in hexadecimal digits.
        build_id: Opt<Text> = Dict,
        /// Device number of the file.
        dev: I64 = Dict,
        /// Inode number of the file.
        inode: I64 = Dict,
    }
}
