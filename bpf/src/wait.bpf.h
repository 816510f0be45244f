/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Waits: the time that a task is off the cpu, where it waits, and who ended it.
 *
 * The user part of the path is taken when the task leaves the cpu, since only
 * then its memory can be read; the kernel part when it comes back, if the wait
 * was long enough: until then that stack stays as it is.
 */

/* Shortest wait that is recorded; index of the event. */
const volatile u64 min_wait_ns = 0;
const volatile u32 wait_event = 0;

/* Memory to unwind from is taken for a task that has not slept this often without
 * any of it being long: who has just slept long is likely to do so again. */
#define SHORT_WAITS 8

struct wait {
	u64 since_ns; /* 0: the task runs */
	struct wire_process waker;
	u64 waker_stack[WIRE_WAKER_DEPTH];
	u32 waker_stack_bytes; /* 0: nobody has ended it, or before it was long */
	u32 short_waits;       /* since the last long one */
	u32 slept;	       /* rather than being made to give way */
	u32 reserved;
	struct wire_user user;
	u64 addresses[WIRE_DEPTH + 1];
};

/* By thread. The sizes are set when the object is opened. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct wait);
} waits SEC(".maps");

struct wait_memory {
	u8 bytes[WIRE_MEMORY];
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct wait_memory);
} wait_memory SEC(".maps");

/* What is put into the maps above is too large for the stack. */
SCRATCH(new_wait, struct wait);

/* Waits that were not timed, since the map was full or no buffer was free. */
u64 waits_full = 0;

static __always_inline struct wait *wait_of(u32 tid)
{
	struct wait *wait = bpf_map_lookup_elem(&waits, &tid);
	struct wait *new;

	if (wait)
		return wait;
	new = bpf_map_lookup_elem(&new_wait, &only);
	if (!new)
		return NULL;
	if (bpf_map_update_elem(&waits, &tid, new, BPF_NOEXIST)) {
		__sync_fetch_and_add(&waits_full, 1);
		return NULL;
	}
	return bpf_map_lookup_elem(&waits, &tid);
}

static __always_inline void begin_wait(void *ctx, struct task_struct *task)
{
	u32 tid = task->pid, state = BPF_CORE_READ(task, __state), bytes;
	struct sample_slot *slot;
	struct stack_buffer *stacks;
	struct wait *wait;
	bool take_memory;

	if (state & TASK_DEAD) {
		bpf_map_delete_elem(&waits, &tid);
		return;
	}
	if (!tid || !is_recorded(task))
		return;
	wait = wait_of(tid);
	slot = wait ? take_slot() : NULL;
	if (!slot) {
		if (wait)
			__sync_fetch_and_add(&waits_full, 1);
		return;
	}
	stacks = &slot->wait.stacks;
	wait->waker_stack_bytes = 0;
	/* Not when it would go on running if it could. */
	wait->slept = state != 0;
	take_memory = state && wait->short_waits < SHORT_WAITS;
	read_user_stack_if(ctx, task, stacks, 0, &wait->user, false, take_memory);
	if (wait->user.memory_bytes &&
	    bpf_map_update_elem(&wait_memory, &tid, stacks->addresses, BPF_ANY)) {
		wait->user.memory_bytes = 0;
		read_frame_pointers(ctx, stacks->addresses, &wait->user);
	}
	bytes = wait->user.stack_bytes & STACK_MASK;
	bpf_probe_read_kernel(wait->addresses, bytes, stacks->addresses);
	give_back(slot);
	wait->since_ns = bpf_ktime_get_boot_ns();
}

/* Kernel stack, user stack and memory of the wait; returns their bytes. */
static __always_inline u32 fill_wait_stacks(struct task_struct *task, struct wait *wait,
					    struct wire_sample *sample,
					    struct stack_buffer *stacks)
{
	u32 tid = task->pid, kernel, bytes;
	struct wait_memory *memory;

	kernel = path_bytes(bpf_get_task_stack(task, stacks->addresses, STACK_BYTES, 0));
	sample->kernel_stack_bytes = kernel;
	sample->user = wait->user;
	bytes = wait->user.stack_bytes & STACK_MASK;
	bpf_probe_read_kernel((void *)stacks->addresses + kernel, bytes, wait->addresses);
	bytes = (kernel + bytes) & (2 * STACK_MASK + 1);
	memory = wait->user.memory_bytes ? bpf_map_lookup_elem(&wait_memory, &tid) : NULL;
	if (!memory || bpf_probe_read_kernel((void *)stacks->addresses + bytes, WIRE_MEMORY,
					     memory->bytes)) {
		sample->user.memory_bytes = 0;
		return bytes;
	}
	return bytes + wait->user.memory_bytes;
}

static __always_inline void emit_wait(struct task_struct *task, struct wait *wait, u64 ns)
{
	struct wire_counter *counter = counter_of(WIRE_STREAM_WAIT);
	struct sample_slot *slot;
	struct wire_wait *record;
	u32 bytes;

	if (!counter)
		return;
	slot = take_slot();
	if (!slot) {
		count_unplaced(counter);
		return;
	}
	record = &slot->wait.wait;
	fill_header(&record->sample.header, WIRE_WAIT, counter);
	fill_process(&record->sample.process, task);
	fill_comm(record->sample.comm, task);
	record->sample.weight = ns;
	record->sample.event = wait_event;
	record->sample.flags = 0;
	record->sample.reserved = 0;
	record->waker = wait->waker;
	record->waker_stack_bytes = wait->waker_stack_bytes;
	record->reserved = 0;
	__builtin_memcpy(record->waker_stack, wait->waker_stack,
			 sizeof(record->waker_stack));
	bytes = fill_wait_stacks(task, wait, &record->sample, &slot->wait.stacks);
	output(&samples, record, record_bytes(sizeof(*record), bytes), counter);
	give_back(slot);
}

static __always_inline void end_wait(struct task_struct *task)
{
	u32 tid = task->pid;
	struct wait *wait = bpf_map_lookup_elem(&waits, &tid);
	u64 ns;

	if (!wait || !wait->since_ns)
		return;
	ns = bpf_ktime_get_boot_ns() - wait->since_ns;
	wait->since_ns = 0;
	if (ns >= min_wait_ns) {
		wait->short_waits = 0;
		emit_wait(task, wait, ns);
	} else if (wait->slept) {
		wait->short_waits++;
	}
	if (wait->user.memory_bytes)
		bpf_map_delete_elem(&wait_memory, &tid);
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	begin_wait(ctx, prev);
	end_wait(next);
	return 0;
}

/* Runs where the waker runs, unlike sched_wakeup. */
SEC("?tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct *task)
{
	u32 tid = task->pid;
	struct wait *wait = bpf_map_lookup_elem(&waits, &tid);
	long bytes;

	if (!wait || !wait->since_ns ||
	    bpf_ktime_get_boot_ns() - wait->since_ns < min_wait_ns)
		return 0;
	/* In an interrupt, whoever runs has nothing to do with it: the stack tells. */
	fill_process(&wait->waker, bpf_get_current_task_btf());
	bytes = bpf_get_stack(ctx, wait->waker_stack, sizeof(wait->waker_stack), 0);
	wait->waker_stack_bytes = bytes > 0 ? bytes : 0;
	return 0;
}
