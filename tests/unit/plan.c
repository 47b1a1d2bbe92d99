// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "plan/plan.h"

static const char *const symbols[] = { "pkg.begin", "pkg.end" };

static const struct plan_want_site sites[] = {
	{ "pkg.end", "p_end_old", 19, 26 },
	{ "pkg.end", "p_end_new", 27, UINT16_MAX },
	{ "pkg.begin", "p_begin", 19, UINT16_MAX },
	{},
};

static const struct plan_want want = {
	.probe = "p",
	.mark = "pkg.begin",
	.sites = sites,
	.min_minor = 19,
};

static struct gobin go_program(uint16_t minor)
{
	struct gobin go = { .machine = EM_X86_64, .major = 1, .minor = minor, .n_functions = 2 };

	snprintf(go.version, sizeof(go.version), "go1.%u", minor);
	for (int i = 0; i < 2; i++) {
		go.functions[i].address = 0x1000u * (unsigned int)(i + 1);
		go.functions[i].site.file_offset = 0x400u * (unsigned int)(i + 1);
		go.functions[i].site.kind = SITE_PUSH;
	}
	return go;
}

static struct plan_file file(uint64_t ino, const struct gobin *go, const char *error)
{
	return (struct plan_file){ .id = { .dev = 1, .ino = ino },
				   .path = "/srv/shop",
				   .pid = 7,
				   .go = go,
				   .error = error };
}

static void add(struct plan *p, const struct plan_file *f)
{
	assert_int_equal(plan_add(p, &want, f, symbols, ARRAY_SIZE(symbols)), 0);
}

static void layout_by_version(void **state)
{
	static const struct {
		uint16_t minor;
		const char *end;
	} cases[] = {
		{ 19, "p_end_old" }, { 26, "p_end_old" }, { 27, "p_end_new" }, { 99, "p_end_new" }
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct gobin go = go_program(cases[i].minor);
		struct plan_file f = file(1, &go, NULL);
		struct plan p = { .machine = EM_X86_64 };

		add(&p, &f);
		assert_int_equal(p.n_sites, 2);
		/* The end first: what begins while the two are attached must not be left open. */
		assert_string_equal(p.sites[0].program, cases[i].end);
		assert_string_equal(p.sites[1].program, "p_begin");
		assert_int_equal(p.sites[0].file_offset, 0x800);
		assert_true(p.verdicts[0].attached);
		plan_done(&p);
	}
}

static void refused_with_a_reason(void **state)
{
	struct gobin old = go_program(18), untold = go_program(24), no_end = go_program(24),
		     no_site = go_program(24), foreign = go_program(24);
	const struct {
		struct plan_file file;
		const char *why;
	} cases[] = {
		{ file(1, &old, NULL), "go1.18 is older than Go 1.19" },
		{ file(1, &untold, NULL), "does not tell its Go version" },
		{ file(1, &no_end, NULL), "has no function pkg.end" },
		{ file(1, &no_site, NULL), "pkg.begin: nothing cheap there" },
		{ file(1, &foreign, NULL), "it is built for arm64, this machine is x86-64" },
		{ file(1, NULL, "the parser died on this file"), "the parser died" },
	};

	untold.major = 0;
	foreign.machine = EM_AARCH64;
	no_end.functions[1].address = 0;
	no_site.functions[0].site = (struct site){ .why = "nothing cheap there" };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct plan p = { .machine = EM_X86_64 };

		add(&p, &cases[i].file);
		assert_int_equal(p.n_sites, 0); /* all of a file's sites, or none */
		assert_int_equal(p.n_verdicts, 1);
		assert_false(p.verdicts[0].attached);
		assert_non_null(strstr(p.verdicts[0].why, cases[i].why));
		plan_done(&p);
	}
}

