/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Which processes are recorded. Every filter that is set must match.
 *
 * `tracked` holds processes by pid with all that descends from them. A process
 * that was there before its ancestor was tracked is found by walking up once,
 * when it first does something; so nothing is missed while recording begins.
 */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32); /* pid */
	__type(value, u8);
} tracked SEC(".maps");

const volatile bool only_tracked = false;
const volatile bool only_uid = false;
const volatile u32 wanted_uid = 0;
const volatile bool only_comm = false;
const volatile u8 wanted_comm[WIRE_COMM] = {};
/* A cgroup and those below it; its depth, the root's being 0. */
const volatile u64 wanted_cgroup = 0;
const volatile u32 wanted_cgroup_level = 0;

/* Processes that could not be tracked, since the map was full. */
u64 tracked_full = 0;

/* How far up an ancestor is looked for. */
#define MAX_ANCESTORS 64

static __always_inline void track(u32 pid)
{
	u8 yes = 1;

	if (bpf_map_update_elem(&tracked, &pid, &yes, BPF_ANY))
		__sync_fetch_and_add(&tracked_full, 1);
}

static __always_inline void track_child(u32 pid)
{
	if (only_tracked)
		track(pid);
}

static __always_inline void forget(u32 pid)
{
	if (only_tracked)
		bpf_map_delete_elem(&tracked, &pid);
}

static __always_inline bool is_tracked(u32 pid)
{
	return bpf_map_lookup_elem(&tracked, &pid);
}

/* Whether the process or an ancestor is tracked; then it is from now on. */
static __always_inline bool adopt(struct task_struct *task)
{
	u32 pid = BPF_CORE_READ(task, tgid), at = pid;

	for (int i = 0; i < MAX_ANCESTORS && at > 0; i++) {
		if (is_tracked(at)) {
			if (at != pid)
				track(pid);
			return true;
		}
		task = BPF_CORE_READ(task, real_parent);
		at = BPF_CORE_READ(task, tgid);
	}
	return false;
}

static __always_inline bool has_wanted_comm(struct task_struct *task)
{
	u8 comm[WIRE_COMM] = {};

	/* The process's name: its threads may have others. */
	task = BPF_CORE_READ(task, group_leader);
	bpf_probe_read_kernel_str(comm, WIRE_COMM, &task->comm);
	for (int i = 0; i < WIRE_COMM; i++) {
		if (comm[i] != wanted_comm[i])
			return false;
		if (!comm[i])
			break;
	}
	return true;
}

/* All filters but that by descent. */
static __always_inline bool is_wanted(struct task_struct *task)
{
	if (only_uid && BPF_CORE_READ(task, cred, uid.val) != wanted_uid)
		return false;
	if (only_comm && !has_wanted_comm(task))
		return false;
	/* Only current's cgroup can be asked for its ancestors. */
	if (wanted_cgroup &&
	    bpf_get_current_ancestor_cgroup_id(wanted_cgroup_level) != wanted_cgroup)
		return false;
	return true;
}

/* For what is frequent: does not look for ancestors. */
static __always_inline bool is_recorded(struct task_struct *task)
{
	if (only_tracked && !is_tracked(BPF_CORE_READ(task, tgid)))
		return false;
	return is_wanted(task);
}

/* Whether it may be recorded when its name has become another. */
static __always_inline bool is_followed(struct task_struct *task)
{
	return !only_tracked || adopt(task);
}

/* For what is rare: fork, exec, exit. */
static __always_inline bool is_recorded_or_adopted(struct task_struct *task)
{
	return is_followed(task) && is_wanted(task);
}
