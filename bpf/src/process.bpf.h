/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Fork, exec, exit, and the processes that are there already.
 */

struct fork_scratch {
	struct wire_fork fork;
	struct stack_buffer stacks;
};
SCRATCH(fork_scratch, struct fork_scratch);

/* task_newtask rather than sched_process_fork: it knows the flags. The child is
 * complete and has not run yet. */
SEC("tp_btf/task_newtask")
int BPF_PROG(on_fork, struct task_struct *child, u64 clone_flags)
{
	struct task_struct *parent = bpf_get_current_task_btf();
	struct fork_scratch *scratch = bpf_map_lookup_elem(&fork_scratch, &only);
	struct wire_counter *counter = counter_of(WIRE_STREAM_FORK);
	u32 bytes;

	/* Threads are no processes; pid 0 is the idle task of a new cpu. */
	if (clone_flags & CLONE_THREAD || !child->pid || !scratch || !counter)
		return 0;
	if (!is_recorded_or_adopted(parent))
		return 0;
	track_child(child->tgid);
	fill_process(&scratch->fork.parent, parent);
	fill_process(&scratch->fork.child, child);
	scratch->fork.flags = clone_flags;
	fill_comm(scratch->fork.comm, child);
	bytes = read_user_stack(ctx, parent, &scratch->stacks, 0, &scratch->fork.user,
				true);
	/* Later than the mappings told for it: records are read in order of time. */
	fill_header(&scratch->fork.header, WIRE_FORK, counter);
	output(&life, scratch, record_bytes(sizeof(scratch->fork), bytes), counter);
	return 0;
}

struct caller_scratch {
	struct wire_caller caller;
	struct stack_buffer stacks;
};

/* The stacks of who calls exec; `in_stack` says that ctx lies on the kernel's. */
static __always_inline void output_caller(void *ctx, struct task_struct *task,
					  struct caller_scratch *scratch, bool in_stack)
{
	struct wire_caller *caller = &scratch->caller;
	struct wire_counter *counter = counter_of(WIRE_STREAM_CALLER);
	u32 bytes;

	if (!counter)
		return;
	caller->reserved = 0;
	fill_process(&caller->process, task);
	caller->kernel_stack_bytes = in_stack ? recall_kernel_stack(ctx, task,
								    &scratch->stacks)
					      : read_kernel_stack(ctx, &scratch->stacks);
	bytes = read_user_stack(ctx, task, &scratch->stacks, caller->kernel_stack_bytes,
				&caller->user, true);
	/* Likewise. */
	fill_header(&caller->header, WIRE_CALLER, counter);
	output(&life, scratch, record_bytes(sizeof(*caller), bytes), counter);
}

SCRATCH(caller_scratch, struct caller_scratch);

/* The exec will succeed, and the old image is still there. */
SEC("?tp_btf/sched_prepare_exec")
int BPF_PROG(on_prepare_exec, struct task_struct *task, struct linux_binprm *bprm)
{
	struct caller_scratch *scratch = bpf_map_lookup_elem(&caller_scratch, &only);

	if (scratch && is_followed(task))
		output_caller(ctx, task, scratch, true);
	return 0;
}

SCRATCH(exec_scratch, struct image_scratch);

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	struct image_scratch *scratch = bpf_map_lookup_elem(&exec_scratch, &only);
	struct wire_counter *counter = counter_of(WIRE_STREAM_EXEC);
	long bytes;

	if (!scratch || !counter || !is_recorded_or_adopted(task))
		return 0;
	fill_header(&scratch->image.header, WIRE_EXEC, counter);
	fill_image(scratch, task);
	scratch->image.process.tid = old_pid;
	add_env(&scratch->image, readable(task)->mm);
	bytes = bpf_probe_read_kernel_str(scratch->filename, WIRE_PATH, bprm->filename);
	scratch->image.filename_bytes = bytes > 0 ? bytes : 0;
	scratch->image.interpreter_bytes = 0;
	if (bprm->interp != bprm->filename) {
		bytes = bpf_probe_read_kernel_str(scratch->interpreter, WIRE_PATH,
						  bprm->interp);
		scratch->image.interpreter_bytes = bytes > 0 ? bytes : 0;
	}
	output_image(scratch, counter, NULL, readable(task)->mm->arg_start);
	return 0;
}

