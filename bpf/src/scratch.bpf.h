/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Space for what is too large for the stack.
 *
 * It is per program: the kernel does not run a program on a cpu where it is running
 * already, but another one may come in between.
 */

#define SCRATCH(map, scratch)                            \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
		__uint(max_entries, 1);                  \
		__type(key, u32);                        \
		__type(value, scratch);                  \
	} map SEC(".maps")

static const u32 only = 0;
