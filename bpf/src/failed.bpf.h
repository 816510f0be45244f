/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Execs that failed, with what was tried, where the system call ends: at the return of
 * its function, or, on kernels that refuse that, at the tracepoint of its exit. That
 * makes every system call of the host take a slower path, and is passed by by programs
 * of 32 bits.
 *
 * The process still has its old image, so the arguments are where its pointers
 * say. They may not be in memory any more; faulting them in is not allowed here.
 */

/* What is kept of argv. Per-cpu maps hold 32 KiB per value at most. */
#define FAILED_ARGV 16384
#define FAILED_STRINGS (1 << 18)

/* How far it has come is kept here and not on the stack: the verifier then takes
 * it for unknown and needs not follow each string. */
struct failed_scratch {
	/* A string is read where there is room for a whole read behind it. */
	u8 argv[FAILED_ARGV + WIRE_PATH];
	u64 total; /* bytes there are */
	u32 kept;  /* bytes kept */
	u32 unread;
	u32 full; /* nothing more is kept: what is kept has no holes */
	u32 reserved;
};

SCRATCH(failed_image, struct image_scratch);
SCRATCH(failed_argv, struct failed_scratch);
SCRATCH(failed_caller, struct caller_scratch);

/* A walk over an array of pointers to strings. */
struct string_walk {
	struct failed_scratch *out;
	u64 array;	/* user address of the next pointer */
	u64 string;	/* user address in the present string; 0: none */
	bool is_compat; /* pointers have 32 bits */
};

static __always_inline long read_pointer(struct string_walk *walk)
{
	if (!walk->is_compat) {
		walk->array += 8;
		return bpf_probe_read_user(&walk->string, 8, (void *)walk->array - 8);
	}
	walk->array += 4;
	return bpf_probe_read_user(&walk->string, 4, (void *)walk->array - 4);
}

/* One read: of a pointer, or of a piece of a string. */
static long read_string(u32 i, struct string_walk *walk)
{
	struct failed_scratch *out = walk->out;
	u32 at = out->kept;
	long n;

	if (!walk->string) {
		if (read_pointer(walk)) {
			out->unread++;
			return 1;
		}
		if (!walk->string)
			return 1;
	}
	/* Beyond what is kept, bytes are only counted. */
	if (at > FAILED_ARGV)
		at = FAILED_ARGV;
	n = bpf_probe_read_user_str(out->argv + at, WIRE_PATH, (void *)walk->string);
	if (n <= 0) {
		/* Its place is kept, by an empty string; of one that is empty, older
		 * kernels give 0. */
		out->unread += n < 0;
		walk->string = 0;
		n = 1;
		out->argv[at] = 0;
	} else if (n == WIRE_PATH) {
		/* Perhaps not its end: the NUL is the helper's. */
		walk->string += n - 1;
		n--;
	} else {
		walk->string = 0;
	}
	out->total += n;
	if (!out->full && out->kept + n <= FAILED_ARGV)
		out->kept += n;
	else
		out->full = 1;
	/* More than any exec may have: whoever made it must not keep us here. */
	return out->total > WIRE_ARGV_MAX;
}

static __always_inline void output_failed(struct image_scratch *scratch,
					  struct failed_scratch *argv,
					  struct wire_counter *counter)
{
	struct wire_image *image = &scratch->image;
	struct bpf_dynptr record;
	u32 at;

	if (!reserve_image(scratch, counter, image->argv_bytes, &record, &at))
		return;
	append(&record, at, argv->argv, image->argv_bytes, FAILED_ARGV);
	bpf_dynptr_write(&record, 0, image, sizeof(*image), 0);
	bpf_ringbuf_submit_dynptr(&record, wakeup_flags(&life));
}

static __always_inline int failed(void *ctx, long error, u64 filename, u64 argv,
				  bool is_compat)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct image_scratch *scratch = bpf_map_lookup_elem(&failed_image, &only);
	struct failed_scratch *strings = bpf_map_lookup_elem(&failed_argv, &only);
	struct caller_scratch *caller = bpf_map_lookup_elem(&failed_caller, &only);
	struct wire_counter *counter = counter_of(WIRE_STREAM_EXEC);
	struct string_walk walk = {.out = strings, .array = argv, .is_compat = is_compat};
	long bytes;

	if (!scratch || !strings || !caller || !counter || !is_recorded_or_adopted(task))
		return 0;
	output_caller(ctx, task, caller, false);
	fill_header(&scratch->image.header, WIRE_EXEC_FAILED, counter);
	fill_image(scratch, task);
	scratch->image.error = -error;
	scratch->image.exe_bytes = 0;
	scratch->image.interpreter_bytes = 0;
	bytes = bpf_probe_read_user_str(scratch->filename, WIRE_PATH, (void *)filename);
	scratch->image.filename_bytes = bytes > 0 ? bytes : 0;
	strings->total = 0;
	strings->kept = 0;
	strings->unread = 0;
	strings->full = 0;
	if (argv)
		bpf_loop(FAILED_STRINGS, read_string, &walk, 0);
	scratch->image.argv_total = strings->total;
	scratch->image.argv_unread = strings->unread;
	scratch->image.argv_bytes = strings->kept;
	output_failed(scratch, strings, counter);
	return 0;
}

struct sys_exit_args {
	u64 common;
	long nr;
	long ret;
};

/* The registers of the system call are still there, but for its result. */
SEC("?tp/syscalls/sys_exit_execve")
int on_execve_exit(struct sys_exit_args *ctx)
{
	struct pt_regs *regs;

	if (ctx->ret >= 0)
		return 0;
	regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	return failed(ctx, ctx->ret, PT_REGS_PARM1_CORE_SYSCALL(regs),
		      PT_REGS_PARM2_CORE_SYSCALL(regs), false);
}

SEC("?tp/syscalls/sys_exit_execveat")
int on_execveat_exit(struct sys_exit_args *ctx)
{
	struct pt_regs *regs;

	if (ctx->ret >= 0)
		return 0;
	regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	if (PT_REGS_PARM5_CORE_SYSCALL(regs) & AT_EXECVE_CHECK)
		return 0;
	return failed(ctx, ctx->ret, PT_REGS_PARM2_CORE_SYSCALL(regs),
		      PT_REGS_PARM3_CORE_SYSCALL(regs), false);
}

#if defined(__TARGET_ARCH_x86)
SEC("?fexit/__x64_sys_execve")
int BPF_PROG(on_execve_return, struct pt_regs *regs, long ret)
{
	return ret < 0 ? failed(ctx, ret, regs->di, regs->si, false) : 0;
}

SEC("?fexit/__x64_sys_execveat")
int BPF_PROG(on_execveat_return, struct pt_regs *regs, long ret)
{
	if (ret >= 0 || regs->r8 & AT_EXECVE_CHECK)
		return 0;
	return failed(ctx, ret, regs->si, regs->dx, false);
}

/* Arguments of programs of 32 bits are in other registers. */
SEC("?fexit/__ia32_compat_sys_execve")
int BPF_PROG(on_compat_execve_return, struct pt_regs *regs, long ret)
{
	return ret < 0 ? failed(ctx, ret, (u32)regs->bx, (u32)regs->cx, true) : 0;
}

SEC("?fexit/__ia32_compat_sys_execveat")
int BPF_PROG(on_compat_execveat_return, struct pt_regs *regs, long ret)
{
	if (ret >= 0 || regs->di & AT_EXECVE_CHECK)
		return 0;
	return failed(ctx, ret, (u32)regs->cx, (u32)regs->dx, true);
}
#endif
