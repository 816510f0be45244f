/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * A stack at each hit of one probe. Loaded once per probe, so that each load
 * has its own event number; rings, counters and filter are the recorder's.
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

/* Index of this probe among the events that were asked for. */
const volatile u32 probe_event = 0;

SEC("raw_tp")
int probe_raw_tracepoint(void *ctx)
{
	return emit_sample(ctx, WIRE_STREAM_PROBE, probe_event, 1);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
