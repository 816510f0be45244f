/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Who a task is.
 */

/* The same task, as one that may be read but not be handed to helpers. Of a pointer
 * that is read from one that may, kernels from 6.2 on find out whether it may too, by
 * going through the names of all types: a millisecond for each. */
static __always_inline struct task_struct *readable(struct task_struct *task)
{
	if (bpf_rdonly_cast)
		return bpf_core_cast(task, struct task_struct);
	return task;
}

static __always_inline void fill_process(struct wire_process *process,
					 struct task_struct *task)
{
	task = readable(task);
	process->start_ns = task->group_leader->start_boottime;
	process->pid = task->tgid;
	process->tid = task->pid;
}

static __always_inline void fill_comm(u8 *comm, struct task_struct *task)
{
	bpf_probe_read_kernel(comm, WIRE_COMM, &task->comm);
}

/* A pid as its innermost namespace sees it. */
static __always_inline struct upid *innermost(struct pid *pid)
{
	u32 level = BPF_CORE_READ(pid, level);

	return (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	       level * bpf_core_type_size(struct upid);
}
