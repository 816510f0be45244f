/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Kernel call paths that come again and again, recognized instead of unwound: that
 * takes longer than all else that is done for an exec, and nearly all execs come the
 * same way.
 *
 * When a path has been unwound, its return addresses are looked for in the stack
 * above the tracepoint's arguments. If there is only one way to find them in order,
 * their slots are kept. A later stack with the same addresses in the same slots is
 * the same path: each step of an unwinder depends on the address before it and on
 * what lies where that says. The last address is the one under the registers of the
 * system call; the kernel may leave a gap of random size above the others
 * (randomize_kstack_offset).
 */

#define RECALL_WORDS 128 /* of the stack, in which the slots are */
#define RECALL_DEPTH 32	 /* longer paths are always unwound */
#define RECALL_PATHS 4	 /* a power of two */
/* Frames of what takes the path lie below the tracepoint's arguments. */
#define RECALL_BELOW 8
/* There are few paths; where they do not come again, they are not learned for ever. */
#define RECALL_TRIES 64

struct recalled_path {
	u32 depth; /* addresses; 0: none is kept */
	u32 below; /* so many come before those in slots */
	u32 slots[RECALL_DEPTH];
	u64 addresses[RECALL_DEPTH];
};

struct recall_scratch {
	u64 words[RECALL_WORDS];
	u64 last; /* the word under the registers */
	u32 tries;
	u32 reserved;
	struct recalled_path paths[RECALL_PATHS];
};
SCRATCH(recall_scratch, struct recall_scratch);

struct slot_search {
	struct recalled_path *path;
	u64 *words;
	u32 next;   /* address that is looked for, from below; one more from above */
	u32 differ; /* how many were found elsewhere from below than from above */
};

static long find_downward(u32 i, struct slot_search *search)
{
	u32 at = RECALL_WORDS - 1 - i, next = search->next - 1;

	if (next >= RECALL_DEPTH || at >= RECALL_WORDS)
		return 1;
	if (search->words[at] == search->path->addresses[next]) {
		search->path->slots[next] = at;
		search->next = next;
	}
	return 0;
}

static long find_upward(u32 i, struct slot_search *search)
{
	u32 next = search->next;

	if (next >= RECALL_DEPTH || next + 1 >= search->path->depth || i >= RECALL_WORDS)
		return 1;
	if (search->words[i] == search->path->addresses[next]) {
		search->differ += search->path->slots[next] != i;
		search->next = next + 1;
	}
	return 0;
}

/* Keeps a path that was unwound, if there is only one way to find it in the stack. */
static __always_inline void learn_path(struct recall_scratch *scratch, void *addresses,
				       u32 bytes)
{
	struct recalled_path *path = &scratch->paths[scratch->tries & (RECALL_PATHS - 1)];
	struct slot_search search = {.path = path, .words = scratch->words};
	u32 last = bytes / 8 - 1;

	if (bytes > sizeof(path->addresses) || scratch->tries >= RECALL_TRIES)
		return;
	scratch->tries++;
	bpf_probe_read_kernel(path->addresses, bytes, addresses);
	path->depth = bytes / 8;
	search.next = last;
	bpf_loop(RECALL_WORDS, find_downward, &search, 0);
	path->below = search.next;
	bpf_loop(RECALL_WORDS, find_upward, &search, 0);
	if (search.next != last || search.differ || path->below > RECALL_BELOW ||
	    last >= RECALL_DEPTH || path->addresses[last] != scratch->last)
		path->depth = 0;
}

static __always_inline bool is_recalled(struct recall_scratch *scratch,
					struct recalled_path *path)
{
	u32 last = path->depth - 1;

	if (last >= RECALL_DEPTH || path->addresses[last] != scratch->last)
		return false;
	for (u32 i = 0; i < RECALL_DEPTH; i++) {
		u32 slot = path->slots[i];

		if (i >= last)
			break;
		if (i >= path->below &&
		    (slot >= RECALL_WORDS || scratch->words[slot] != path->addresses[i]))
			return false;
	}
	return true;
}

/* The kernel stack at a tracepoint whose arguments, `ctx`, lie on it. */
static __always_inline u32 recall_kernel_stack(void *ctx, struct task_struct *task,
					       struct stack_buffer *buffer)
{
	struct recall_scratch *scratch = bpf_map_lookup_elem(&recall_scratch, &only);
	void *registers = (void *)bpf_task_pt_regs(task);
	u64 size = (u64)registers - (u64)ctx;
	u32 bytes;

	if (!scratch)
		return read_kernel_stack(ctx, buffer);
	if (size > sizeof(scratch->words))
		size = sizeof(scratch->words);
	else
		__builtin_memset(scratch->words, 0, sizeof(scratch->words));
	if (bpf_probe_read_kernel(scratch->words, size, ctx) ||
	    bpf_probe_read_kernel(&scratch->last, sizeof(scratch->last), registers - 8))
		return read_kernel_stack(ctx, buffer);
	for (u32 i = 0; i < RECALL_PATHS; i++) {
		struct recalled_path *path = &scratch->paths[i];

		if (!is_recalled(scratch, path))
			continue;
		bytes = path->depth * 8;
		if (bytes > sizeof(path->addresses))
			break;
		bpf_probe_read_kernel(buffer->addresses, bytes, path->addresses);
		return bytes;
	}
	bytes = read_kernel_stack(ctx, buffer);
	learn_path(scratch, buffer->addresses, bytes);
	return bytes;
}
