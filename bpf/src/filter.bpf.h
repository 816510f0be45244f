/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Which processes are recorded: all, or those in `tracked` and whatever
 * descends from them.
 */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32);	/* pid */
	__type(value, u8);
} tracked SEC(".maps");

const volatile bool only_tracked = false;

/* Children that could not be tracked, since the map was full. */
u64 tracked_full = 0;

static __always_inline bool is_recorded(u32 pid)
{
	return !only_tracked || bpf_map_lookup_elem(&tracked, &pid);
}

static __always_inline void track_child(u32 pid)
{
	u8 yes = 1;

	if (only_tracked && bpf_map_update_elem(&tracked, &pid, &yes, BPF_ANY))
		__sync_fetch_and_add(&tracked_full, 1);
}

static __always_inline void forget(u32 pid)
{
	if (only_tracked)
		bpf_map_delete_elem(&tracked, &pid);
}
