/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The executable mappings of a process, told while they are there: when the
 * recorder gets to read them from /proc, a process that lives a few milliseconds
 * has gone.
 *
 * Task context tells of them before a stack that it takes. An interrupt must
 * not, since the lock of the memory map would be held until it is over, and the
 * process might wait for it; it only leaves a note, and the process tells when it
 * executes another program or ends. Nothing is told twice unless the amount of
 * executable memory has changed, as dlopen(3) does, nor of a child that still
 * runs its parent's program. Kernels before 6.7 have no iterator for this, and
 * before 6.16 the memory has gone when a process ends; there /proc must do.
 */

#define VM_EXEC 0x00000004 /* include/linux/mm.h */
/* Mappings that are looked at: a heap of a hundred thousand must not keep a
 * sample busy for milliseconds. */
#define MAPPINGS_SEEN 4096
#define MAPPINGS_TOLD 256
/* A program that makes code all the time is not told of all the time. */
#define TELL_AGAIN_NS 100000000ULL
/* Ancestors that may run the same program. */
#define TOLD_ANCESTORS 4

struct bpf_iter_task_vma {
	__u64 __opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task,
				 u64 address) __ksym __weak;
extern struct vm_area_struct *
bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __ksym __weak;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __ksym __weak;

/* What was told of a process; no pages: a note that something is to be told. */
struct told {
	u64 start_ns;
	u64 exec_id;
	u64 executable_pages;
	u64 at_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32); /* pid */
	__type(value, struct told);
} told SEC(".maps");

struct mapping_scratch {
	struct wire_mapping mapping;
	struct path_buffer path;
	u32 seen;
	u32 sent;
};

/* Whether it, or an ancestor of which it is a copy, was told as it is now. */
static __always_inline bool is_told(struct task_struct *task, u64 pages)
{
	u64 exec_id = task->self_exec_id;

	task = readable(task);

	for (int i = 0; i < TOLD_ANCESTORS; i++) {
		u32 pid = task->tgid;
		struct told *last = bpf_map_lookup_elem(&told, &pid);

		if (task->self_exec_id != exec_id)
			return false;
		if (last && last->exec_id == exec_id &&
		    last->start_ns == task->group_leader->start_boottime) {
			if (last->executable_pages == pages)
				return true;
			if (i == 0 && last->executable_pages)
				return bpf_ktime_get_ns() - last->at_ns < TELL_AGAIN_NS;
		}
		task = task->real_parent;
	}
	return false;
}

/* Nanoseconds since 1970 at which an inode has changed. */
static __always_inline u64 changed_ns(struct inode *inode)
{
	struct inode___6_11 *inode_6_11 = (void *)inode;
	struct inode___6_6 *inode_6_6 = (void *)inode;
	u64 s, ns;

	if (bpf_core_field_exists(inode_6_11->i_ctime_sec)) {
		s = BPF_CORE_READ(inode_6_11, i_ctime_sec);
		/* The highest bit is a flag of multigrain timestamps. */
		ns = BPF_CORE_READ(inode_6_11, i_ctime_nsec) & ~(1U << 31);
	} else {
		s = BPF_CORE_READ(inode_6_6, __i_ctime.tv_sec);
		ns = BPF_CORE_READ(inode_6_6, __i_ctime.tv_nsec);
	}
	return s * 1000000000ULL + ns;
}

static __always_inline void tell_mapping(struct task_struct *task,
					 struct vm_area_struct *vma,
					 struct mapping_scratch *scratch,
					 struct wire_counter *counter)
{
	struct wire_mapping *mapping = &scratch->mapping;
	struct file *file = BPF_CORE_READ(vma, vm_file);
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	u64 start = BPF_CORE_READ(vma, vm_start);
	struct inode *inode;
	u32 bytes;

	if (!file && start != (u64)BPF_CORE_READ(task, mm, context.vdso))
		return;
	if (scratch->sent >= MAPPINGS_TOLD)
		return;
	scratch->sent++;
	fill_header(&mapping->header, WIRE_MAPPING, counter);
	mapping->start = start;
	mapping->end = BPF_CORE_READ(vma, vm_end);
	mapping->offset = BPF_CORE_READ(vma, vm_pgoff) << 12;
	mapping->flags = 0;
	mapping->path_bytes = 0;
	inode = BPF_CORE_READ(file, f_path.dentry, d_inode);
	mapping->inode = BPF_CORE_READ(inode, i_ino);
	mapping->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	mapping->changed_ns = inode ? changed_ns(inode) : 0;
	if (file && fs)
		mapping->path_bytes = write_path(&scratch->path, &file->f_path, &fs->root,
						 &mapping->flags, WIRE_EXE_DELETED,
						 WIRE_EXE_TRUNCATED);
	bytes = mapping->path_bytes;
	if (bytes > sizeof(scratch->path))
		bytes = sizeof(scratch->path);
	output(&life, scratch, sizeof(*mapping) + bytes, counter);
}

static __always_inline void remember_told(struct task_struct *task, u64 pages)
{
	u32 pid = task->tgid;
	struct told now = {.executable_pages = pages};

	task = readable(task);
	now.start_ns = task->group_leader->start_boottime;
	now.exec_id = task->self_exec_id;
	now.at_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&told, &pid, &now, BPF_ANY);
}

/* Leaves a note, in an interrupt, that the process is to tell its mappings. */
static __always_inline void want_mappings(struct task_struct *task)
{
	u64 pages = readable(task)->mm->exec_vm;

	if (bpf_iter_task_vma_new && !is_told(task, pages))
		remember_told(task, 0);
}

/* Tells the mappings of the current task, in its own context, unless they are
 * told. */
static __always_inline void tell_mappings(struct task_struct *task,
					  struct mapping_scratch *scratch)
{
	struct wire_counter *counter = counter_of(WIRE_STREAM_MAPPING);
	u64 pages = readable(task)->mm->exec_vm;
	struct vm_area_struct *vma;

	if (!counter || !bpf_iter_task_vma_new || is_told(task, pages))
		return;
	scratch->seen = 0;
	scratch->sent = 0;
	scratch->mapping.reserved = 0;
	fill_process(&scratch->mapping.process, task);
	bpf_for_each(task_vma, vma, task, 0)
	{
		if (scratch->seen++ >= MAPPINGS_SEEN)
			break;
		if (vma->vm_flags & VM_EXEC)
			tell_mapping(task, vma, scratch, counter);
	}
	/* Another thread may have locked the memory map. */
	if (scratch->seen)
		remember_told(task, pages);
}

/* Tells the mappings of a process that ends, if there is a note. */
static __always_inline void tell_wanted(struct task_struct *task,
					struct mapping_scratch *scratch)
{
	u32 pid = task->tgid;
	struct told *last = bpf_map_lookup_elem(&told, &pid);

	if (last && last->start_ns == readable(task)->group_leader->start_boottime &&
	    readable(task)->mm)
		tell_mappings(task, scratch);
}
