//! Table `exec`.

crate::table! {
    /// One row per attempt to execute a program.
    table = "exec", time = "ts_ns", grouped = "parent_upid",
    pub struct Row {
        /// When the new image was in place, or the attempt had failed, nanoseconds of CLOCK_BOOTTIME.
        ts_ns: I64 = Delta,
        /// The same as wall-clock time, UTC.
        time: Wall = Delta,
        /// The process; see `ids`.
        upid: I64 = Delta,
        /// How many programs this process has executed since the recording began, this one included if it succeeded.
        exec_seq: I32 = Dict,
        /// Process id in the initial pid namespace.
        pid: I32 = Delta,
        /// Thread that called exec, by the id it had before.
        tid: I32 = Delta,
        /// Pid of `parent_upid`.
        ppid: I32 = Dict,
        /// The parent at this moment, which is not the one that forked the process if that one has exited.
        parent_upid: Opt<I64> = Dict,
        /// Name of that parent.
        parent_comm: Text = Dict,
        /// Name of the process with the new program; if that failed, with the old one.
        comm: Text = Dict,
        /// Program as it was given to exec.
        filename: Text = Dict,
        /// Interpreter that runs it, where it is a script.
        interpreter: Opt<Text> = Dict,
        /// Path of the file that is executed, as the process sees it.
        exe: Opt<Text> = Dict,
        /// Device of that file, as stat(2) gives it.
        exe_dev: Opt<I64> = Dict,
        /// Inode number of that file.
        exe_inode: Opt<I64> = Dict,
        /// Arguments. Bytes that are not UTF-8 are replaced by U+FFFD here and kept in `argv_raw`.
        argv: List<Text> = Dict,
        /// Arguments with a NUL after each, only where they are not UTF-8.
        argv_raw: Opt<Bytes> = Dict,
        /// Number of arguments.
        argc: I32 = Dict,
        /// Bytes of all arguments in the kernel, a NUL after each.
        argv_bytes: I64 = Dict,
        /// `complete`, `truncated` or `unreadable`.
        argv_state: Text = Dict,
        /// `argv` quoted as a shell would need it.
        cmdline: Text = Dict,
        /// Variables of the environment that were asked for, as NAME=value; NULL if none were, or it failed.
        env: Opt<List<Text>> = Dict,
        /// Working directory.
        cwd: Opt<Text> = Dict,
        /// 0 if it succeeded, else the error.
        errno: I32 = Dict,
        /// Real user id.
        uid: I64 = Dict,
        /// Effective user id.
        euid: I64 = Dict,
        /// Real group id.
        gid: I64 = Dict,
        /// User id of the login that it stems from; NULL if there is none.
        login_uid: Opt<I64> = Dict,
        /// Id of its cgroup in the unified hierarchy.
        cgroup_id: I64 = Dict,
        /// Path of that cgroup; a hint, since cgroup ids are reused.
        cgroup_path: Opt<Text> = Dict,
        /// Container id found in `cgroup_path`, 64 hexadecimal digits.
        container_id: Opt<Text> = Dict,
        /// Process id of the leader of its session.
        session_id: Opt<I32> = Dict,
        /// Device of its controlling terminal, as stat(2) gives it; NULL if it has none.
        tty: Opt<I64> = Dict,
        /// Process id inside its own pid namespace.
        ns_pid: Opt<I32> = Dict,
        /// Inode number of its pid namespace.
        pid_ns: Opt<I64> = Dict,
        /// Inode number of its mount namespace.
        mnt_ns: Opt<I64> = Dict,
        /// Inode number of its user namespace.
        user_ns: Opt<I64> = Dict,
        /// Kernel stack of the caller, at the system call.
        kernel_stack_id: Opt<I64> = Dict,
        /// User stack of the caller, in the old image: the code that executed this program.
        user_stack_id: Opt<I64> = Dict,
    }
}
