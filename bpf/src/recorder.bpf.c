/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Process life and CPU samples: one object, one file per concern.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "wire.h"

#include "scratch.bpf.h"
#include "ring.bpf.h"
#include "filter.bpf.h"
#include "task.bpf.h"
#include "path.bpf.h"
#include "mapping.bpf.h"
#include "stack.bpf.h"
#include "recall.bpf.h"
#include "argv.bpf.h"
#include "image.bpf.h"
#include "process.bpf.h"
#include "failed.bpf.h"
#include "sample.bpf.h"
#include "cpu.bpf.h"
#include "wait.bpf.h"

/* Types reach the generated code only if something refers to them. */
struct wire_anchor {
	struct wire_fork fork;
	struct wire_image image;
	struct wire_caller caller;
	struct wire_exit exit;
	struct wire_sample sample;
	struct wire_mapping mapping;
	struct wire_hit hit;
	struct wire_wait wait;
	struct wire_counter counter;
	enum wire_kind kind;
	enum wire_stream stream;
	enum wire_image_flag flag;
	enum wire_sample_flag sample_flag;
};
const struct wire_anchor *wire_anchor __attribute__((unused));

char LICENSE[] SEC("license") = "Dual MIT/GPL";
