/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The record of a program in execution, for an exec and for the snapshot.
 */

struct image_scratch {
	struct wire_image image;
	u8 filename[WIRE_PATH];
	u8 interpreter[WIRE_PATH];
	struct path_buffer exe;
	struct path_buffer cwd;
	struct argv_progress argv;
};

/* real_parent is the thread that forked; the parent is its process. */
static __always_inline void fill_parent(struct wire_image *image,
					struct task_struct *real_parent)
{
	struct task_struct *parent = real_parent->group_leader;

	fill_process(&image->parent, parent);
	fill_comm(image->parent_comm, parent);
}

static __always_inline void fill_credentials(struct wire_image *image,
					     struct task_struct *task)
{
	const struct cred *cred = task->cred;

	image->uid = cred->uid.val;
	image->euid = cred->euid.val;
	image->gid = cred->gid.val;
	image->login_uid = ~0U;
	if (bpf_core_field_exists(task->loginuid))
		image->login_uid = task->loginuid.val;
}

static __always_inline void fill_namespaces(struct wire_image *image,
					    struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid *upid = pid ? innermost(pid) : NULL;

	image->ns_pid = BPF_CORE_READ(upid, nr);
	image->pid_ns = BPF_CORE_READ(upid, ns, ns.inum);
	image->mnt_ns = task->nsproxy->mnt_ns->ns.inum;
	image->user_ns = task->cred->user_ns->ns.inum;
}

static __always_inline void fill_session(struct wire_image *image, struct task_struct *task)
{
	struct signal_struct *signal = task->signal;
	struct pid *session = signal->pids[PIDTYPE_SID];
	struct tty_struct *tty = signal->tty;

	/* Level 0: as the initial namespace sees it. */
	image->session = session->numbers[0].nr;
	image->tty = 0;
	if (tty)
		image->tty = tty->driver->major << 20 |
			     (tty->driver->minor_start + tty->index);
}

/* Everything but header, filename and interpreter. */
static __always_inline void fill_image(struct image_scratch *scratch,
				       struct task_struct *task)
{
	struct wire_image *image = &scratch->image;

	task = readable(task);

	struct mm_struct *mm = task->mm;
	struct fs_struct *fs = task->fs;
	struct file *exe = mm ? mm->exe_file : NULL;
	u64 total = mm ? mm->arg_end - mm->arg_start : 0;
	u32 flags = 0;

	fill_process(&image->process, task);
	fill_parent(image, task->real_parent);
	fill_comm(image->comm, task);
	fill_credentials(image, task);
	image->cgroup_id = task->cgroups->dfl_cgrp->kn->id;
	fill_namespaces(image, task);
	fill_session(image, task);
	image->exe_dev = 0;
	image->exe_inode = 0;
	if (exe) {
		struct inode *inode = exe->f_path.dentry->d_inode;

		image->exe_dev = inode->i_sb->s_dev;
		image->exe_inode = inode->i_ino;
	}
	image->argv_total = total;
	image->argv_bytes = total > WIRE_ARGV_MAX ? WIRE_ARGV_MAX : total;
	image->argv_unread = 0;
	image->env_bytes = 0;
	image->error = 0;
	image->exe_bytes = 0;
	image->cwd_bytes = 0;
	if (task->flags & PF_KTHREAD)
		flags |= WIRE_KERNEL_THREAD;
	if (exe && fs)
		image->exe_bytes = write_path(&scratch->exe, &exe->f_path, &fs->root,
					      &flags, WIRE_EXE_DELETED, WIRE_EXE_TRUNCATED);
	if (mm && fs)
		image->cwd_bytes = write_path(&scratch->cwd, &fs->pwd, &fs->root, &flags,
					      WIRE_CWD_DELETED, WIRE_CWD_TRUNCATED);
	image->flags = flags;
}

static __always_inline u32 append(struct bpf_dynptr *record, u32 at, void *bytes, u32 n,
				  u32 most)
{
	if (n > most)
		n = most;
	if (n)
		bpf_dynptr_write(record, at, bytes, n, 0);
	return at + n;
}

/* Whether execs come with their environment. */
const volatile bool keep_env = false;

/* The environment of a new image lies right behind argv and is copied with it. */
static __always_inline void add_env(struct wire_image *image, struct mm_struct *mm)
{
	u64 bytes = mm->env_end - mm->env_start;

	if (!keep_env || mm->env_start != mm->arg_end ||
	    image->argv_total + bytes > WIRE_ARGV_MAX)
		return;
	image->env_bytes = bytes;
}

/* Reserves the record and writes its strings but argv, for which there is room
 * at `at`. Returns false, with the loss counted, if there is no room. */
static __always_inline bool reserve_image(struct image_scratch *scratch,
					  struct wire_counter *counter, u64 argv_room,
					  struct bpf_dynptr *record, u32 *at)
{
	struct wire_image *image = &scratch->image;
	u64 fixed = sizeof(*image) + image->filename_bytes + image->interpreter_bytes +
		    image->exe_bytes + image->cwd_bytes;

	if (bpf_ringbuf_reserve_dynptr(&life, fixed + argv_room, 0, record)) {
		count_ring_full(counter);
		bpf_ringbuf_discard_dynptr(record, 0);
		return false;
	}
	*at = sizeof(*image);
	*at = append(record, *at, scratch->filename, image->filename_bytes, WIRE_PATH);
	*at = append(record, *at, scratch->interpreter, image->interpreter_bytes,
		     WIRE_PATH);
	*at = append(record, *at, scratch->exe.bytes, image->exe_bytes,
		     sizeof(scratch->exe.bytes));
	*at = append(record, *at, scratch->cwd.bytes, image->cwd_bytes,
		     sizeof(scratch->cwd.bytes));
	return true;
}

/* Puts the record on the ring, argv read from the process on the way. */
static __always_inline void output_image(struct image_scratch *scratch,
					 struct wire_counter *counter,
					 struct task_struct *sleepable, u64 arg_start)
{
	struct wire_image *image = &scratch->image;
	struct bpf_dynptr record;
	u32 at;

	u64 bytes = image->argv_bytes + image->env_bytes;

	if (!reserve_image(scratch, counter, ARGV_ROOM(bytes), &record, &at))
		return;
	struct argv_copy copy = {
		.to = &record,
		.from = arg_start,
		.offset = at,
		.bytes = bytes,
		.task = sleepable,
		.progress = &scratch->argv,
	};
	copy_argv(&copy);
	/* Of what could not be read, at most argv itself: the rest was environment. */
	image->argv_unread = scratch->argv.unread + bytes - scratch->argv.done;
	if (image->argv_unread > image->argv_bytes)
		image->argv_unread = image->argv_bytes;
	bpf_dynptr_write(&record, 0, image, sizeof(*image), 0);
	bpf_ringbuf_submit_dynptr(&record, wakeup_flags(&life));
}
