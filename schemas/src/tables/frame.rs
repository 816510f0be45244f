//! Table `frame`.

crate::table! {
    /// One row per distinct place in code.
    table = "frame", time = "first_ns",
    pub struct Row {
        /// Hash of kind, module and offset; see `ids`.
        frame_id: I64 = Dict,
        /// `kernel`, `user`, or `unknown` where the address lies in no known module.
        kind: Text = Dict,
        /// Path of the file, `[kernel]`, name of the kernel module, or `[jit]` for code that the process has made itself.
        module: Opt<Text> = Dict,
        /// Build-id of the module, in hexadecimal digits.
        build_id: Opt<Text> = Dict,
        /// Offset: in the file for user code, from the start of the text for the kernel; the address for `[jit]`.
        offset: Opt<I64> = Dict,
        /// Address as this host ran it. It differs between hosts and boots.
        address: I64 = Dict,
        /// When this recording first saw it, nanoseconds of CLOCK_BOOTTIME.
        first_ns: I64 = Delta,
    }
}
