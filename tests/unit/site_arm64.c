// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <elf.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "elf/site.h"

#define CODE(...) \
	.code = (const uint32_t[]){ __VA_ARGS__ }, .len = sizeof((uint32_t[]){ __VA_ARGS__ })

struct entry {
	const char *what;
	const uint32_t *code;
	size_t len; /* bytes */
	enum site_kind kind;
	uint32_t offset;
	const char *insn; /* with SITE_NONE: a part of the reason */
};

#define NO_CHECK "does not begin with Go's stack check"
#define NO_JUMP	 "does not end in b.ls"

/* clang-format off */
/* The first words of functions as the named toolchains compile them, and ones that are spoiled. */
static const struct entry entries[] = {
	{ "1.19 finishRequest: small frame",
	  CODE(0xf9400b90, 0xeb3063ff, 0x54000589, 0xf81e0ffe, 0xf81f83fd), SITE_BCOND, 8, "b.ls #0x10b8" },
	{ "1.19 ServeHTTP: medium frame",
	  CODE(0xf9400b90, 0xd100c3f1, 0xeb10023f, 0x54001889, 0xf8150ffe), SITE_BCOND, 12, "b.ls #0x131c" },
	{ "1.22 and 1.24 ServeHTTP: small frame",
	  CODE(0xf9400b90, 0xeb3063ff, 0x54000609, 0xf81d0ffe), SITE_BCOND, 8, "b.ls #0x10c8" },
	{ "1.27 finishRequest: small frame",
	  CODE(0xf9400b90, 0xeb3063ff, 0x54000669, 0xf81e0ffe), SITE_BCOND, 8, "b.ls #0x10d4" },
	{ "1.27 ServeHTTP: small frame",
	  CODE(0xf9400b90, 0xeb3063ff, 0x540005a9, 0xf81d0ffe), SITE_BCOND, 8, "b.ls #0x10bc" },
	{ "frame of 4032 bytes: the largest medium one",
	  CODE(0xf9400b90, 0xd13d03f1, 0xeb10023f, 0x54000909, 0xd13f03f4), SITE_BCOND, 12, "b.ls #0x112c" },
	{ "1.19 frame of 4128 bytes: large, its size fits the instruction",
	  CODE(0xf9400b90, 0xf13e83f1, 0x54000863, 0xeb10023f, 0x54000829, 0xd282041b),
	  SITE_BCOND, 16, "b.ls #0x1114" },
	{ "1.27 frame of 4224 bytes: large, its size fits the instruction shifted",
	  CODE(0xf9400b90, 0xf14007f1, 0x54000a83, 0xeb10023f, 0x54000a49, 0xd282101b),
	  SITE_BCOND, 16, "b.ls #0x1158" },
	{ "1.27 frame of 5 KB: its size in a register",
	  CODE(0xf9400b90, 0xd282641b, 0xeb3b63f1, 0x54000a43, 0xeb10023f, 0x54000a09, 0xd282741b),
	  SITE_BCOND, 20, "b.ls #0x1154" },
	{ "frame of 64 KB: its size by the instruction for masks",
	  CODE(0xf9400b90, 0xb27c2ffb, 0xeb3b63f1, 0x54000a43, 0xeb10023f, 0x54000a09, 0xd282741b),
	  SITE_BCOND, 20, "b.ls #0x1154" },
	{ "1.27 frame of 100 KB: its size in two steps",
	  CODE(0xf9400b90, 0xd290c61b, 0xf2a0003b, 0xeb3b63f1, 0x54000c23, 0xeb10023f, 0x54000be9,
	       0xd11ac3f4), SITE_BCOND, 24, "b.ls #0x1194" },
	{ "1.19 frame of 5 MB",
	  CODE(0xf9400b90, 0xd2895c1b, 0xf2a0099b, 0xeb3b63f1, 0x54000c03, 0xeb10023f, 0x54000bc9,
	       0xd12d83f4), SITE_BCOND, 24, "b.ls #0x1190" },
	{ "a check cut off behind its jump",
	  CODE(0xf9400b90, 0xeb3063ff, 0x54000589), SITE_BCOND, 8, "b.ls #0x10b8" },
	{ "a check cut off before its jump",
	  CODE(0xf9400b90, 0xeb3063ff), SITE_NONE, 0, NO_JUMP },

	{ "no check: a leaf", CODE(0x9b017c00, 0xd65f03c0), SITE_NONE, 0, NO_CHECK },
	{ "no check: 1.19 casgstatus saves its registers",
	  CODE(0xf81a0ffe, 0xf81f83fd, 0xd10023fd), SITE_NONE, 0, NO_CHECK },
	{ "the guard of the system's stack",
	  CODE(0xf9400f90, 0xeb3063ff, 0x54000589), SITE_NONE, 0, NO_CHECK },
	{ "half of the guard", CODE(0xb9401390, 0xeb3063ff, 0x54000589), SITE_NONE, 0, NO_CHECK },
	{ "the guard of another register than the goroutine's",
	  CODE(0xf9400b70, 0xeb3063ff, 0x54000589), SITE_NONE, 0, NO_CHECK },
	{ "the goroutine is moved by the load",
	  CODE(0xf8410f90, 0xeb3063ff, 0x54000589), SITE_NONE, 0, NO_CHECK },
	{ "the goroutine is moved behind the load",
	  CODE(0xf8410790, 0xeb3063ff, 0x54000589), SITE_NONE, 0, NO_CHECK },
	{ "the guard is loaded into an argument",
	  CODE(0xf9400b80, 0xeb2063ff, 0x54000589), SITE_NONE, 0, NO_CHECK },
	{ "an argument is overwritten before the check",
	  CODE(0xaa0103e0, 0xf9400b90, 0xeb3063ff, 0x54000589), SITE_NONE, 0, NO_CHECK },
	{ "an argument is overwritten within the check",
	  CODE(0xf9400b90, 0xaa0103e0, 0xeb3063ff, 0x54000589), SITE_NONE, 0, NO_CHECK },
	{ "x15, the last argument, is overwritten within the check",
	  CODE(0xf9400b90, 0xd280002f, 0xeb3063ff, 0x54000589), SITE_NONE, 0, NO_CHECK },
	{ "the end of the frame goes into an argument",
	  CODE(0xf9400b90, 0xd100c3e1, 0xeb10003f, 0x54001889), SITE_NONE, 0, NO_CHECK },
	{ "the end of the frame counts from another register",
	  CODE(0xf9400b90, 0xd100c011, 0xeb10023f, 0x54001889), SITE_NONE, 0, NO_CHECK },
	{ "a comparison with what was not computed",
	  CODE(0xf9400b90, 0xeb10023f, 0x54001889), SITE_NONE, 0, NO_CHECK },
	{ "a comparison of the stack when the frame's end was computed",
	  CODE(0xf9400b90, 0xd100c3f1, 0xeb3063ff, 0x54001889), SITE_NONE, 0, NO_CHECK },
	{ "a comparison with twice the guard",
	  CODE(0xf9400b90, 0xd100c3f1, 0xeb10063f, 0x54001889), SITE_NONE, 0, NO_CHECK },
	{ "a comparison the other way round",
	  CODE(0xf9400b90, 0xd100c3f1, 0xeb11021f, 0x54001889), SITE_NONE, 0, NO_CHECK },
	{ "a comparison of halves",
	  CODE(0xf9400b90, 0xd100c3f1, 0x6b10023f, 0x54001889), SITE_NONE, 0, NO_CHECK },
	{ "a branch on carry that belongs to no subtraction",
	  CODE(0xf9400b90, 0xd100c3f1, 0x54000863, 0xeb10023f, 0x54000829), SITE_NONE, 0, NO_CHECK },
	{ "another branch behind the subtraction",
	  CODE(0xf9400b90, 0xf13e83f1, 0x54000862, 0xeb10023f, 0x54000829), SITE_NONE, 0, NO_CHECK },
	{ "b.hi", CODE(0xf9400b90, 0xeb3063ff, 0x54000588), SITE_NONE, 0, NO_JUMP },
	{ "b.le, which is signed", CODE(0xf9400b90, 0xeb3063ff, 0x5400058d), SITE_NONE, 0, NO_JUMP },
	{ "b.lo", CODE(0xf9400b90, 0xeb3063ff, 0x54000583), SITE_NONE, 0, NO_JUMP },
	{ "bc.ls, which old kernels do not simulate",
	  CODE(0xf9400b90, 0xeb3063ff, 0x54000599), SITE_NONE, 0, NO_JUMP },
	{ "something between comparison and jump",
	  CODE(0xf9400b90, 0xeb3063ff, 0xd503201f, 0x54000589), SITE_NONE, 0, NO_JUMP },
	{ "constants without end",
	  CODE(0xf9400b90, 0xd282641b, 0xf2a0003b, 0xf2a0003b, 0xf2a0003b, 0xf2a0003b, 0xf2a0003b,
	       0xf2a0003b, 0xf2a0003b, 0xf2a0003b, 0xeb3b63f1, 0xeb10023f, 0x54000a09),
	  SITE_NONE, 0, NO_CHECK },
	{ "no instruction", CODE(0x00000000, 0xffffffff), SITE_NONE, 0, NO_CHECK },
};
/* clang-format on */