/* The same file on its own machine, and on one that runs neither of the two. */
static void each_machine_probes_its_own(void **state)
{
	struct gobin x86 = go_program(24), arm64 = go_program(24);
	const struct plan_file files[] = { file(1, &x86, NULL), file(2, &arm64, NULL) };
	static const struct {
		uint16_t machine;
		size_t n_sites;
		uint64_t ino;
	} cases[] = { { EM_X86_64, 2, 1 }, { EM_AARCH64, 2, 2 }, { EM_S390, 0, 0 }, { 0, 0, 0 } };

	arm64.machine = EM_AARCH64;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct plan p = { .machine = cases[i].machine };

		add(&p, &files[0]);
		add(&p, &files[1]);
		assert_int_equal(p.n_verdicts, 2);
		assert_int_equal(p.n_sites, cases[i].n_sites);
		for (size_t k = 0; k < p.n_sites; k++)
			assert_int_equal(p.sites[k].file.ino, cases[i].ino);
		plan_done(&p);
	}
}

static void of_other_programs_nothing_is_said(void **state)
{
	struct gobin other = go_program(24);
	struct plan_file no_go = file(1, NULL, NULL), no_mark = file(2, &other, NULL);
	struct plan p = { .machine = EM_X86_64 };

	other.functions[0].address = 0;
	add(&p, &no_go);
	add(&p, &no_mark);
	assert_int_equal(p.n_sites + p.n_verdicts, 0);
	plan_done(&p);
}

static void sites_of_a_file_are_one_group(void **state)
{
	struct gobin go = go_program(24);
	struct plan_file files[] = { file(1, &go, NULL), file(2, &go, NULL) };
	struct plan p = { .machine = EM_X86_64 };

	add(&p, &files[0]);
	add(&p, &files[1]);
	assert_int_equal(p.n_sites, 4);
	assert_int_equal(plan_group(&p, &p.sites[0]), 2);
	assert_int_equal(plan_group(&p, &p.sites[1]), 0);
	assert_int_equal(plan_group(&p, &p.sites[2]), 2);
	assert_int_equal(plan_group(&p, &p.sites[3]), 0);
	/* Another probe's sites in the same file are another group. */
	p.sites[1].probe = "q";
	assert_int_equal(plan_group(&p, &p.sites[0]), 1);
	assert_int_equal(plan_group(&p, &p.sites[1]), 1);
	plan_done(&p);
}

struct changes {
	int attached, detached;
	uint64_t ino;
};

static int on_attach(const struct plan_site *s, void *arg)
{
	struct changes *c = arg;

	c->attached++;
	c->ino = s->file.ino;
	return 0;
}

static int on_detach(const struct plan_site *s, void *arg)
{
	struct changes *c = arg;

	c->detached++;
	c->ino = s->file.ino;
	return 0;
}

static void difference_of_two_plans(void **state)
{
	struct gobin go = go_program(24);
	struct plan_file one = file(1, &go, NULL), two = file(2, &go, NULL);
	struct plan none = {}, first = { .machine = EM_X86_64 }, both = first;
	struct changes c = {};

	add(&first, &one);
	add(&both, &two);
	add(&both, &one);
	plan_diff(&none, &first, on_detach, on_attach, &c);
	assert_int_equal(c.attached, 2);
	plan_diff(&first, &first, on_detach, on_attach, &c);
	assert_int_equal(c.attached, 2);
	plan_diff(&first, &both, on_detach, on_attach, &c);
	assert_int_equal(c.attached, 4);
	assert_int_equal(c.ino, 2);
	assert_int_equal(c.detached, 0);
	plan_diff(&both, &first, on_detach, on_attach, &c);
	assert_int_equal(c.detached, 2);
	assert_int_equal(c.ino, 2);
	plan_diff(&both, &none, on_detach, NULL, &c);
	assert_int_equal(c.detached, 6);
	/* The same inode number with another birth is another file. */
	two.id.born_ns = 5;
	plan_done(&first);
	first.machine = EM_X86_64;
	add(&first, &two);
	plan_diff(&both, &first, on_detach, on_attach, &c);
	assert_int_equal(c.attached, 6);
	plan_done(&first);
	plan_done(&both);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_by_version),
		cmocka_unit_test(refused_with_a_reason),
		cmocka_unit_test(each_machine_probes_its_own),
		cmocka_unit_test(of_other_programs_nothing_is_said),
		cmocka_unit_test(sites_of_a_file_are_one_group),
		cmocka_unit_test(difference_of_two_plans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
