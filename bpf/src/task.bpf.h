/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Who a task is.
 */

static __always_inline void fill_process(struct wire_process *process,
					 struct task_struct *task)
{
	process->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	process->pid = BPF_CORE_READ(task, tgid);
	process->tid = BPF_CORE_READ(task, pid);
}

static __always_inline void fill_comm(u8 *comm, struct task_struct *task)
{
	bpf_probe_read_kernel(comm, WIRE_COMM, &task->comm);
}

/* The pid namespace of a task, by inode number. */
static __always_inline u32 pid_ns_of(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level;
	struct upid *upid;

	if (!pid)
		return 0;
	level = BPF_CORE_READ(pid, level);
	upid = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	       level * bpf_core_type_size(struct upid);
	return BPF_CORE_READ(upid, ns, ns.inum);
}
