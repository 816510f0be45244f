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

/* How many pieces of memory are taken per cpu and window of time; 0: none. */
const volatile u32 memory_budget = 0;
#define BUDGET_WINDOW_NS 100000000ULL

struct budget {
	u64 since_ns;
	u32 used;
	u32 refused;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct budget);
} budgets SEC(".maps");

static __always_inline bool within_budget(void)
{
	u32 zero = 0;
	struct budget *budget = bpf_map_lookup_elem(&budgets, &zero);
	u64 now = bpf_ktime_get_ns();

	if (!memory_budget || !budget)
		return false;
	if (now - budget->since_ns > BUDGET_WINDOW_NS) {
		budget->since_ns = now;
		budget->used = 0;
	}
	if (budget->used >= memory_budget) {
		budget->refused++;
		return false;
	}
	budget->used++;
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
	u32 bytes;
};

static long read_memory_piece(u32 i, struct memory_read *read)
{
	u32 at = read->bytes;

	if (at > WIRE_MEMORY - MEMORY_PIECE)
		return 1;
	if (bpf_probe_read_user(read->to + at, MEMORY_PIECE, (void *)(read->from + at)))
		return 1;
	read->bytes += MEMORY_PIECE;
	return 0;
}

/* The user stack of the current task behind `kernel` bytes of another, taken in its
 * own context or in an interrupt; with memory only if that is wanted. Returns the
 * bytes of both and of memory. */
static __always_inline u32 read_user_stack_if(void *ctx, struct task_struct *task,
					      struct stack_buffer *buffer, u32 kernel,
					      struct wire_user *user, bool in_task,
					      bool with_memory)
{
	struct memory_read read = {};
	struct pt_regs *regs;
	u32 bytes;

	__builtin_memset(user, 0, sizeof(*user));
	kernel &= STACK_MASK;
	if (!BPF_CORE_READ(task, mm))
		return kernel;
	if (in_task)
		tell_mappings(task, &buffer->mapping);
	else
		want_mappings(task);
	bytes = path_bytes(bpf_get_stack(ctx, (void *)buffer->addresses + kernel,
					 STACK_BYTES, BPF_F_USER_STACK));
	user->stack_bytes = bytes;
	bytes = (bytes + kernel) & (2 * STACK_MASK + 1);
	if (!with_memory || !within_budget())
		return bytes;
	regs = (void *)bpf_task_pt_regs(task);
	user->ip = BPF_CORE_READ(regs, ip);
	user->sp = BPF_CORE_READ(regs, sp);
	user->bp = BPF_CORE_READ(regs, bp);
	read.to = (void *)buffer->addresses + bytes;
	read.from = user->sp;
	bpf_loop(WIRE_MEMORY / MEMORY_PIECE, read_memory_piece, &read, 0);
	user->memory_bytes = read.bytes;
	return bytes + read.bytes;
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
