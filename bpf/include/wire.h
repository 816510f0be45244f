/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Every record that the kernel side puts on a ring, and the counters beside
 * them. This is their only definition: the Rust types are generated from it.
 *
 * Fixed-width integers and byte arrays only, no implicit padding: what is not
 * written would carry stale kernel memory to user space. Variable data comes
 * last, its lengths before it, in the order in which the lengths stand.
 */
#ifndef WHENCE_WIRE_H
#define WHENCE_WIRE_H

#define WIRE_COMM 16	    /* TASK_COMM_LEN */
#define WIRE_PATH 4096	    /* PATH_MAX */
#define WIRE_NAME 256	    /* NAME_MAX and a NUL */
#define WIRE_MEMORY 16384   /* bytes of user stack that are looked at */
#define WIRE_DEPTH 127	    /* kernel.perf_event_max_stack */
#define WIRE_WAKER_DEPTH 32 /* of who ends a wait: up to what it interrupts */

enum wire_kind {
	WIRE_FORK = 1,
	WIRE_EXEC = 2,
	WIRE_EXIT = 3,
	WIRE_SNAPSHOT = 4,
	WIRE_CALLER = 5,
	WIRE_SAMPLE = 6,
	WIRE_EXEC_FAILED = 7, /* a wire_image of what was tried */
	WIRE_MAPPING = 8,
	WIRE_HIT = 9,
	WIRE_WAIT = 10,
};

/* Streams that are counted apart; index of `counters`. */
enum wire_stream {
	WIRE_STREAM_FORK = 0,
	WIRE_STREAM_EXEC = 1,
	WIRE_STREAM_EXIT = 2,
	WIRE_STREAM_SNAPSHOT = 3,
	WIRE_STREAM_SAMPLE = 4,
	WIRE_STREAM_PROBE = 5,
	WIRE_STREAM_CALLER = 6,
	WIRE_STREAM_MAPPING = 7,
	WIRE_STREAM_WAIT = 8,
	WIRE_STREAMS = 9,
};

/* wire_image.flags, wire_mapping.flags */
enum wire_image_flag {
	WIRE_EXE_DELETED = 1 << 0,
	WIRE_CWD_DELETED = 1 << 1,
	WIRE_EXE_TRUNCATED = 1 << 2,
	WIRE_CWD_TRUNCATED = 1 << 3,
	WIRE_KERNEL_THREAD = 1 << 4,
};

/* wire_sample.flags */
enum wire_sample_flag {
	WIRE_IN_GUEST = 1 << 0, /* the cpu ran a virtual machine */
};

/* An argv longer than the kernel lets any be (fs/exec.c: 3/4 of _STK_LIM). */
#define WIRE_ARGV_MAX (6 * 1024 * 1024)

struct wire_header {
	__u64 ts_ns; /* CLOCK_BOOTTIME */
	__u64 seq;   /* counts the stream on this cpu, from 1 */
	__u32 kind;  /* WIRE_FORK and so on */
	__u32 cpu;
};

struct wire_process {
	__u64 start_ns; /* CLOCK_BOOTTIME, of the thread group's leader */
	__u32 pid;	/* thread group, in the initial pid namespace */
	__u32 tid;
};

/* User code that was running: what a call path is found from. */
struct wire_user {
	__u64 ip;
	__u64 sp;
	__u64 bp;
	__u32 stack_bytes;  /* of return addresses, by frame pointers; 0: memory instead */
	__u32 memory_bytes; /* of stack memory from sp upward */
};

struct wire_fork {
	struct wire_header header;
	struct wire_process parent; /* who called clone */
	struct wire_process child;
	__u64 flags; /* of clone(2) */
	__u8 comm[WIRE_COMM];
	struct wire_user user;
	/* user stack, memory */
};

