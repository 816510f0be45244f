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

/* A pid as its innermost namespace sees it. */
static __always_inline struct upid *innermost(struct pid *pid)
{
	u32 level = BPF_CORE_READ(pid, level);

	return (void *)pid + bpf_core_field_offset(struct pid, numbers) +
	       level * bpf_core_type_size(struct upid);
}
