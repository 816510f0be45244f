/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * CPU samples.
 */

/* What a sample stands for: the period of its counter, which the recorder may have
 * changed since. The counter itself knows; `sample_period` of the context is that
 * of the begin where the counter is a timer. */
static __always_inline u64 weight_of(struct bpf_perf_event_data *ctx)
{
	struct bpf_perf_event_data_kern *kern = (void *)ctx;

	return BPF_CORE_READ(kern, event, attr.sample_period);
}

/* Whether it has interrupted the kernel: else there is no kernel path to look for. */
static __always_inline bool is_in_kernel(struct bpf_perf_event_data *ctx)
{
	struct bpf_perf_event_data_kern *kern = (void *)ctx;

	return !(BPF_CORE_READ(kern, regs, cs) & 3);
}

SEC("perf_event")
int on_cpu_sample(struct bpf_perf_event_data *ctx)
{
	struct wire_counter *counter = counter_of(WIRE_STREAM_SAMPLE);
	struct task_struct *task = bpf_get_current_task_btf();
	struct sample_slot *slot;
	struct sample_scratch *scratch;
	u32 bytes;

	if (!counter || !is_recorded(task))
		return 0;
	slot = take_slot();
	if (!slot) {
		count_unplaced(counter);
		return 0;
	}
	scratch = &slot->sample;
	fill_header(&scratch->sample.header, WIRE_SAMPLE, counter);
	/* Event 0 is the sampler. */
	bytes = fill_sample(ctx, task, &scratch->sample, &scratch->stacks, 0,
			    weight_of(ctx), is_in_kernel(ctx));
	if (BPF_CORE_READ(task, flags) & PF_VCPU)
		scratch->sample.flags = WIRE_IN_GUEST;
	output(&samples, scratch, record_bytes(sizeof(scratch->sample), bytes), counter);
	give_back(slot);
	return 0;
}
