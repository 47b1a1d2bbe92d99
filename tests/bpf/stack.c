// SPDX-License-Identifier: Apache-2.0
/*
 * Programs on uprobes run preemptible, and from 6.13 on kernels keep a stack of 64 bytes or more in
 * memory of the CPU, where the next program on that CPU runs over it. Ours stay below: measured on the
 * object as it is embedded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <linux/bpf.h>

#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "kern/object.h"

#define STACK_LIMIT 64

KERN_IMAGE_DECLARE(features);
KERN_IMAGE_DECLARE(http);
KERN_IMAGE_DECLARE(process);
KERN_IMAGE_DECLARE(tcp);

/* The deepest byte below the frame pointer that the program touches or takes the address of. */
static int stack_depth(const struct bpf_program *p)
{
	const struct bpf_insn *insn = bpf_program__insns(p);
	size_t n = bpf_program__insn_cnt(p);
	int depth = 0;

	for (size_t i = 0; i < n; i++) {
		bool frame_dst = insn[i].dst_reg == BPF_REG_10,
		     frame_src = insn[i].src_reg == BPF_REG_10;
		int class = BPF_CLASS(insn[i].code), offset = 0;

		if ((class == BPF_LDX && frame_src) ||
		    ((class == BPF_ST || class == BPF_STX) && frame_dst))
			offset = insn[i].off;
		else if (class == BPF_ALU64 && BPF_OP(insn[i].code) == BPF_MOV && frame_src &&
			 i + 1 < n && insn[i + 1].code == (BPF_ALU64 | BPF_ADD | BPF_K) &&
			 insn[i + 1].dst_reg == insn[i].dst_reg)
			offset = insn[i + 1].imm;
		if (-offset > depth)
			depth = -offset;
	}
	return depth;
}

static void uprobe_programs_have_a_small_stack(void **state)
{
	static const struct kern_image images[] = { KERN_IMAGE(features), KERN_IMAGE(http),
						    KERN_IMAGE(process), KERN_IMAGE(tcp) };
	int checked = 0, deepest = 0;

	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		size_t len = (size_t)(images[i].end - images[i].start);
		struct bpf_object *o = bpf_object__open_mem(images[i].start, len, NULL);
		struct bpf_program *p;

		assert_non_null(o);
		bpf_object__for_each_program(p, o)
		{
			int depth = stack_depth(p);

			if (depth > deepest)
				deepest = depth;
			if (!strstr(bpf_program__section_name(p), "uprobe"))
				continue;
			checked++;
			if (depth >= STACK_LIMIT)
				fail_msg("%s uses %d bytes of stack; the limit is %d",
					 bpf_program__name(p), depth, STACK_LIMIT - 1);
		}
		bpf_object__close(o);
	}
	assert_int_equal(checked, 5);
	/* Had nothing been seen of the larger programs, the measure itself would be broken. */
	assert_true(deepest >= STACK_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uprobe_programs_have_a_small_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
