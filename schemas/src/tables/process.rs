//! Table `process`.

crate::table! {
    /// One row per process. While a recording runs, this holds the processes
    /// that were there before it; a finished recording holds every process,
    /// derived from all its events as `derive` describes, with the tree
    /// numbered.
    table = "process", time = "start_ns",
    pub struct Row {
        /// Identity of the process within the boot; see `ids`.
        upid: I64 = Delta,
        /// The process that forked it, not the one that reaped it. For a process that was there before the recording, its parent at that moment. NULL for the first process and kernel threads' root.
        parent_upid: Opt<I64> = Dict,
        /// Process id in the initial pid namespace.
        pid: I32 = Delta,
        /// Pid of `parent_upid`.
        ppid: Opt<I32> = Dict,
        /// Start of the process, nanoseconds of CLOCK_BOOTTIME.
        start_ns: I64 = Delta,
        /// End of the process; NULL while it runs.
        end_ns: Opt<I64> = Delta,
        /// Name as the kernel keeps it, at most 15 bytes.
        comm: Opt<Text> = Dict,
        /// Path of the program that runs.
        exe: Opt<Text> = Dict,
        /// Arguments of its last successful exec, or those it inherited.
        argv: Opt<List<Text>> = Dict,
        /// `argv` quoted as a shell would need it.
        cmdline: Opt<Text> = Dict,
        /// Working directory at its last exec, or when first seen.
        cwd: Opt<Text> = Dict,
        /// Real user id.
        uid: Opt<I64> = Dict,
        /// Real group id.
        gid: Opt<I64> = Dict,
        /// User id of the login that it stems from; NULL if there is none.
        login_uid: Opt<I64> = Dict,
        /// Id of its cgroup in the unified hierarchy.
        cgroup_id: Opt<I64> = Dict,
        /// Path of that cgroup; a hint, since cgroup ids are reused.
        cgroup_path: Opt<Text> = Dict,
        /// Container id found in `cgroup_path`, 64 hexadecimal digits.
        container_id: Opt<Text> = Dict,
        /// Inode number of its pid namespace.
        pid_ns: Opt<I64> = Dict,
        /// Exit status, 0 to 255; NULL if it runs or died of a signal.
        exit_code: Opt<I32> = Dict,
        /// Signal that ended it; NULL if none did.
        exit_signal: Opt<I32> = Dict,
        /// CPU time in user mode at the end, in nanoseconds, whole microseconds as getrusage(2) gives them.
        utime_ns: Opt<I64> = Dict,
        /// CPU time in the kernel at the end, in nanoseconds, whole microseconds too.
        stime_ns: Opt<I64> = Dict,
        /// Peak resident memory in bytes, at the end.
        max_rss_bytes: Opt<I64> = Dict,
        /// How the process is known: `fork`, `exec`, `snapshot`, or `inferred` where only its children, its exit or something it did was seen.
        source: Text = Dict,
        /// Distance from the root of its tree; NULL until the tree is numbered.
        depth: Opt<I32> = Dict,
        /// Number of the process in pre-order. Y descends from X, or is X, if and only if Y.tree_first BETWEEN X.tree_first AND X.tree_last (and they are of one boot).
        tree_first: Opt<I64> = Delta,
        /// `tree_first` of the last process of its subtree.
        tree_last: Opt<I64> = Delta,
    }
}
