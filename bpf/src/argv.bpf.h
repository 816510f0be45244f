/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Copies argv, of any length, into a reserved record.
 *
 * A slice of a dynptr has a length that the verifier knows, so the copy goes in
 * whole pages and then in small pieces. The pages are the user's: one that
 * cannot be read costs no more than itself.
 */

#define ARGV_PAGE 4096
#define ARGV_PAGES (WIRE_ARGV_MAX / ARGV_PAGE)
#define ARGV_PIECE 256
/* Room that is reserved for argv: whole pieces. */
#define ARGV_ROOM(bytes) (((bytes) + ARGV_PIECE - 1) & ~(u64)(ARGV_PIECE - 1))

/* How far a copy is. It lives in a map, not on the stack: the verifier then
 * takes it for unknown and needs not follow each of the 1536 pages to the end
 * of the program. */
struct argv_progress {
	u32 done;
	u32 unread;
};

struct argv_copy {
	struct bpf_dynptr *to;
	u64 from;   /* user address */
	u32 offset; /* in the record */
	u32 bytes;
	struct task_struct *task; /* NULL: current, without sleeping */
	volatile struct argv_progress *progress;
};

static __always_inline long read_user(void *to, u32 bytes, u64 from,
				      struct task_struct *task)
{
	if (task)
		return bpf_copy_from_user_task(to, bytes, (void *)from, task, 0);
	return bpf_probe_read_user(to, bytes, (void *)from);
}

/* Copies a piece into a slice of `room` bytes; false at the end. What cannot be
 * read is left as zeros, by the helpers. */
static __always_inline bool copy_piece(struct argv_copy *copy, const u32 room)
{
	u32 done = copy->progress->done;
	u32 n = copy->bytes - done;
	void *to = bpf_dynptr_data(copy->to, copy->offset + done, room);

	if (!to)
		return false;
	if (n > room)
		n = room;
	if (read_user(to, n, copy->from + done, copy->task))
		copy->progress->unread += n;
	copy->progress->done = done + n;
	return true;
}

static long copy_page(u32 i, struct argv_copy *copy)
{
	return copy->bytes - copy->progress->done < ARGV_PAGE ||
	       !copy_piece(copy, ARGV_PAGE);
}

static __always_inline void copy_argv(struct argv_copy *copy)
{
	copy->progress->done = 0;
	copy->progress->unread = 0;
	bpf_loop(ARGV_PAGES, copy_page, copy, 0);
	for (u32 i = 0; i < ARGV_PAGE / ARGV_PIECE; i++) {
		if (copy->progress->done >= copy->bytes || !copy_piece(copy, ARGV_PIECE))
			break;
	}
}
