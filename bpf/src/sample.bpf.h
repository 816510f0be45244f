/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Stacks of what happens on a cpu: the part that CPU samples and hits of probes
 * have in common, and where they are put together.
 */

struct sample_scratch {
	struct wire_sample sample;
	struct stack_buffer stacks;
};

struct hit_scratch {
	struct wire_hit hit;
	struct stack_buffer stacks;
};

struct wait_scratch {
	struct wire_wait wait;
	struct stack_buffer stacks;
};

/* All objects share these: a probe more costs no memory for stacks. One program
 * may interrupt another, in softirq, hardirq and nmi, and a task that runs one
 * may be preempted: whoever comes takes a slot that is free. */
#define SAMPLE_SLOTS 6
struct sample_slot {
	u32 busy;
	u32 reserved;
	union {
		struct sample_scratch sample;
		struct hit_scratch hit;
		struct wait_scratch wait;
	};
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SAMPLE_SLOTS);
	__type(key, u32);
	__type(value, struct sample_slot);
} sample_slots SEC(".maps");

static __always_inline struct sample_slot *take_slot(void)
{
	for (u32 i = 0; i < SAMPLE_SLOTS; i++) {
		u32 key = i;
		struct sample_slot *slot = bpf_map_lookup_elem(&sample_slots, &key);

		if (slot && !__sync_lock_test_and_set(&slot->busy, 1))
			return slot;
	}
	return NULL;
}

static __always_inline void give_back(struct sample_slot *slot)
{
	*(volatile u32 *)&slot->busy = 0;
}

/* Fills all but the tail of what a record has beyond a sample; returns the bytes
 * in `stacks`. Without `kernel`, the kernel part of the path is left out. */
static __always_inline u32 fill_sample(void *ctx, struct task_struct *task,
				       struct wire_sample *sample,
				       struct stack_buffer *stacks, u32 event, u64 weight,
				       bool kernel)
{
	fill_process(&sample->process, task);
	bpf_get_current_comm(sample->comm, WIRE_COMM);
	sample->weight = weight;
	sample->event = event;
	sample->flags = 0;
	sample->reserved = 0;
	sample->kernel_stack_bytes = kernel ? read_kernel_stack(ctx, stacks) : 0;
	return read_user_stack(ctx, task, stacks, sample->kernel_stack_bytes, &sample->user,
			       false);
}
