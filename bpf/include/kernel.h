/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The parts of kernel types that are read here. Not their layout: libbpf finds
 * each field in the running kernel by name (CO-RE), so only names and nesting
 * matter. A field that some kernels lack is asked for with
 * bpf_core_field_exists() first.
 */
#ifndef WHENCE_KERNEL_H
#define WHENCE_KERNEL_H

/* Makes bpf_tracing.h call registers what the kernel calls them. */
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef int pid_t;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

/* include/uapi/linux/bpf.h */
enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_PERCPU_ARRAY = 6,
       BPF_MAP_TYPE_LRU_HASH = 9, BPF_MAP_TYPE_RINGBUF = 27 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_F_USER_STACK = 1ULL << 8 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2, BPF_RB_AVAIL_DATA = 0 };
struct bpf_dynptr { __u64 __opaque[2]; } __attribute__((aligned(8)));

/* include/uapi/linux/sched.h */
#define CLONE_THREAD 0x00010000
/* include/linux/sched/signal.h */
#define SIGNAL_GROUP_EXIT 0x00000004
/* include/linux/pid_types.h */
#define PIDTYPE_SID 3
/* include/linux/sched.h */
#define TASK_DEAD 0x00000080
#define PF_VCPU 0x00000001
#define PF_KTHREAD 0x00200000

/* include/uapi/linux/fcntl.h */
#define AT_EXECVE_CHECK 0x10000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_bl_node { struct hlist_bl_node *next, **pprev; };
struct qstr {
	union {
		struct {
			u32 hash;
			u32 len;
		};
		u64 hash_len;
	};
	const unsigned char *name;
};
struct super_block { u32 s_dev; };
struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
};
struct timespec64 { __s64 tv_sec; long tv_nsec; };
/* Where the time of the last change lies, from these versions on. */
struct inode___6_11 { __s64 i_ctime_sec; u32 i_ctime_nsec; };
struct inode___6_6 { struct timespec64 __i_ctime; };
struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};
struct vfsmount { struct dentry *mnt_root; };
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file { struct path f_path; };
struct fs_struct {
	struct path root;
	struct path pwd;
};

typedef struct { u32 val; } kuid_t;
typedef struct { u32 val; } kgid_t;
struct ns_common { unsigned int inum; };
struct user_namespace { struct ns_common ns; };
struct mnt_namespace { struct ns_common ns; };
struct nsproxy { struct mnt_namespace *mnt_ns; };
struct cred {
	kuid_t uid, euid;
	kgid_t gid;
	struct user_namespace *user_ns;
};

struct pid_namespace { struct ns_common ns; };
struct upid { int nr; struct pid_namespace *ns; };
struct pid { unsigned int level; struct upid numbers[1]; };

struct task_io_accounting { u64 read_bytes, write_bytes; };
struct sched_entity { u64 sum_exec_runtime; };
struct tty_driver {
	int major;
	int minor_start;
};
struct tty_struct {
	struct tty_driver *driver;
	int index;
};
struct signal_struct {
	struct pid *pids[4];
	struct tty_struct *tty;
	int group_exit_code;
	unsigned int flags;
	u64 utime, stime;
	unsigned long min_flt, maj_flt;
	unsigned long maxrss;
	struct task_io_accounting ioac;
	unsigned long long sum_sched_runtime;
	struct { int counter; } live;
};
struct mm_struct {
	unsigned long start_stack, arg_start, arg_end, env_start, env_end;
	unsigned long exec_vm;
	struct file *exe_file;
	struct { void *vdso; } context;
};
struct vm_area_struct {
	unsigned long vm_start, vm_end;
	unsigned long vm_flags, vm_pgoff;
	struct file *vm_file;
};
struct kernfs_node { u64 id; };
struct cgroup { struct kernfs_node *kn; };
struct css_set { struct cgroup *dfl_cgrp; };

struct task_struct {
	unsigned int __state;
	unsigned int flags;
	struct sched_entity se;
	struct mm_struct *mm;
	int exit_code;
	pid_t pid, tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	u64 utime, stime;
	u64 start_boottime;
	unsigned long min_flt, maj_flt;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct signal_struct *signal;
	kuid_t loginuid;
	struct css_set *cgroups;
	struct nsproxy *nsproxy;
	struct task_io_accounting ioac;
	u64 self_exec_id;
};

struct linux_binprm {
	const char *filename;
	const char *interp;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs { unsigned long di, si, dx, r10, r8, r9, bx, cx, ip, sp, bp, cs; };
/* arch/x86/include/asm/segment.h: code of 32 bits */
#define USER32_CS 0x23
#endif

struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; };
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
struct bpf_perf_event_data;
struct perf_event_attr { u64 sample_period; };
struct perf_event { struct perf_event_attr attr; };
struct bpf_perf_event_data_kern { struct pt_regs *regs; struct perf_event *event; };

#pragma clang attribute pop

#endif