/* A program in execution: what an exec made, or a snapshot found. */
struct wire_image {
	struct wire_header header;
	struct wire_process process; /* tid: the caller of exec, before it */
	struct wire_process parent;  /* the parent now; pid 0 if it has none */
	__u8 parent_comm[WIRE_COMM];
	__u8 comm[WIRE_COMM];
	__u64 cgroup_id;
	__u64 argv_total; /* bytes in the kernel */
	__u32 uid;
	__u32 euid;
	__u32 gid;
	__u32 login_uid; /* ~0: none */
	__u64 exe_inode;
	__u32 exe_dev; /* as the kernel packs it: major << 20 | minor */
	__u32 session; /* pid of the session's leader */
	__u32 tty;     /* major << 20 | minor; 0: none */
	__u32 ns_pid;  /* pid inside its pid namespace */
	__u32 pid_ns;  /* inode numbers of namespaces */
	__u32 mnt_ns;
	__u32 user_ns;
	__u32 flags;
	__u32 argv_unread;	 /* bytes of argv that could not be read, as zeros */
	__u32 filename_bytes;	 /* as given to exec, with NUL */
	__u32 interpreter_bytes; /* 0 if it is the file itself */
	__u32 exe_bytes;	 /* components, leaf first, a NUL after each */
	__u32 cwd_bytes;	 /* likewise */
	__u32 argv_bytes;	 /* what follows of argv */
	__u32 env_bytes;	 /* what follows of the environment */
	__u32 error;		 /* errno of an exec that failed */
				 /* filename, interpreter, exe, cwd, argv, environment */
};

/* The stacks of an exec's caller, in the old image; its wire_image follows. */
struct wire_caller {
	struct wire_header header;
	struct wire_process process;
	struct wire_user user;
	__u32 kernel_stack_bytes;
	__u32 reserved;
	/* kernel stack, user stack, memory */
};

struct wire_exit {
	struct wire_header header;
	struct wire_process process;
	struct wire_process reaper;
	__u8 comm[WIRE_COMM];
	__u64 utime_ns; /* as accounted, by ticks on most kernels */
	__u64 stime_ns;
	__u64 runtime_ns; /* exact sum of both */
	__u64 max_rss_pages;
	__u64 min_flt;
	__u64 maj_flt;
	__u64 read_bytes;
	__u64 write_bytes;
	__u32 code; /* as wait(2) would return it */
	__u32 reserved;
};

struct wire_sample {
	struct wire_header header;
	struct wire_process process;
	__u8 comm[WIRE_COMM];
	__u64 weight;
	struct wire_user user;
	__u32 event; /* index of what was asked for */
	__u32 kernel_stack_bytes;
	__u32 flags;
	__u32 reserved;
	/* kernel stack, user stack, memory */
};

/* The hit of a probe. */
struct wire_hit {
	struct wire_sample sample;
	__u64 function; /* at whose entry it was, 0: elsewhere */
	__u64 caller;	/* where that function returns to */
			/* kernel stack, user stack, memory */
};

/* A wait that has ended; its weight is how long it was. */
struct wire_wait {
	struct wire_sample sample;
	struct wire_process waker; /* what ran where it was ended */
	__u64 waker_stack[WIRE_WAKER_DEPTH];
	__u32 waker_stack_bytes; /* 0: it is not known who ended it */
	__u32 reserved;
	/* kernel stack, user stack, memory */
};

/* An executable mapping: of a file, or of the vdso if there is no path. */
struct wire_mapping {
	struct wire_header header;
	struct wire_process process;
	__u64 start;
	__u64 end;
	__u64 offset; /* in the file, of `start` */
	__u64 inode;
	__u64 changed_ns; /* when the inode has changed, since 1970 */
	__u32 dev;	  /* major << 20 | minor */
	__u32 flags;
	__u32 path_bytes; /* components, leaf first, a NUL after each */
	__u32 reserved;
	/* path */
};

/* Per stream and cpu. generated = recorded + lost. */
struct wire_counter {
	__u64 generated;
	__u64 ring_full;
};

_Static_assert(sizeof(struct wire_header) == 24, "layout of the ring");
_Static_assert(sizeof(struct wire_fork) == 112, "layout of the ring");
_Static_assert(sizeof(struct wire_image) == 192, "layout of the ring");
_Static_assert(sizeof(struct wire_caller) == 80, "layout of the ring");
_Static_assert(sizeof(struct wire_exit) == 144, "layout of the ring");
_Static_assert(sizeof(struct wire_mapping) == 96, "layout of the ring");
_Static_assert(sizeof(struct wire_sample) == 112, "layout of the ring");
_Static_assert(sizeof(struct wire_hit) == 128, "layout of the ring");
_Static_assert(sizeof(struct wire_wait) == 392, "layout of the ring");

#endif