/* The code that wait(2) gives: the group's, or else the leader's. */
static __always_inline u32 wait_code(struct task_struct *task)
{
	struct signal_struct *signal = readable(task)->signal;

	if (signal->flags & SIGNAL_GROUP_EXIT)
		return signal->group_exit_code;
	return readable(task)->group_leader->exit_code;
}

SCRATCH(exit_scratch, struct mapping_scratch);

static __always_inline int emit_exit(struct task_struct *task)
{
	struct task_struct *leader = readable(task)->group_leader;
	struct signal_struct *signal = readable(task)->signal;
	struct wire_counter *counter = counter_of(WIRE_STREAM_EXIT);
	struct mapping_scratch *scratch = bpf_map_lookup_elem(&exit_scratch, &only);
	struct wire_exit exit = {};

	bool recorded = is_recorded_or_adopted(task);

	forget(task->tgid);
	if (!counter || !recorded || !scratch)
		return 0;
	tell_wanted(task, scratch);
	fill_header(&exit.header, WIRE_EXIT, counter);
	fill_process(&exit.process, task);
	fill_process(&exit.reaper, leader->real_parent->group_leader);
	fill_comm(exit.comm, leader);
	/* What threads used is added to the group's when they are reaped: the
	 * last one's is not in it yet, nor that of a leader that left first. */
	exit.utime_ns = signal->utime + task->utime;
	exit.stime_ns = signal->stime + task->stime;
	exit.runtime_ns = signal->sum_sched_runtime + task->se.sum_exec_runtime;
	exit.min_flt = signal->min_flt + task->min_flt;
	exit.maj_flt = signal->maj_flt + task->maj_flt;
	exit.read_bytes = signal->ioac.read_bytes + task->ioac.read_bytes;
	exit.write_bytes = signal->ioac.write_bytes + task->ioac.write_bytes;
	if (leader != task) {
		exit.utime_ns += leader->utime;
		exit.stime_ns += leader->stime;
		exit.runtime_ns += leader->se.sum_exec_runtime;
		exit.min_flt += leader->min_flt;
		exit.maj_flt += leader->maj_flt;
		exit.read_bytes += leader->ioac.read_bytes;
		exit.write_bytes += leader->ioac.write_bytes;
	}
	exit.max_rss_pages = signal->maxrss;
	exit.code = wait_code(task);
	output(&life, &exit, sizeof(exit), counter);
	return 0;
}

/* Kernels whose tracepoint says which thread was the last. */
SEC("?tp_btf/sched_process_exit")
int BPF_PROG(on_exit_group_dead, struct task_struct *task, bool group_dead)
{
	return group_dead ? emit_exit(task) : 0;
}

/* Older ones. Threads that end together may all see 0 here; user space keeps
 * the first of a process. */
SEC("?tp_btf/sched_process_exit")
int BPF_PROG(on_exit_last_live, struct task_struct *task)
{
	return task->signal->live.counter == 0 ? emit_exit(task) : 0;
}

SCRATCH(snapshot_scratch, struct image_scratch);

SEC("iter.s/task")
int on_snapshot(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct image_scratch *scratch = bpf_map_lookup_elem(&snapshot_scratch, &only);
	struct wire_counter *counter = counter_of(WIRE_STREAM_SNAPSHOT);

	if (!task || !scratch || !counter || task->pid != task->tgid)
		return 0;
	if (only_tracked)
		adopt(task);
	fill_header(&scratch->image.header, WIRE_SNAPSHOT, counter);
	fill_image(scratch, task);
	scratch->image.filename_bytes = 0;
	scratch->image.interpreter_bytes = 0;
	output_image(scratch, counter, task, BPF_CORE_READ(task, mm, arg_start));
	return 0;
}
