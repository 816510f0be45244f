/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * A stack at each hit of a probe: one program per mechanism, each doing the same.
 *
 * Loaded once per mechanism where the kernel hands each attachment's number to
 * the program, else once per probe. Rings, counters, filter and the space for
 * stacks are the recorder's.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "wire.h"

#include "ring.bpf.h"
#include "filter.bpf.h"
#include "task.bpf.h"
#include "path.bpf.h"
#include "mapping.bpf.h"
#include "stack.bpf.h"
#include "sample.bpf.h"

/* Index of the probe among the events that were asked for, for mechanisms that
 * have no number per attachment on all kernels. */
const volatile u32 probe_event = 0;

/* A function that was entered: 0 if it was not, and where it returns to. */
struct entry {
	u64 function;
	u64 caller;
};

static __always_inline int emit_hit(void *ctx, u32 event, struct entry entry, bool kernel)
{
	struct wire_counter *counter = counter_of(WIRE_STREAM_PROBE);
	struct task_struct *task = bpf_get_current_task_btf();
	struct sample_slot *slot;
	struct hit_scratch *scratch;
	u32 bytes;

	if (!counter || !is_recorded(task))
		return 0;
	slot = take_slot();
	if (!slot) {
		count_unplaced(counter);
		return 0;
	}
	scratch = &slot->hit;
	fill_header(&scratch->hit.sample.header, WIRE_HIT, counter);
	scratch->hit.function = entry.function;
	scratch->hit.caller = entry.caller;
	bytes = fill_sample(ctx, task, &scratch->hit.sample, &scratch->stacks, event, 1,
			    kernel);
	output(&samples, scratch, record_bytes(sizeof(scratch->hit), bytes), counter);
	give_back(slot);
	return 0;
}

SEC("?raw_tp")
int probe_tracepoint(void *ctx)
{
	return emit_hit(ctx, probe_event, (struct entry){}, true);
}

/* How far above the arguments the trampoline may keep where it returns to. */
#define TRAMPOLINE_WORDS 24
/* The call to the trampoline ends within this much of the function. */
#define ENTRY_BYTES 16

/* Who called the function that is being entered. The trampoline returns into the
 * function; the word above that is where the function itself returns to. Frame
 * pointers skip it: the function has not set up its frame yet. */
static __always_inline u64 caller_above(void *ctx, u64 function)
{
	u64 words[2];

#pragma unroll
	for (u32 i = 0; i < TRAMPOLINE_WORDS; i++) {
		if (bpf_probe_read_kernel(words, sizeof(words), ctx + i * 8))
			return 0;
		if (words[0] > function && words[0] <= function + ENTRY_BYTES)
			return words[1];
	}
	return 0;
}

SEC("?fentry")
int probe_fentry(void *ctx)
{
	u64 function = bpf_get_func_ip(ctx);
	struct entry entry = {function, caller_above(ctx, function)};

	return emit_hit(ctx, probe_event, entry, true);
}

static __always_inline int emit_kprobe(struct pt_regs *ctx)
{
	struct entry entry = {.function = bpf_get_func_ip(ctx)};

	/* Where the call has put it: nothing was pushed since. */
	bpf_probe_read_kernel(&entry.caller, sizeof(entry.caller),
			      (void *)PT_REGS_SP_CORE(ctx));
	return emit_hit(ctx, bpf_get_attach_cookie(ctx), entry, true);
}

SEC("?kprobe")
int probe_kprobe(struct pt_regs *ctx)
{
	return emit_kprobe(ctx);
}

SEC("?kprobe.multi")
int probe_kprobe_multi(struct pt_regs *ctx)
{
	return emit_kprobe(ctx);
}

/* At the entry of a function of a program. How the kernel got here says nothing. */
SEC("?uprobe")
int probe_uprobe(struct pt_regs *ctx)
{
	struct entry entry = {.function = PT_REGS_IP_CORE(ctx)};

	bpf_probe_read_user(&entry.caller, sizeof(entry.caller),
			    (void *)PT_REGS_SP_CORE(ctx));
	return emit_hit(ctx, bpf_get_attach_cookie(ctx), entry, false);
}

/* Anywhere in a program. */
SEC("?uprobe")
int probe_usdt(struct pt_regs *ctx)
{
	return emit_hit(ctx, bpf_get_attach_cookie(ctx), (struct entry){}, false);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
