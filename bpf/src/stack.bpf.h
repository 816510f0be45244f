/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Call paths: addresses by frame pointers, and for code that has none, registers
 * and a bounded piece of the user stack, from which the recorder unwinds at once
 * and which it then forgets.
 */

/* Longest path in bytes, and the mask that tells the verifier so. */
#define STACK_BYTES (WIRE_DEPTH * 8)
#define STACK_MASK 1023
/* The piece by which memory is read: where one cannot be, the stack ends. */
#define MEMORY_PIECE 512

/* Kernel stack, user stack, memory, one behind the other. */
struct stack_buffer {
	u64 addresses[2 * (WIRE_DEPTH + 1)];
	u8 memory[WIRE_MEMORY];
	struct mapping_scratch mapping;
};

/* How many bytes of memory are taken per cpu and window of time; 0: none. The
 * recorder lowers it while that costs too much. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} memory_budget SEC(".maps");

#define BUDGET_WINDOW_NS 100000000ULL

struct budget {
	u64 since_ns;
	u64 used;
	u64 refused; /* times */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct budget);
} budgets SEC(".maps");

static __always_inline bool within_budget(u32 bytes)
{
	u32 zero = 0;
	struct budget *budget = bpf_map_lookup_elem(&budgets, &zero);
	u64 *most = bpf_map_lookup_elem(&memory_budget, &zero);
	u64 now;

	if (!budget || !most || !*most)
		return false;
	now = bpf_ktime_get_ns();
	if (now - budget->since_ns > BUDGET_WINDOW_NS) {
		budget->since_ns = now;
		budget->used = 0;
	}
	if (budget->used + bytes > *most) {
		budget->refused++;
		return false;
	}
	budget->used += bytes;
	return true;
}

static __always_inline u32 path_bytes(long bytes)
{
	if (bytes < 0)
		return 0;
	return bytes & STACK_MASK;
}

static __always_inline u32 read_kernel_stack(void *ctx, struct stack_buffer *buffer)
{
	return path_bytes(bpf_get_stack(ctx, buffer->addresses, STACK_BYTES, 0));
}

struct memory_read {
	u8 *to;
	u64 from;
	u32 most;
	u32 bytes;
};

/* Frames end where the mapping does; threads and what posix_spawn(3) runs have a
 * stack among other mappings. */
static long end_at_mapping(struct task_struct *task, struct vm_area_struct *vma,
			   struct memory_read *read)
{
	u64 room = vma->vm_end - read->from;

	if (room < read->most)
		read->most = room;
	return 0;
}

/* How much of the stack frames may lie in. What the kernel has put above those of
 * the first thread, arguments and environment, is none of the recorder's business. */
static __always_inline void bound_memory(struct task_struct *task, struct memory_read *read,
					 bool in_task)
{
	u64 room = readable(task)->mm->start_stack - read->from;

	read->most = WIRE_MEMORY;
	if (room < read->most)
		read->most = room;
	else if (in_task)
		bpf_find_vma(task, read->from, end_at_mapping, read, 0);
}

static long read_memory_piece(u32 i, struct memory_read *read)
{
	u32 at = read->bytes, n = read->most - at;

	if (at > WIRE_MEMORY - MEMORY_PIECE || at >= read->most)
		return 1;
	if (n > MEMORY_PIECE)
		n = MEMORY_PIECE;
	if (bpf_probe_read_user(read->to + at, n, (void *)(read->from + at)))
		return 1;
	read->bytes += n;
	return 0;
}

/* Registers, and the memory above sp to `to`; returns its bytes, 0 if none can be
 * had or only frame pointers are to be followed. */
static __always_inline u32 read_memory(struct task_struct *task, u8 *to,
				       struct wire_user *user, bool in_task)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	struct memory_read read = {.to = to};

	user->ip = regs->ip;
	user->sp = regs->sp;
	user->bp = regs->bp;
	/* The kernel follows frame pointers of both sizes, the recorder's tables only
	 * serve 64 bits. */
	if (regs->cs == USER32_CS)
		return 0;
	read.from = user->sp;
	bound_memory(task, &read, in_task);
	if (!within_budget(read.most))
		return 0;
	bpf_loop(WIRE_MEMORY / MEMORY_PIECE, read_memory_piece, &read, 0);
	user->memory_bytes = read.bytes;
	return read.bytes;
}

static __always_inline u32 read_frame_pointers(void *ctx, void *to, struct wire_user *user)
{
	user->stack_bytes =
		path_bytes(bpf_get_stack(ctx, to, STACK_BYTES, BPF_F_USER_STACK));
	return user->stack_bytes;
}

/* The user stack of the current task behind `kernel` bytes of another, taken in its
 * own context or in an interrupt; with memory only if that is wanted. Returns the
 * bytes of both. */
static __always_inline u32 read_user_stack_if(void *ctx, struct task_struct *task,
					      struct stack_buffer *buffer, u32 kernel,
					      struct wire_user *user, bool in_task,
					      bool with_memory)
{
	void *to = (void *)buffer->addresses + (kernel & STACK_MASK);
	u32 bytes = 0;

	__builtin_memset(user, 0, sizeof(*user));
	kernel &= STACK_MASK;
	if (!readable(task)->mm)
		return kernel;
	if (in_task)
		tell_mappings(task, &buffer->mapping);
	else
		want_mappings(task);
	if (with_memory)
		bytes = read_memory(task, to, user, in_task);
	if (!bytes)
		bytes = read_frame_pointers(ctx, to, user);
	return kernel + bytes;
}

static __always_inline u32 read_user_stack(void *ctx, struct task_struct *task,
					   struct stack_buffer *buffer, u32 kernel,
					   struct wire_user *user, bool in_task)
{
	return read_user_stack_if(ctx, task, buffer, kernel, user, in_task, true);
}

/* Size of a record with `bytes` in its stack buffer, bounded for the verifier. */
static __always_inline u64 record_bytes(u64 fixed, u32 bytes)
{
	const u32 most = __builtin_offsetof(struct stack_buffer, mapping);

	if (bytes > most)
		bytes = most;
	return fixed + bytes;
}
