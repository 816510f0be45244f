/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Stacks: of a CPU sample, or of the hit of a probe.
 */

struct sample_scratch {
	struct wire_sample sample;
	struct stack_buffer stacks;
};

/* A probe can be hit in task context, in softirq, in hardirq and in nmi, each
 * on top of the other: a slot for each level. */
#define SAMPLE_LEVELS 4
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SAMPLE_LEVELS);
	__type(key, u32);
	__type(value, struct sample_scratch);
} sample_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} sample_level SEC(".maps");

static __always_inline void fill_sample(void *ctx, struct task_struct *task,
					struct sample_scratch *scratch,
					struct wire_counter *counter, u32 event, u64 weight)
{
	struct wire_sample *sample = &scratch->sample;
	u32 bytes;

	fill_header(&sample->header, WIRE_SAMPLE, counter);
	fill_process(&sample->process, task);
	bpf_get_current_comm(sample->comm, WIRE_COMM);
	sample->weight = weight;
	sample->event = event;
	sample->kernel_stack_bytes = read_kernel_stack(ctx, &scratch->stacks);
	bytes = read_user_stack(ctx, task, &scratch->stacks, sample->kernel_stack_bytes,
				&sample->user, false);
	output(&samples, scratch, record_bytes(sizeof(*sample), bytes), counter);
}

static __always_inline int emit_sample(void *ctx, u32 stream, u32 event, u64 weight)
{
	struct wire_counter *counter = counter_of(stream);
	u32 zero = 0, slot;
	u32 *level = bpf_map_lookup_elem(&sample_level, &zero);
	struct task_struct *task = bpf_get_current_task_btf();
	struct sample_scratch *scratch;

	if (!counter || !level || !is_recorded(task))
		return 0;
	slot = __sync_fetch_and_add(level, 1);
	scratch = bpf_map_lookup_elem(&sample_scratch, &slot);
	if (scratch)
		fill_sample(ctx, task, scratch, counter, event, weight);
	else
		count_ring_full(counter);
	__sync_fetch_and_add(level, -1);
	return 0;
}
