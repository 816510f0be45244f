//! Table `symbol`.

crate::table! {
    /// One row per frame and function inlined there; frames without a name have none.
    table = "symbol", time = "first_ns",
    pub struct Row {
        /// The frame.
        frame_id: I64 = Dict,
        /// 0 for the function itself, 1 and up for functions inlined into it, from the outside in.
        inline_depth: I32 = Dict,
        /// Its name, demangled.
        function: Text = Dict,
        /// Source file.
        file: Opt<Text> = Dict,
        /// Line in it.
        line: Opt<I32> = Dict,
        /// Where the name comes from: `kallsyms`, `elf` (symbol tables), `perf-map` (told by what has made the code), or `dwarf` (debug files, with file and line).
        source: Text = Dict,
        /// When this recording first saw the frame, nanoseconds of CLOCK_BOOTTIME.
        first_ns: I64 = Delta,
    }
}