static void chooses_the_place(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		const struct entry *c = &entries[i];
		struct site s;

		site_choose_go_arm64((const uint8_t *)c->code, c->len, 0x1000, &s);
		if (s.kind != c->kind || s.function_offset != c->offset ||
		    (s.kind == SITE_NONE ? !strstr(s.why, c->insn) : strcmp(s.insn, c->insn) != 0))
			fail_msg("%s: got %s at %u, '%s' (%s)", c->what, site_kind_name(s.kind),
				 s.function_offset, s.insn, s.why);
		assert_int_equal(s.why[0] != '\0', c->kind == SITE_NONE);
		assert_true(strlen(s.why) < sizeof(s.why) - 1);
	}
}

/* Whatever is cut off, what is left gives the same place, or none. */
static void cut_code_never_gives_another_place(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		for (size_t len = 0; len < entries[i].len; len++) {
			struct site s;

			site_choose_go_arm64((const uint8_t *)entries[i].code, len, 0x1000, &s);
			assert_true(s.kind == SITE_NONE ||
				    (s.function_offset == entries[i].offset &&
				     s.function_offset + 4 <= len));
		}
	}
}

/* The kernel takes no probe between two instructions. */
static void code_that_is_not_aligned_has_no_place(void **state)
{
	for (uint64_t address = 0x1001; address < 0x1004; address++) {
		struct site s;

		site_choose_go_arm64((const uint8_t *)entries[0].code, entries[0].len, address, &s);
		assert_int_equal(s.kind, SITE_NONE);
		assert_string_equal(s.why, "it does not begin where arm64 instructions can");
	}
}

