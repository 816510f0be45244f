/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The rings and the counters: the only place where an event may be lost. It
 * never waits: no room means that the loss is counted.
 *
 * Process life has a ring of its own, so that a flood of samples cannot evict
 * an exec. Sizes are set when the object is opened.
 */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} life SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WIRE_STREAMS);
	__type(key, u32);
	__type(value, struct wire_counter);
} counters SEC(".maps");

/* Data in a ring beyond which its reader is woken at once; below, it comes by
 * itself. A wake-up for each record would cost more than the record. */
const volatile u64 wakeup_bytes = 1 << 18;

static __always_inline struct wire_counter *counter_of(u32 stream)
{
	return bpf_map_lookup_elem(&counters, &stream);
}

/* Counts the event, before anything can fail, and numbers it. Atomic: a probe
 * can be hit in an interrupt while it is counted. */
static __always_inline void fill_header(struct wire_header *header, u32 kind,
					struct wire_counter *counter)
{
	header->ts_ns = bpf_ktime_get_boot_ns();
	header->seq = __sync_fetch_and_add(&counter->generated, 1) + 1;
	header->kind = kind;
	header->cpu = bpf_get_smp_processor_id();
}

static __always_inline void count_ring_full(struct wire_counter *counter)
{
	__sync_fetch_and_add(&counter->ring_full, 1);
}

/* An event for which there was nothing to put it together in. */
static __always_inline void count_unplaced(struct wire_counter *counter)
{
	__sync_fetch_and_add(&counter->generated, 1);
	count_ring_full(counter);
}

static __always_inline u64 wakeup_flags(void *ring)
{
	return bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) >= wakeup_bytes
		       ? BPF_RB_FORCE_WAKEUP
		       : BPF_RB_NO_WAKEUP;
}

static __always_inline void output(void *ring, void *record, u64 bytes,
				   struct wire_counter *counter)
{
	if (bpf_ringbuf_output(ring, record, bytes, wakeup_flags(ring)))
		count_ring_full(counter);
}