static void the_machine_decides(void **state)
{
	static const uint8_t x86[] = { 0x49, 0x3b, 0x66, 0x10, 0x76, 0x30, 0x55, 0x48, 0x89, 0xe5 };
	const uint8_t *arm64 = (const uint8_t *)entries[0].code;
	struct site s;

	site_choose_go(EM_AARCH64, arm64, entries[0].len, 0x1000, &s);
	assert_int_equal(s.kind, SITE_BCOND);
	assert_string_equal(site_kind_name(s.kind), "b.cond");
	site_choose_go(EM_X86_64, x86, sizeof(x86), 0x1000, &s);
	assert_int_equal(s.kind, SITE_PUSH);
	site_choose_go(EM_AARCH64, x86, sizeof(x86), 0x1000, &s);
	assert_int_equal(s.kind, SITE_NONE);
	site_choose_go(EM_X86_64, arm64, entries[0].len, 0x1000, &s);
	assert_int_equal(s.kind, SITE_NONE);
	site_choose_go(EM_S390, arm64, entries[0].len, 0x1000, &s);
	assert_int_equal(s.kind, SITE_NONE);
	assert_string_not_equal(s.why, "");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses_the_place),
		cmocka_unit_test(cut_code_never_gives_another_place),
		cmocka_unit_test(code_that_is_not_aligned_has_no_place),
		cmocka_unit_test(the_machine_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
